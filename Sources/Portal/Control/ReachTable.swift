internal import Control
internal import Foundation

/// Which gateways said that they do not reach which resources; passed over for a while, which is
/// longer each time that it comes to nothing again.
struct ReachTable {
    /// Bounds of what is remembered, and for how long.
    enum Limits {
        /// The first time, in seconds.
        static let firstSeconds = 30.0
        /// The longest, in seconds.
        static let longestSeconds = 600.0
        /// Pairs of a gateway and a resource; the one whose time is over first makes room.
        static let count = 4_096
    }

    private struct Pair: Hashable {
        let gateway: GatewayID
        let resource: ResourceID
    }

    private struct Mark {
        var until: Date
        var seconds: Double
        var sentence: String?
    }

    private var marks: [Pair: Mark] = [:]

    /// How many pairs are remembered.
    var count: Int { marks.count }

    /// The gateway does not reach the resource.
    ///
    /// - Returns: Whether that is news: it was not passed over for it just before.
    mutating func fail(
        _ gateway: GatewayID,
        _ resource: ResourceID,
        _ sentence: String?,
        at now: Date
    ) -> Bool {
        let pair = Pair(gateway: gateway, resource: resource)
        var mark = marks[pair] ?? Mark(until: .distantPast, seconds: 0)
        let isNews = mark.until <= now
        if isNews {
            // What went well for long begins anew.
            let isOld = now.timeIntervalSince(mark.until) > Limits.longestSeconds
            mark.seconds = isOld ? 0 : mark.seconds
            mark.seconds = min(max(Limits.firstSeconds, 2 * mark.seconds), Limits.longestSeconds)
        }
        mark.until = now.addingTimeInterval(mark.seconds)
        mark.sentence = sentence
        if marks[pair] == nil, marks.count >= Limits.count { makeRoom() }
        marks[pair] = mark
        return isNews
    }

    private mutating func makeRoom() {
        guard let first = marks.min(by: { $0.value.until < $1.value.until }) else { return }
        marks[first.key] = nil
    }

    /// The gateway reaches the resource again; how often it did not is remembered for a while.
    mutating func heal(_ gateway: GatewayID, _ resource: ResourceID, at now: Date) {
        let pair = Pair(gateway: gateway, resource: resource)
        guard let mark = marks[pair], mark.until > now else { return }
        marks[pair]?.until = now
    }

    /// The gateway started anew, or is gone.
    mutating func forget(_ gateway: GatewayID) {
        marks = marks.filter { $0.key.gateway != gateway }
    }

    /// Whether the gateway is passed over for the resource.
    func isPassedOver(_ gateway: GatewayID, _ resource: ResourceID, at now: Date) -> Bool {
        marks[Pair(gateway: gateway, resource: resource)].map { $0.until > now } ?? false
    }

    /// The resources that the gateway is passed over for, with what it said.
    func unreached(by gateway: GatewayID, at now: Date) -> [(ResourceID, sentence: String?)] {
        marks.filter { $0.key.gateway == gateway && $0.value.until > now }
            .map { ($0.key.resource, $0.value.sentence) }
            .sorted { $0.0 < $1.0 }
    }
}
