/// An IP address and a UDP port, as the packet path compares and hashes them.
///
/// The address is 128 bits in two halves; IPv4 is mapped (`::ffff:a.b.c.d`, RFC 4291 2.5.5.2).
/// Module `IP` gives it text, families and prefixes.
public struct Endpoint: Hashable, Sendable {
    /// The upper 64 bits of the address, host byte order.
    public var high: UInt64
    /// The lower 64 bits of the address, host byte order.
    public var low: UInt64
    /// The port; 0 means any.
    public var port: UInt16

    public init(high: UInt64, low: UInt64, port: UInt16) {
        (self.high, self.low, self.port) = (high, low, port)
    }

    /// `[::]:0`: nothing chosen; as a local endpoint, the kernel's choice.
    public static let unspecified = Endpoint(high: 0, low: 0, port: 0)
}
