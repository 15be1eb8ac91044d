public import SansIO
internal import Bytes

// The packet path: nothing here allocates or counts references.

extension Tunnel {
    /// Seals the packet that lies at offset 16 of `datagram`, where it lies.
    ///
    /// Header, padding and tag are written here. No inner bytes make a keepalive.
    @_lifetime(datagram: copy datagram)
    public mutating func seal(
        into datagram: inout MutableRawSpan,
        innerByteCount: Int,
        at now: Instant
    ) -> SealOutcome {
        guard (0...datagram.byteCount).contains(innerByteCount) else { return .noRoom }
        let byteCount = Self.datagramByteCount(inner: innerByteCount)
        guard byteCount <= datagram.byteCount else { return .noRoom }
        guard current?.canSeal(at: now) ?? false else {
            wantHandshake(at: now)
            return .noSession
        }
        current?.seal(&datagram, innerByteCount: innerByteCount)
        if current?.isStale(at: now) ?? false { wantHandshake(at: now) }
        noteSent(at: now)
        if innerByteCount > 0, !timers.isSet(.silence) {
            timers[.silence] = now.advanced(by: timing.silenceMax)
        }
        return .sealed(byteCount: byteCount)
    }

    /// Opens a transport packet into the start of `plain`, which needs room for all but 32 bytes of
    /// the datagram.
    @_lifetime(plain: copy plain)
    public mutating func open(
        _ datagram: RawSpan,
        into plain: inout MutableRawSpan,
        at now: Instant
    ) throws(OpenError) -> Opened {
        let view = try TransportView(datagram)
        let (index, counter) = (view.receiver, view.counter)
        let byteCount = datagram.byteCount - Self.datagramByteCount(inner: 0)
        guard plain.byteCount >= byteCount else { throw .noRoom }
        var isNewest = false
        var isConfirmation = false
        var isCurrent = true
        if current?.localIndex == index {
            isNewest = current?.isNewest(counter) ?? false
            try current?.open(view.sealed, counter: counter, into: &plain, at: now)
        } else if next?.localIndex == index {
            try next?.open(view.sealed, counter: counter, into: &plain, at: now)
            (isNewest, isConfirmation) = (true, true)
            confirmNext(at: now)
        } else if previous?.localIndex == index {
            isCurrent = false
            try previous?.open(view.sealed, counter: counter, into: &plain, at: now)
        } else {
            throw .unknownIndex
        }
        noteReceived(hasData: byteCount > 0, at: now)
        return Opened(
            byteCount: byteCount,
            isNewest: isNewest,
            isConfirmation: isConfirmation,
            isOfCurrentSession: isCurrent,
            counter: counter
        )
    }

    /// The peer has sent on the session that it began: we do from now on, and need none of ours.
    private mutating func confirmNext(at now: Instant) {
        abandonHandshake()
        lastHandshakeAt = now
        previous = current.take()
        current = next.take()
    }

    private mutating func noteReceived(hasData: Bool, at now: Instant) {
        timers[.silence] = nil
        rearmPersistentKeepalive(at: now)
        if hasData, !timers.isSet(.keepalive) {
            timers[.keepalive] = now.advanced(by: timing.keepalive)
        }
        if current?.asksInLastMinute(at: now) ?? false { wantHandshake(at: now) }
    }
}
