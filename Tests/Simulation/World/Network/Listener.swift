internal import Bytes
internal import IP
internal import SansIO
internal import STUN
internal import WireGuard

/// Somebody on the way: reads every datagram that a host sends, and keeps some.
///
/// It fails the world for a datagram that is of no protocol of ours, or that shows what is inside.
final class Listener {
    /// Openers are short and hold nothing (the gateway's own limit).
    private let openerByteCount = 8
    private unowned let internet: Internet
    /// What could be sent again, from elsewhere.
    private var overheard: (bytes: [UInt8], target: Endpoint)?
    private unowned let world: World
    private var replayedAt: Instant?
    private var nonces = NonceWatch()

    /// Whether what he sent again may have drawn the answer to what was sent at `instant` away.
    func mayHaveDiverted(_ instant: Instant) -> Bool {
        guard let replayedAt else { return false }
        // It stays so until the client says something again, by its keepalive at the latest.
        let (least, most) = (Duration.seconds(-2), Duration.seconds(26))
        return (least...most).contains(replayedAt.duration(to: instant))
    }

    /// Whether what he sent again may just be arriving.
    var hasReplayed: Bool {
        replayedAt.map { $0.duration(to: world.now) < .seconds(10) } ?? false
    }

    init(_ internet: Internet, in world: World) {
        (self.internet, self.world) = (internet, world)
        internet.inspect = { [unowned self] bytes, sender, remote in
            let kind = words(bytes)
            world.note("\(sender.name) sends \(kind ?? "something"), \(bytes.count), to \(remote)")
            if sender.name == "client", bytes.count > 64, MessageKind(of: bytes.rawSpan) != nil {
                overheard = (bytes, remote)
            }
            guard kind != nil else { return "a datagram of no protocol of ours" }
            let isRelay = sender.port == Internet.relayPort
            if nonces.isRepeated(bytes, by: sender.name, isRelay: isRelay) {
                return "two datagrams of one session with one counter"
            }
            return ProbePayload.shows(in: bytes) ? "what is inside unencrypted" : nil
        }
    }

    /// What a datagram is; nil when it should not be there.
    private func words(_ bytes: [UInt8]) -> String? {
        if STUNMessage.isSTUN(bytes.rawSpan) { return "STUN" }
        if let kind = MessageKind(of: bytes.rawSpan) { return "\(kind)" }
        if isOpener(bytes[...]) { return "opener" }
        guard let data = try? ChannelData(bytes.rawSpan) else { return nil }
        let inner = data.data
        if let kind = MessageKind(of: inner) { return "relayed \(kind)" }
        return isOpener(inner.array[...]) ? "relayed opener" : nil
    }

    private func isOpener(_ bytes: ArraySlice<UInt8>) -> Bool {
        bytes.count == openerByteCount && bytes.allSatisfy { $0 == 0 }
    }

    /// Sends again what the client sent, from an endpoint of his own: what never arrived would be
    /// news, from wherever it comes.
    func replay() {
        guard let overheard else { return }
        replayedAt = world.now
        let stranger = Endpoint(IPAddress(ipv4: 0xcb00_71fa), port: 40_000)
        internet.forge(overheard.bytes, from: stranger, to: overheard.target)
    }
}
