internal import IP
internal import NIOCore

/// Where a request comes from: the connection's other end, or what a trusted proxy says.
struct RemoteAddress: Sendable {
    /// Networks whose `X-Forwarded-For` is believed.
    let proxies: [IPPrefix]

    /// The address of who asked; nil on the local socket.
    ///
    /// The header is read from its end: each proxy appends whom it saw, so the first address that
    /// is no proxy of ours is the last one that somebody we trust has seen.
    func address(of peer: SocketAddress?, forwardedFor header: [String]) -> IPAddress? {
        guard let text = peer?.ipAddress, let peer = Self.address(text) else { return nil }
        guard isProxy(peer) else { return peer }
        let hops = header.flatMap { $0.split(separator: ",") }
        var seen = peer
        for hop in hops.reversed() {
            guard let address = Self.address(hop) else { return seen }
            seen = address
            if !isProxy(address) { return address }
        }
        return seen
    }

    private func isProxy(_ address: IPAddress) -> Bool { proxies.contains { $0.contains(address) } }

    /// An address as sockets and proxies write it: mapped, with a zone, with spaces around.
    static func address(_ text: some StringProtocol) -> IPAddress? {
        var plain = String(text).filter { $0 != " " }
        if let zone = plain.firstIndex(of: "%") { plain = String(plain[..<zone]) }
        if plain.lowercased().hasPrefix("::ffff:"), plain.contains(".") { plain.removeFirst(7) }
        return IPAddress(plain)
    }
}
