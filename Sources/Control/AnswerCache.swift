/// Answers already given, so that the same request again gets the same answer.
///
/// Bounded: the oldest is forgotten first.
public struct AnswerCache<ID: Hashable & Sendable, Answer: Sendable>: Sendable {
    /// What is known of a request.
    public enum Lookup: Sendable {
        /// New: work on it, then call ``finish(_:with:)``.
        case new
        /// Somebody works on it; the answer will come.
        case underWay
        /// Answered before, like this.
        case answered(Answer)
    }

    private let countMax: Int
    private var answers: [ID: Answer?] = [:]
    private var order: [ID] = []
    private var oldest = 0

    /// - Parameter countMax: Requests remembered.
    public init(countMax: Int = 256) { self.countMax = max(1, countMax) }

    /// Requests remembered now.
    public var count: Int { answers.count }

    /// A request came.
    public mutating func begin(_ id: ID) -> Lookup {
        if let known = answers[id] { return known.map(Lookup.answered) ?? .underWay }
        if order.count < countMax {
            order.append(id)
        } else {
            answers[order[oldest]] = nil
            order[oldest] = id
            oldest = (oldest + 1) % countMax
        }
        answers[id] = .some(nil)
        return .new
    }

    /// The answer of a request that was begun; a forgotten one is ignored.
    public mutating func finish(_ id: ID, with answer: Answer) {
        guard answers[id] != nil else { return }
        answers[id] = .some(answer)
    }
}
