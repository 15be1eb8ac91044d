internal import SansIO

/// Whether one peer still hears us and we it: a clock of what was sent and heard.
///
///     quiet ──sent──▶ waiting ──half the patience──▶ asked ──patience──▶ distress ──2 s──▶ lost
///       ▲                │                             │                    │              │
///       └────────────────┴────────── heard ────────────┴────────────────────┴──────────────┘
///
/// The patience is three round trips, 250 ms at least. Half of it after something was sent into
/// silence, the peer is asked by a probe, which is always answered: so a server that does not
/// answer, or traffic that needs no answer, is never mistaken for a dead path.
struct Liveness {
    enum Limits {
        /// Traffic within this time makes a side active.
        static let activeTime: Duration = .seconds(30)
        /// An active side that has sent nothing for this long sends a probe.
        static let quietMax: Duration = .milliseconds(500)
        /// The same for a side that is not.
        static let keepalive: Duration = .seconds(25)
        /// The same for a client: its question comes first, and the gateway's answer is the
        /// gateway's own keepalive.
        static let clientKeepalive: Duration = .seconds(24)
        /// The shortest patience; else three round trips.
        static let patienceMin: Duration = .milliseconds(250)
        /// Between rounds of probes in distress, for the first second …
        static let huntGap: Duration = .milliseconds(100)
        static let fastHunt: Duration = .seconds(1)
        /// … and later.
        static let slowHuntGap: Duration = .milliseconds(250)
        /// After this much silence in all the peer is lost; twice the patience at least.
        static let lostAfter: Duration = .seconds(2)
        /// Who looks so much later than a deadline was asleep, and may have missed what was sent.
        static let oversleep: Duration = .seconds(1)
        /// A hunt that nobody answers ends so long after the last traffic; the keepalive goes on.
        static let huntMax: Duration = .seconds(10)
    }

    /// What is due.
    enum Due {
        /// To say something on the chosen path, which the peer answers.
        case ask
        /// To begin probing all pairs.
        case distress
        /// To probe all pairs again.
        case round
        /// To say that the peer is lost.
        case lost
        /// To ask once more, and then no more than now and then: nobody answers.
        case rest
    }

    private enum State {
        case quiet
        case waiting(since: Instant)
        case asked(since: Instant)
        case hunting(Hunt)
        /// A hunt that ended in silence.
        case exhausted
    }

    private struct Hunt {
        var since: Instant
        /// When the first thing was sent that nobody answered.
        var silentSince: Instant
        var nextRound: Instant
        var isLost = false
        /// Whether nothing at all is heard; else the chosen path alone fails.
        var isSilent: Bool
    }

    /// How long a side that is not active may say nothing.
    private let keepalive: Duration
    private var state = State.quiet
    private(set) var lastTraffic: Instant?
    private var lastSent: Instant?
    private(set) var lastHeard: Instant?

    init(_ role: PeerRole) {
        keepalive =
            switch role {
            case .client: Limits.clientKeepalive
            case .gateway: Limits.keepalive
            }
    }

    /// Whether all pairs are being probed.
    var isHunting: Bool {
        switch state {
        case .hunting: true
        case .quiet, .waiting, .asked, .exhausted: false
        }
    }

    /// Whether nothing speaks against the chosen path.
    var isHealthy: Bool {
        switch state {
        case .quiet, .waiting, .asked: true
        case .hunting, .exhausted: false
        }
    }

    /// Whether something was sent that got no answer in time.
    var isInDistress: Bool {
        switch state {
        case .hunting(let hunt): hunt.isSilent
        case .exhausted: true
        case .quiet, .waiting, .asked: false
        }
    }

    /// When all pairs began to be probed; nil when they are not.
    var huntingSince: Instant? {
        switch state {
        case .hunting(let hunt): hunt.since
        case .quiet, .waiting, .asked, .exhausted: nil
        }
    }

    /// Whether traffic flowed lately.
    func isActive(at now: Instant) -> Bool {
        lastTraffic.map { $0.duration(to: now) < Limits.activeTime } ?? false
    }

    /// Three round trips, 250 ms at least.
    static func patience(_ roundTrip: Duration?) -> Duration {
        // Arithmetic of durations is in 128 bits; this is asked for often.
        let trips = 3 * (roundTrip?.nanoseconds ?? 0)
        return max(.nanoseconds(trips), Limits.patienceMin)
    }
}

// MARK: - What happens

extension Liveness {
    /// A packet of an application was sent.
    ///
    /// - Returns: Whether something may be due sooner than before.
    mutating func sentTraffic(at now: Instant) -> Bool {
        let wakes = wakes(at: now)
        (lastTraffic, lastSent) = (now, now)
        switch state {
        case .quiet, .exhausted:
            state = .waiting(since: now)
            return true
        case .waiting, .asked, .hunting: return wakes
        }
    }

    /// Whether traffic now makes a side active that was not.
    private func wakes(at now: Instant) -> Bool {
        guard let lastTraffic else { return true }
        return now.nanoseconds &- lastTraffic.nanoseconds >= Self.activeNanoseconds
    }

    private static let activeNanoseconds = UInt64(Limits.activeTime.nanoseconds)

    /// Something was sent that may be answered.
    mutating func sentQuestion(at now: Instant) {
        lastSent = now
        switch state {
        case .quiet: state = .waiting(since: now)
        case .waiting, .asked, .hunting, .exhausted: break
        }
    }

    /// Something was sent that asks for nothing.
    mutating func sentAnswer(at now: Instant) { lastSent = now }

