public import Control

/// Which gateways said that they do not reach which resources; passed over for a while, which is
/// longer each time that it comes to nothing again.
public struct ReachTable: Sendable {
    /// Bounds of what is remembered, and for how long.
    public enum Limits {
        /// The first time, in seconds.
        public static var firstSeconds: Int64 { 30 }
        /// The longest, in seconds.
        public static var longestSeconds: Int64 { 600 }
        /// Pairs of a gateway and a resource; the one whose time is over first makes room.
        public static var count: Int { 4_096 }
    }

    private struct Pair: Hashable {
        let gateway: GatewayID
        let resource: ResourceID
    }

    private struct Mark {
        var until: WallTime
        var seconds: Int64
        var sentence: String?
    }

    private var marks: [Pair: Mark] = [:]

    public init() {}

    /// How many pairs are remembered.
    public var count: Int { marks.count }

    /// The gateway does not reach the resource.
    ///
    /// - Parameters:
    ///   - gateway: Who says so.
    ///   - resource: What it does not reach.
    ///   - sentence: What it tried in vain, for people.
    ///   - now: The wall clock.
    /// - Returns: Whether that is news: it was not passed over for it just before.
    public mutating func fail(
        _ gateway: GatewayID,
        _ resource: ResourceID,
        _ sentence: String?,
        at now: WallTime
    ) -> Bool {
        let pair = Pair(gateway: gateway, resource: resource)
        var mark = marks[pair] ?? Mark(until: WallTime(seconds: 0), seconds: 0)
        let isNews = mark.until <= now
        if isNews {
            // What went well for long begins anew.
            let isOld = mark.until.advanced(by: Limits.longestSeconds) < now
            mark.seconds = isOld ? 0 : mark.seconds
            mark.seconds = min(max(Limits.firstSeconds, 2 * mark.seconds), Limits.longestSeconds)
        }
        mark.until = now.advanced(by: mark.seconds)
        mark.sentence = sentence
        if marks[pair] == nil, marks.count >= Limits.count { makeRoom() }
        marks[pair] = mark
        return isNews
    }

    private mutating func makeRoom() {
        let first = marks.min { one, other in
            (one.value.until, one.key.gateway, one.key.resource)
                < (other.value.until, other.key.gateway, other.key.resource)
        }
        if let first { marks[first.key] = nil }
    }

    /// The gateway reaches the resource again; how often it did not is remembered for a while.
    public mutating func heal(_ gateway: GatewayID, _ resource: ResourceID, at now: WallTime) {
        let pair = Pair(gateway: gateway, resource: resource)
        guard let mark = marks[pair], mark.until > now else { return }
        marks[pair]?.until = now
    }

    /// The gateway started anew, or is gone.
    public mutating func forget(_ gateway: GatewayID) {
        marks = marks.filter { $0.key.gateway != gateway }
    }

    /// Whether the gateway is passed over for the resource.
    public func isPassedOver(
        _ gateway: GatewayID,
        _ resource: ResourceID,
        at now: WallTime
    ) -> Bool {
        marks[Pair(gateway: gateway, resource: resource)].map { $0.until > now } ?? false
    }

    /// The resources that the gateway is passed over for, with what it said, in order.
    public func unreached(
        by gateway: GatewayID,
        at now: WallTime
    ) -> [(ResourceID, sentence: String?)] {
        marks.filter { $0.key.gateway == gateway && $0.value.until > now }
            .map { ($0.key.resource, $0.value.sentence) }
            .sorted { $0.0 < $1.0 }
    }
}
