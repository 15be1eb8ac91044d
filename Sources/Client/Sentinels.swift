public import DNS
public import IP

/// Which address the host is given for each nameserver that the stub resolver forwards to.
///
/// One to one, so that a dead nameserver makes exactly its own sentinel silent and the host's own
/// choice of servers goes on working.
public struct Sentinels: Hashable, Sendable {
    /// Bounds of the mapping.
    public enum Limits {
        /// Nameservers taken, in order; further ones are left out.
        public static var upstreams: Int { 64 }
    }

    /// One sentinel and whom it stands for.
    public struct Mapping: Hashable, Sendable {
        /// The address that the host asks.
        public let sentinel: IPAddress
        /// The nameserver that is asked then.
        public let upstream: Upstream
    }

    /// Where sentinels lie; no nameserver may.
    public let ranges: [IPPrefix]
    /// Networks of the host whose addresses do not become sentinels.
    var conflicts: [IPPrefix] = []
    /// All sentinels, in the order of the nameservers.
    public private(set) var mappings: [Mapping] = []

    public init(ranges: [IPPrefix]) { self.ranges = ranges }

    /// The sentinels, in the order of the nameservers.
    public var addresses: [IPAddress] { mappings.map(\.sentinel) }

    /// Whether `address` lies where sentinels lie, in use or not.
    public func covers(_ address: IPAddress) -> Bool { ranges.contains { $0.contains(address) } }

    /// Whom `sentinel` stands for; nil when it is not in use.
    public func upstream(of sentinel: IPAddress) -> Upstream? {
        mappings.first { $0.sentinel == sentinel }?.upstream
    }

    /// The place of `sentinel` among the mappings; nil when it is not in use.
    func place(of sentinel: IPAddress) -> Int? {
        mappings.firstIndex { $0.sentinel == sentinel }
    }

    /// Takes over the nameservers: order kept, duplicates removed, sentinels among them left out.
    ///
    /// The same set keeps its sentinels, in the new order; another set gets addresses of which none
    /// was in use before, so that the host notices and forgets what it knew of the old ones.
    /// - Returns: Whether anything changed.
    @discardableResult
    public mutating func update(upstreams: [Upstream]) -> Bool {
        var accepted: [Upstream] = []
        for upstream in upstreams where accepted.count < Limits.upstreams {
            guard !(upstream.address.map(covers) ?? false), !accepted.contains(upstream),
                ranges.contains(where: { $0.family == Self.family(of: upstream) })
            else { continue }
            accepted.append(upstream)
        }
        let before = mappings
        if Set(accepted) == Set(before.map(\.upstream)) {
            mappings = accepted.compactMap { upstream in
                before.first { $0.upstream == upstream }
            }
            return mappings != before
        }
        var taken = Set(before.map(\.sentinel))
        mappings = []
        for upstream in accepted {
            guard let sentinel = free(Self.family(of: upstream), besides: taken) else { continue }
            taken.insert(sentinel)
            mappings.append(Mapping(sentinel: sentinel, upstream: upstream))
        }
        return true
    }

    /// The family of its sentinel; one known by its name has one of IPv4.
    private static func family(of upstream: Upstream) -> IPFamily {
        upstream.address?.family ?? .ipv4
    }

    /// The lowest address of the family's range that is not taken, nor its first or last one.
    private func free(_ family: IPFamily, besides taken: Set<IPAddress>) -> IPAddress? {
        for range in ranges where range.family == family {
            let hostBits = family.bitCount - range.bitCount
            let last: UInt64 = hostBits >= 16 ? 0xffff : (1 << UInt64(hostBits)) - 1
            for offset in 1..<max(last, 1) {
                let address = range.address.advanced(by: offset)
                if !taken.contains(address), !conflicts.contains(where: { $0.contains(address) }) {
                    return address
                }
            }
        }
        return nil
    }
}
