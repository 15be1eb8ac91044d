public import DNS
internal import SansIO

/// A zone whose names are asked of nameservers of its own.
public struct ForwardZone: Hashable, Sendable {
    /// It, and all names below it.
    public let name: Name
    /// Whom to ask, the first one first.
    public let upstreams: [Upstream]
    /// Whether a link of the host claims it, not the admin: the admin's come first, and a link's
    /// nameservers are asked around the tunnel.
    public let isHosts: Bool

    public init(name: Name, upstreams: [Upstream], isHosts: Bool = false) {
        (self.name, self.upstreams, self.isHosts) = (name, upstreams, isHosts)
    }
}

/// The zones that have nameservers of their own, and how those are.
struct ForwardZones {
    enum Limits {
        /// Zones taken, in order; further ones are left out.
        static var zones: Int { 256 }
        /// Nameservers of one zone; further ones are left out.
        static var upstreams: Int { 8 }
        /// How long one nameserver has before the next one is asked too.
        static var patience: Duration { .seconds(1) }
        /// Questions for one query at most, to all nameservers together.
        static var attempts: Int { 5 }
        /// How long one that kept silent is asked last.
        static var down: Duration { .seconds(30) }
    }

    /// A query on its round through the nameservers of a zone.
    struct Round {
        let zone: Int
        /// The state of the zones that it belongs to.
        let epoch: UInt32
        /// The query, as it is sent to each.
        let bytes: [UInt8]
        /// The nameservers, the best first.
        let order: [Int]
        /// How many questions were sent.
        var sent = 0
        /// Which of them failed, a bit each.
        var failed: UInt8 = 0

        /// The nameserver that a question went to.
        func upstream(of attempt: Int) -> Int { order[attempt % order.count] }

        /// Whether an answer may come still.
        var isWaiting: Bool { failed != (1 << sent) - 1 }
    }

    private(set) var zones: [ForwardZone] = []
    private var index = PatternIndex<Int>()
    private var indexOfHosts = PatternIndex<Int>()
    /// Until when each nameserver of each zone is asked last.
    private var downUntil: [[Instant?]] = []
    private(set) var epoch: UInt32 = 0

    /// - Returns: Whether anything changed.
    mutating func set(_ all: [ForwardZone], accepts: (Upstream) -> Bool) -> Bool {
        var next: [ForwardZone] = []
        for zone in all where next.count < Limits.zones {
            let upstreams = zone.upstreams.filter(accepts).prefix(Limits.upstreams)
            guard !upstreams.isEmpty,
                !next.contains(where: { $0.name == zone.name && $0.isHosts == zone.isHosts })
            else { continue }
            next.append(
                ForwardZone(name: zone.name, upstreams: Array(upstreams), isHosts: zone.isHosts)
            )
        }
        guard next != zones else { return false }
        zones = next
        (index, indexOfHosts) = (PatternIndex(), PatternIndex())
        for (place, zone) in zones.enumerated() {
            guard let pattern = Self.pattern(zone.name) else { continue }
            if zone.isHosts {
                indexOfHosts.insert(pattern, place)
            } else {
                index.insert(pattern, place)
            }
        }
        downUntil = zones.map { $0.upstreams.map { _ in nil } }
        epoch &+= 1
        return true
    }

    /// The zone and everything below it.
    private static func pattern(_ zone: Name) -> NamePattern? {
        try? NamePattern(zone.isRoot ? "**" : "*.\(zone)")
    }

    /// The most specific zone that a name lies in, of the admin's, else of the host's; nil for
    /// none.
    func zone(of name: Name) -> Int? {
        guard !zones.isEmpty else { return nil }
        return index.matches(of: name).first ?? indexOfHosts.matches(of: name).first
    }

    func isDown(_ zone: Int, _ upstream: Int, at now: Instant) -> Bool {
        downUntil[zone][upstream].map { now < $0 } ?? false
    }

    /// A round through a zone's nameservers, those that kept silent last.
    func round(_ zone: Int, _ bytes: [UInt8], at now: Instant) -> Round {
        let all = Array(zones[zone].upstreams.indices)
        let order =
            all.filter { !isDown(zone, $0, at: now) } + all.filter { isDown(zone, $0, at: now) }
        return Round(zone: zone, epoch: epoch, bytes: bytes, order: order)
    }

    /// A nameserver answered, or did not.
    mutating func note(_ round: Round, attempt: Int, isAlive: Bool, at now: Instant) {
        guard round.epoch == epoch else { return }
        let end = isAlive ? nil : now.advanced(by: Limits.down)
        downUntil[round.zone][round.upstream(of: attempt)] = end
    }
}
