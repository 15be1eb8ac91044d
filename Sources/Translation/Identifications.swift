internal import IP
internal import SansIO

/// Identifications of IPv4 packets that come from IPv6 packets without one (RFC 7915 5.1).
///
/// A counter for each of many groups of destinations, where each begins and which group a
/// destination has being secret (RFC 7739 5.3): no two packets of a way have the same for as long
/// as can be (RFC 6864 4.3), and one way tells little of another.
struct Identifications: Sendable {
    private var counters: InlineArray<64, UInt16>
    private let key: UInt64

    init(random: inout RandomSource) {
        key = random.next() | 1
        counters = InlineArray { _ in UInt16(truncatingIfNeeded: random.next()) }
    }

    /// The first of `count` identifications, one for each packet.
    mutating func take(_ count: Int, towards destination: IPAddress) -> UInt16 {
        let group = Int(truncatingIfNeeded: (destination.low &* key) >> 58)
        defer { counters[group] &+= UInt16(truncatingIfNeeded: count) }
        return counters[group]
    }
}
