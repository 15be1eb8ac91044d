internal import SansIO

/// The timers of one tunnel (section 6).
enum TunnelTimer: Int, CaseIterable {
    /// When to begin a handshake that is wanted.
    case initiate
    /// When to make a new initiation, since the last one was not answered.
    case retransmit
    /// When to stop trying.
    case giveUp
    /// When to send an empty packet because a session that we began carried nothing of ours yet.
    case confirm
    /// When to send an empty packet because something came and nothing went.
    case keepalive
    /// When to begin a handshake because something went and nothing came.
    case silence
    /// When to send an empty packet because the user wants one now and then.
    case persistentKeepalive
    /// When to wipe all keys.
    case wipe
}

/// Their deadlines, in place: setting one on the packet path allocates nothing.
struct TunnelTimers {
    private var deadlines = InlineArray<8, Instant>(repeating: .never)

    /// When `timer` is due; nil means that it is not set.
    subscript(timer: TunnelTimer) -> Instant? {
        get { isSet(timer) ? deadlines[timer.rawValue] : nil }
        set { deadlines[timer.rawValue] = newValue ?? .never }
    }

    /// Whether `timer` is set.
    func isSet(_ timer: TunnelTimer) -> Bool { deadlines[timer.rawValue] != .never }

    /// The earliest of all; nil when none is set.
    var next: Instant? {
        var earliest = Instant.never
        for index in deadlines.indices { earliest = min(earliest, deadlines[index]) }
        return earliest == .never ? nil : earliest
    }

    /// A timer that is due at `now`, which is cleared; nil when none is.
    mutating func popDue(at now: Instant) -> TunnelTimer? {
        for index in deadlines.indices where deadlines[index] <= now {
            deadlines[index] = .never
            return TunnelTimer(rawValue: index)
        }
        return nil
    }
}

extension Instant {
    /// Past every deadline; a timer that is not set.
    static var never: Instant { Instant(nanoseconds: .max) }
}
