internal import Control
internal import DNS

/// What the flow log says of a flow besides its packets; names and resources may be gone when the
/// flow ends.
struct FlowLabel: Hashable, Sendable {
    var resource: ResourceID
    var resourceName: String
    var name: Name?
}

/// The labels of one client's flows, each kept once; a flow holds a number.
struct FlowLabels: Sendable {
    enum Limits {
        /// Labels that may be kept before those without a flow are let go.
        static var labels: Int { 4_096 }
    }

    private var all: [FlowLabel] = []
    private var numbers: [FlowLabel: UInt32] = [:]

    /// Whether those that no flow has any more should be let go first.
    var isFull: Bool { all.count >= Limits.labels }

    /// The label with this number.
    subscript(number: UInt32) -> FlowLabel? {
        number < all.count ? all[Int(number)] : nil
    }

    /// The number of `label`.
    mutating func number(of label: FlowLabel) -> UInt32 {
        if let known = numbers[label] { return known }
        let number = UInt32(all.count)
        all.append(label)
        numbers[label] = number
        return number
    }
}
