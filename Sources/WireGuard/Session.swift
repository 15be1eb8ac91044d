internal import Bytes
internal import Ciphers
internal import SansIO

/// One pair of keys with its counters, from a handshake to its end (5.4.5, 5.4.6).
struct Session: ~Copyable {
    /// Where the peer sends to.
    let localIndex: UInt32
    /// Where we send to.
    let remoteIndex: UInt32
    /// From when on packets sent ask for a new session; never, for a responder.
    let rekeyAt: Instant
    /// From when on packets received ask for a new session; never, for a responder.
    let lastMinuteAt: Instant
    /// From when on it is of no use.
    let rejectAt: Instant

    let sending: PacketKey
    let receiving: PacketKey
    var sendCounter: UInt64 = 0
    var received = ReplayWindow()
    /// Whether a packet received in the last minute has asked for a new session already.
    var hasAskedInLastMinute = false

    /// An initiator renews a session by age, a responder does not (6.2).
    init(
        sending: consuming Secret,
        receiving: consuming Secret,
        localIndex: UInt32,
        remoteIndex: UInt32,
        isInitiator: Bool,
        at now: Instant,
        timing: Timing,
        sendCounter: UInt64 = 0
    ) {
        self.sending = PacketKey(sending)
        self.receiving = PacketKey(receiving)
        self.localIndex = localIndex
        self.remoteIndex = remoteIndex
        self.sendCounter = sendCounter
        rekeyAt = isInitiator ? now.advanced(by: timing.rekeyAfter) : .never
        lastMinuteAt = isInitiator ? now.advanced(by: timing.lastMinute) : .never
        rejectAt = now.advanced(by: timing.rejectAfter)
    }

    /// Whether packets can be sent.
    func canSeal(at now: Instant) -> Bool {
        now < rejectAt && sendCounter < Tunnel.Limits.rejectAfterMessages
    }

    /// Whether the next packet sent should ask for a new session (6.2).
    func isStale(at now: Instant) -> Bool {
        now >= rekeyAt || sendCounter >= Tunnel.Limits.rekeyAfterMessages
    }

    /// Whether a packet received should ask for a new session (6.2): once, and only the initiator.
    mutating func asksInLastMinute(at now: Instant) -> Bool {
        guard now >= lastMinuteAt, !hasAskedInLastMinute else { return false }
        hasAskedInLastMinute = true
        return true
    }

    /// Whether `counter` is higher than all before it.
    func isNewest(_ counter: UInt64) -> Bool { counter >= received.upperBound }

    /// Writes header, padding and tag around the inner packet and seals it; ``canSeal(at:)`` holds,
    /// and there is room.
    @_lifetime(datagram: copy datagram)
    mutating func seal(_ datagram: inout MutableRawSpan, innerByteCount: Int) {
        let byteCount = Tunnel.datagramByteCount(inner: innerByteCount)
        let textEnd = byteCount - PacketKey.tagByteCount
        datagram.storeLittleEndian(MessageKind.transport.rawValue, at: 0)
        datagram.storeLittleEndian(remoteIndex, at: TransportView.Offset.receiver)
        datagram.storeLittleEndian(sendCounter, at: TransportView.Offset.counter)
        datagram.zero(Tunnel.headerByteCount + innerByteCount..<textEnd)
        var text = datagram._mutatingExtracting(Tunnel.headerByteCount..<byteCount)
        sending.seal(&text, counter: sendCounter)
        sendCounter += 1
    }

    /// Opens a packet of this session into `plain`; it counts as received only if it is authentic.
    @_lifetime(plain: copy plain)
    mutating func open(
        _ sealed: RawSpan,
        counter: UInt64,
        into plain: inout MutableRawSpan,
        at now: Instant
    ) throws(OpenError) {
        guard now < rejectAt, counter < Tunnel.Limits.rejectAfterMessages else { throw .expired }
        guard received.admits(counter) else { throw .replayed }
        do {
            try receiving.open(sealed, into: &plain, counter: counter)
        } catch {
            throw .notAuthentic
        }
        received.insert(counter)
    }
}
