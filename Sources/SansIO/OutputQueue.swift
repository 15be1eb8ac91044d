/// A first-in first-out queue with a bound.
///
/// What strangers send can fill it, so a full queue refuses and counts; the machine asks again when
/// the next packet comes.
public struct OutputQueue<Element> {
    private let countMax: Int
    private var elements: [Element] = []
    private var head = 0
    /// How many outputs were refused since the start; a counter for metrics.
    public private(set) var refusedCount = 0

    /// - Parameter countMax: Room for one turn: 4 outputs for each packet of a full batch.
    public init(countMax: Int = 256) { self.countMax = countMax }

    /// Whether nothing waits.
    public var isEmpty: Bool { head == elements.count }

    /// Adds at the end; false when full.
    @discardableResult
    public mutating func append(_ element: Element) -> Bool {
        guard elements.count - head < countMax else {
            refusedCount += 1
            return false
        }
        elements.append(element)
        return true
    }

    /// Takes the first; nil when empty.
    public mutating func popFirst() -> Element? {
        guard head < elements.count else {
            elements.removeAll(keepingCapacity: true)
            head = 0
            return nil
        }
        defer { head += 1 }
        return elements[head]
    }
}