    /// Something authentic was received.
    ///
    /// - Parameters:
    ///   - isTraffic: Whether it is a packet of an application.
    ///   - isByChosenPath: Whether it came by the chosen path. What came by another one does not
    ///     keep the chosen one from being asked.
    ///   - now: The time.
    /// - Returns: Whether something may be due sooner than before.
    mutating func heard(isTraffic: Bool, isByChosenPath: Bool, at now: Instant) -> Bool {
        let wakes = lastSent == nil || (isTraffic && wakes(at: now))
        lastHeard = now
        if isTraffic { lastTraffic = now }
        if lastSent == nil { lastSent = now }
        switch state {
        case .waiting where !isByChosenPath: break
        case .waiting, .asked, .exhausted: state = .quiet
        case .hunting(var hunt):
            // What is heard ends the silence; the hunt goes on until the chosen path works.
            hunt.isSilent = false
            hunt.isLost = false
            state = .hunting(hunt)
        case .quiet: break
        }
        return wakes
    }

    /// The chosen path is known to work, or another one was chosen that does.
    mutating func pathWorks() {
        switch state {
        case .hunting, .exhausted: state = .quiet
        case .quiet, .waiting, .asked: break
        }
    }

    /// Begins probing all pairs though the peer is heard: the chosen path does not answer, or our
    /// own addresses changed.
    mutating func doubt(at now: Instant) {
        switch state {
        case .hunting: break
        case .quiet, .waiting, .asked, .exhausted:
            state = .hunting(
                Hunt(since: now, silentSince: now, nextRound: now, isSilent: false)
            )
        }
    }

    /// Forgets what was sent: a new session begins.
    mutating func restart(at now: Instant) {
        state = .quiet
        lastSent = now
        lastHeard = now
    }

    /// Goes on where another process stopped, which has sent everything that was due.
    mutating func resume(lastTraffic: Instant?, at now: Instant) {
        restart(at: now)
        self.lastTraffic = lastTraffic
    }
}

// MARK: - Time

extension Liveness {
    /// When something may be due.
    func nextDeadline(roundTrip: Duration?) -> Instant? {
        let patience = Self.patience(roundTrip)
        let next: Instant?
        switch state {
        case .quiet, .exhausted: next = nil
        case .waiting(let since): next = since.advanced(by: patience / 2)
        case .asked(let since): next = since.advanced(by: patience)
        case .hunting(let hunt): next = deadline(of: hunt, patience: patience)
        }
        guard let quiet = quietDeadline else { return next }
        return next.map { min($0, quiet) } ?? quiet
    }

    /// When a side that says nothing must say something.
    private var quietDeadline: Instant? {
        guard let lastSent else { return nil }
        let soon = lastSent.advanced(by: Limits.quietMax)
        if let lastTraffic, soon < lastTraffic.advanced(by: Limits.activeTime) { return soon }
        return lastSent.advanced(by: keepalive)
    }

    /// What is due now, one thing at a time; nil when nothing is.
    mutating func popDue(at now: Instant, roundTrip: Duration?) -> Due? {
        let patience = Self.patience(roundTrip)
        switch state {
        case .waiting(let since) where since.advanced(by: patience / 2) <= now:
            let hasSlept = Self.hasSlept(since.advanced(by: patience / 2), now)
            state = .asked(since: hasSlept ? now : since)
            return .ask
        case .asked(let since) where since.advanced(by: patience) <= now:
            let start = Self.hasSlept(since.advanced(by: patience), now) ? now : since
            let next = now.advanced(by: Limits.huntGap)
            state = .hunting(
                Hunt(since: now, silentSince: start, nextRound: next, isSilent: true)
            )
            return .distress
        case .hunting(let hunt) where deadline(of: hunt, patience: patience) <= now:
            return hunting(hunt, patience: patience, at: now)
        case .quiet, .waiting, .asked, .hunting, .exhausted:
            break
        }
        guard let quiet = quietDeadline, quiet <= now else { return nil }
        lastSent = now
        return .ask
    }

    private mutating func hunting(_ previous: Hunt, patience: Duration, at now: Instant) -> Due {
        var hunt = previous
        if Self.hasSlept(hunt.nextRound, now) { (hunt.since, hunt.silentSince) = (now, now) }
        let silence = silenceStart(of: hunt).duration(to: now)
        defer {
            if isHunting { state = .hunting(hunt) }
        }
        // A hunt that began in doubt turns silent when nothing is heard.
        if !hunt.isSilent, silence >= patience {
            hunt.isSilent = true
            return .distress
        }
        if hunt.isSilent, !hunt.isLost, silence >= Self.lostAfter(patience) {
            hunt.isLost = true
            return .lost
        }
        let elapsed = hunt.since.duration(to: now)
        let untried = lastTraffic.map { $0.duration(to: now) }
        if silence >= Limits.huntMax, untried.map({ $0 >= Limits.huntMax }) ?? true {
            state = .exhausted
            return .rest
        }
        let gap = elapsed < Limits.fastHunt ? Limits.huntGap : Limits.slowHuntGap
        hunt.nextRound = now.advanced(by: gap)
        return .round
    }

    /// What could not be heard in one's sleep is no silence.
    private static func hasSlept(_ deadline: Instant, _ now: Instant) -> Bool {
        deadline.duration(to: now) >= Limits.oversleep
    }

    /// When a hunt's next step is due.
    private func deadline(of hunt: Hunt, patience: Duration) -> Instant {
        let start = silenceStart(of: hunt)
        if !hunt.isSilent { return min(hunt.nextRound, start.advanced(by: patience)) }
        if !hunt.isLost {
            return min(hunt.nextRound, start.advanced(by: Self.lostAfter(patience)))
        }
        return hunt.nextRound
    }

    private func silenceStart(of hunt: Hunt) -> Instant {
        max(hunt.silentSince, lastHeard ?? hunt.silentSince)
    }

    private static func lostAfter(_ patience: Duration) -> Duration {
        max(Limits.lostAfter, patience * 2)
    }
}
