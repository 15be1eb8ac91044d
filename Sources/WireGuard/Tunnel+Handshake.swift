internal import Bytes
internal import Ciphers
public import SansIO

extension Tunnel {
    /// Begins a handshake, in place of one that is pending, and returns its first message: 148
    /// bytes to be sent, once or more often, to wherever the peer may be.
    ///
    /// The response will be addressed to `index`, which is not one that the tunnel ``owns(_:)``.
    /// The time stamp comes from `wallStart`, which is the same for all tunnels of an identity; the
    /// ephemeral key comes from `random`.
    public mutating func initiate(
        as identity: borrowing Identity,
        index: UInt32,
        wallStart: WallStart,
        random: inout some RandomNumberGenerator,
        at now: Instant
    ) throws(HandshakeError) -> [UInt8] {
        var timestamp = wallStart.timestamp(at: now)
        if let last = lastSentTimestamp, timestamp <= last { timestamp = last.next }
        var message: [UInt8] = []
        pending = try PendingHandshake(
            with: peer,
            as: identity,
            localIndex: index,
            timestamp: timestamp,
            ephemeral: Secret(from: &random),
            message: &message
        )
        lastSentTimestamp = timestamp
        lastInitiatedAt = now
        noteCode(of: message, index: index)
        noteSent(at: now)
        timers[.initiate] = nil
        timers[.retransmit] = now.advanced(by: timing.retransmit + jitter(from: &random))
        if !timers.isSet(.giveUp) { timers[.giveUp] = now.advanced(by: timing.attempt) }
        return message
    }

    /// Answers an initiation of the peer, and returns the response: 92 bytes to be sent back, and
    /// again for each copy of that initiation that comes by another way.
    ///
    /// The session cannot send before the peer's first packet has come on it. The peer's packets
    /// will be addressed to `index`, which is not one that the tunnel ``owns(_:)``; the ephemeral
    /// key comes from `random`.
    public mutating func respond(
        to incoming: consuming IncomingInitiation,
        index: UInt32,
        random: inout some RandomNumberGenerator,
        at now: Instant
    ) throws(HandshakeError) -> [UInt8] {
        var incoming = consume incoming
        let timestamp = try incoming.openTimestamp(from: peer)
        if let last = lastSeenTimestamp, timestamp <= last { throw .replayed }
        if let last = lastRespondedAt, now < last.advanced(by: Limits.initiationInterval) {
            throw .tooSoon
        }
        var message: [UInt8] = []
        let session = try incoming.respond(
            to: peer,
            ephemeral: Secret(from: &random),
            localIndex: index,
            at: now,
            timing: timing,
            message: &message
        )
        lastSeenTimestamp = timestamp
        lastRespondedAt = now
        noteCode(of: message, index: index)
        next = consume session
        previous = nil
        timers[.wipe] = now.advanced(by: timing.wipeAfter)
        noteSent(at: now)
        return message
    }

    /// Ends the handshake that is pending with the peer's response: packets can be sent.
    ///
    /// If none is, ``advance(to:)`` asks for a keepalive, as the peer may not send before.
    public mutating func finish(
        with response: RawSpan,
        as identity: borrowing Identity,
        at now: Instant
    ) throws(HandshakeError) {
        let view = try ResponseView(response)
        guard pending.holds({ $0.localIndex == view.receiver }) else { throw .unexpected }
        try HandshakeMessage.checkCode(response, key: identity.messageKeys)
        let finished = try pending?.finish(
            with: view,
            from: peer,
            as: identity,
            at: now,
            timing: timing
        )
        guard let session = consume finished else { throw .unexpected }
        abandonHandshake()
        previous = next == nil ? current.take() : next.take()
        current = consume session
        lastHandshakeAt = now
        timers[.wipe] = now.advanced(by: timing.wipeAfter)
        timers[.silence] = nil
        timers[.confirm] = now
        rearmPersistentKeepalive(at: now)
    }

    /// Reads what a peer under load answered the last handshake message with (5.4.7): the same
    /// message may be sent again with it at once, the way that the reply came by.
    public borrowing func cookie(
        from reply: RawSpan,
        at now: Instant
    ) throws(HandshakeError) -> Cookie {
        let view = try CookieReplyView(reply)
        guard view.receiver == lastCodeIndex else { throw .unexpected }
        do {
            let opened = try XChaCha20Poly1305.open(
                view.sealedCookie,
                key: peer.messageKeys.cookie.rawSpan,
                nonce: InlineArray(copying: view.nonce),
                additional: lastCode.rawSpan
            )
            return Cookie(InlineArray(copying: opened.rawSpan), at: now)
        } catch {
            throw .notAuthentic
        }
    }

    /// Stops trying: nothing waits for a session any more. The next packet begins anew.
    public mutating func abandonHandshake() {
        pending = nil
        timers[.initiate] = nil
        timers[.retransmit] = nil
        timers[.giveUp] = nil
    }

    /// A cookie reply will refer to this message.
    private mutating func noteCode(of message: [UInt8], index: UInt32) {
        let bytes = message.rawSpan
        lastCode = InlineArray(copying: HandshakeMessage.mac1(of: bytes))
        lastCodeIndex = index
    }

    private func jitter(from random: inout some RandomNumberGenerator) -> Duration {
        let bound = timing.retransmitJitterMax.nanoseconds
        return bound > 0 ? .nanoseconds(Int64.random(in: 0...bound, using: &random)) : .zero
    }
}
