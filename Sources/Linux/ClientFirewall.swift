/// The client's table of nftables: replies to marked packets get the mark back, so that a strict
/// reverse-path filter looks for their way around the tunnel, as for the packets themselves.
///
/// Takes `src_valid_mark` as well: see ``Forwarding/honourMarks(_:)``.
public struct ClientFirewall: Sendable {
    /// Name of the table, in family inet.
    public let table: String
    private let mark: String
    private let mask: String

    /// - Parameters:
    ///   - mark: The mark of the client's own sockets.
    ///   - mask: The bits of it that are ours.
    ///   - suffix: Tells two clients in one network namespace apart.
    public init(mark: UInt32, mask: UInt32, suffix: String = "") {
        table = "culvert-client" + suffix
        self.mark = "0x" + String(mark, radix: 16)
        self.mask = "0x" + String(mask, radix: 16)
    }

    /// Sets the table, in place of one with this name.
    public func install() throws(NftablesError) {
        try Nftables.load(Nftables.removal(of: table) + script)
    }

    /// Removes the table; fine when it is not there.
    public func remove() throws(NftablesError) {
        try Nftables.load(Nftables.removal(of: table))
    }

    private var script: String {
        """
        table inet \(table) {
            chain save {
                type filter hook output priority -150; policy accept;
                meta mark & \(mask) == \(mark) ct mark set ct mark | \(mark)
            }
            chain restore {
                type filter hook prerouting priority -150; policy accept;
                ct direction reply ct mark & \(mask) == \(mark) meta mark set meta mark | \(mark)
            }
        }

        """
    }
}
