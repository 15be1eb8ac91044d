public import SansIO

extension Tunnel {
    /// When ``advance(to:)`` must be called at the latest; nil means never. In the past or now:
    /// something is due.
    public var nextDeadline: Instant? { timers.next }

    /// Time passed: what is due, one thing at a time, until nil. Early calls are harmless.
    public mutating func advance(to now: Instant) -> Action? {
        while let timer = timers.popDue(at: now) {
            if let action = fire(timer, at: now) { return action }
        }
        return nil
    }

    private mutating func fire(_ timer: TunnelTimer, at now: Instant) -> Action? {
        switch timer {
        case .initiate, .retransmit:
            return .initiate
        case .giveUp:
            abandonHandshake()
            if !timers.isSet(.wipe) { timers[.wipe] = now.advanced(by: timing.wipeAfter) }
            return .gaveUp
        case .confirm, .keepalive:
            return .keepalive
        case .silence:
            wantHandshake(at: now)
            return nil
        case .persistentKeepalive:
            rearmPersistentKeepalive(at: now)
            return .keepalive
        case .wipe:
            wipe()
            return .expired
        }
    }

    /// Something was sent that the peer can authenticate (6.5).
    mutating func noteSent(at now: Instant) {
        timers[.keepalive] = nil
        timers[.confirm] = nil
        rearmPersistentKeepalive(at: now)
    }

    mutating func rearmPersistentKeepalive(at now: Instant) {
        if let interval = timing.persistentKeepalive {
            timers[.persistentKeepalive] = now.advanced(by: interval)
        }
    }

    /// Asks for a handshake: at once, or when the last initiation is ``Timing/retransmit`` old.
    ///
    /// While one is being tried already, trying goes on for the full time from now (6.4).
    mutating func wantHandshake(at now: Instant) {
        guard initiates else { return }
        if pending != nil {
            timers[.giveUp] = now.advanced(by: timing.attempt)
        } else if !timers.isSet(.initiate) {
            let earliest = lastInitiatedAt?.advanced(by: timing.retransmit) ?? now
            timers[.initiate] = max(now, earliest)
        }
    }

    /// Forgets all keys (6.3).
    private mutating func wipe() {
        current = nil
        previous = nil
        next = nil
        abandonHandshake()
        timers[.silence] = nil
        timers[.confirm] = nil
        timers[.keepalive] = nil
    }
}
