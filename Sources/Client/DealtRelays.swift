internal import Control
internal import Peering
internal import SansIO

/// The relays that the portal dealt, what was asked of the host for them, and what the portal was
/// told of their times.
struct DealtRelays {
    enum Limits {
        /// From a new list to the first report of times.
        static let firstTimes: Duration = .seconds(1)
        /// Between later looks at the times.
        static let timesInterval: Duration = .seconds(30)
        /// A time that changed by less, and by less than a fifth, is no news.
        static let timeStep: UInt32 = 5
        /// Between two checks of what relays know of us.
        static let renewInterval: Duration = .milliseconds(500)
        /// Between two requests for other relays.
        static let askInterval: Duration = .seconds(15)
    }

    private(set) var list: [RelayForRole] = []
    /// Those that the host has, or makes, a stream to.
    private var streams: [RelayID] = []
    private var told: [RelayTime] = []
    private var askedAt: Instant?
    private var renewedAt: Instant?
    /// When the times of a new list, or of a new session, are to be looked at.
    private(set) var timesDue: Instant?
    /// When they may be looked at again, by whatever wakes us then.
    private var nextLook: Instant?

    func isKnown(_ id: RelayID) -> Bool { list.contains { $0.id == id } }

    /// Takes over a list.
    ///
    /// - Returns: Relays whose streams are of no use any more.
    mutating func take(_ list: [RelayForRole], at now: Instant) -> [RelayID] {
        self.list = list
        let gone = streams.filter { !isKnown($0) }
        streams.removeAll { gone.contains($0) }
        expectTimes(at: now)
        return gone
    }

    /// The relay to make a stream to; nil when it takes none, or one was asked for.
    mutating func wantStream(to id: RelayID) -> RelayForRole? {
        guard let relay = list.first(where: { $0.id == id }), !streams.contains(id),
            !relay.tls.isEmpty || !relay.tcp.isEmpty
        else { return nil }
        streams.append(id)
        return relay
    }

    /// A stream is not needed any more.
    ///
    /// - Returns: Whether there was one.
    mutating func leaveStream(_ id: RelayID) -> Bool {
        guard streams.contains(id) else { return false }
        streams.removeAll { $0 == id }
        return true
    }

    /// Whether the portal may be asked for other relays, which is noted.
    mutating func mayAsk(at now: Instant) -> Bool {
        guard askedAt.map({ $0.duration(to: now) >= Limits.askInterval }) ?? true else {
            return false
        }
        askedAt = now
        return true
    }

    /// Whether what relays know of us may be checked, which is noted.
    mutating func mayRenew(at now: Instant) -> Bool {
        guard renewedAt.map({ $0.duration(to: now) >= Limits.renewInterval }) ?? true else {
            return false
        }
        renewedAt = now
        return true
    }

    /// A new session knows nothing of the times.
    mutating func forgetTold(at now: Instant) {
        told = []
        expectTimes(at: now)
    }

    private mutating func expectTimes(at now: Instant) {
        timesDue = list.isEmpty ? nil : now.advanced(by: Limits.firstTimes)
        nextLook = timesDue
    }

    /// Whether the times may be news.
    func areTimesDue(at now: Instant) -> Bool { nextLook.map { $0 <= now } ?? false }

    /// The times, when they are news and the portal can be told.
    mutating func newTimes(
        _ statuses: [RelayStatus],
        at now: Instant,
        isTold: Bool
    ) -> [RelayTime]? {
        let times = statuses.compactMap { status -> RelayTime? in
            guard let trip = status.roundTrip else { return nil }
            let milliseconds = (trip.nanoseconds + 500_000) / 1_000_000
            return RelayTime(
                relay: RelayID(status.id),
                milliseconds: UInt32(clamping: max(1, milliseconds))
            )
        }
        let isMissing = times.count < statuses.count && told.isEmpty
        timesDue = nil
        nextLook = now.advanced(by: isMissing ? Limits.firstTimes : Limits.timesInterval)
        guard isTold, !times.isEmpty, isNews(times) else { return nil }
        told = times
        return times
    }

    private func isNews(_ times: [RelayTime]) -> Bool {
        guard times.map(\.relay) == told.map(\.relay) else { return true }
        return zip(times, told).contains { new, old in
            let change =
                max(new.milliseconds, old.milliseconds)
                - min(new.milliseconds, old.milliseconds)
            return change >= Limits.timeStep && change >= old.milliseconds / 5
        }
    }
}
