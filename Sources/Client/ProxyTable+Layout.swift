internal import IP

/// Where proxy addresses lie: block `slot` of four addresses in each family, for one name.
///
/// Both families have the same blocks, so that an address tells its slot by arithmetic. The first
/// address of a range stays unused (RFC 4291 section 2.6.1), and so does the last IPv4 one.
struct ProxyLayout: Hashable, Sendable {
    let ipv4: IPPrefix?
    let ipv6: IPPrefix?
    /// How many blocks there are, the forbidden ones among them.
    let slotCount: Int
    /// Slots that share an address with a sentinel range, in either family.
    private let forbidden: [Range<Int>]

    init(proxies: [IPPrefix], sentinels: [IPPrefix]) {
        ipv4 = proxies.first { $0.family == .ipv4 }
        ipv6 = proxies.first { $0.family == .ipv6 }
        var count = ipv4 == nil && ipv6 == nil ? 0 : ProxyTable.Limits.slots
        var forbidden: [Range<Int>] = []
        for range in [ipv4, ipv6] {
            guard let range else { continue }
            let hostBits = range.family.bitCount - range.bitCount
            if hostBits < 40 { count = min(count, max(0, ((1 << hostBits) - 2) / Self.width)) }
            for sentinel in sentinels where sentinel.overlaps(range) {
                forbidden.append(Self.slots(of: sentinel, in: range))
            }
        }
        slotCount = count
        self.forbidden = forbidden
    }

    /// The slots of `range` that share an address with `other`, which overlaps it.
    private static func slots(of other: IPPrefix, in range: IPPrefix) -> Range<Int> {
        guard !other.contains(range.address) else {
            let bits = min(other.family.bitCount - other.bitCount, 40)
            return 0..<((1 << bits) - 1) / width + 1
        }
        // Beyond the last slot when it is 2^64 addresses away.
        guard other.address.high == range.address.high else { return 0..<0 }
        let start = min(Int(clamping: other.address.low &- range.address.low), 1 << 40)
        let end = start + (1 << min(other.family.bitCount - other.bitCount, 40))
        return (start - 1) / width..<max(end - 2, 0) / width + 1
    }

    private static var width: Int { ProxyTable.Limits.addressesPerName }

    /// How many blocks names can have.
    var usableCount: Int {
        var (count, next) = (slotCount, 0)
        for range in forbidden.sorted(by: { $0.lowerBound < $1.lowerBound }) {
            let start = max(range.lowerBound, next)
            next = max(next, range.upperBound)
            count -= max(0, min(next, slotCount) - start)
        }
        return count
    }

    /// The slots that share an address with `networks`; those that contain a whole range leave
    /// nothing to choose, and our routes are longer than theirs.
    func slots(in networks: [IPPrefix]) -> [Range<Int>] {
        [ipv4, ipv6].compactMap(\.self).flatMap { range in
            networks.filter { $0.overlaps(range) && $0.bitCount > range.bitCount }
                .map { Self.slots(of: $0, in: range) }
        }
    }

    /// Whether the slot's addresses may be handed out.
    func isUsable(_ slot: Int) -> Bool {
        slot < slotCount && !forbidden.contains { $0.contains(slot) }
    }

    /// Address `index` of a slot; nil where the family has no range.
    func address(_ slot: Int, _ family: IPFamily, _ index: Int) -> IPAddress? {
        guard let range = family == .ipv4 ? ipv4 : ipv6 else { return nil }
        return range.address.advanced(by: UInt64(1 + slot * Self.width + index))
    }

    /// Which slot an address belongs to, and as which of its four.
    func place(of address: IPAddress) -> (slot: Int, index: Int)? {
        guard let range = address.isIPv4 ? ipv4 : ipv6, range.contains(address) else { return nil }
        let offset = address.low &- range.address.low
        guard address.high == range.address.high, offset > 0,
            offset <= UInt64(slotCount * Self.width)
        else { return nil }
        let position = Int(offset) - 1
        return (position / Self.width, position % Self.width)
    }
}
