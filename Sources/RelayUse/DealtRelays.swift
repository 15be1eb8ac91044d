public import Control
public import Peering
public import SansIO

/// The relays that the portal dealt, what was asked of the host for them, and what the portal was
/// told of their times.
public struct DealtRelays: Sendable {
    /// Bounds of the use of relays.
    public enum Limits {
        /// From a new list to the first report of times.
        public static var firstTimes: Duration { .seconds(1) }
        /// Between later looks at the times.
        public static var timesInterval: Duration { .seconds(30) }
        /// A time that changed by less, and by less than a fifth, is no news.
        public static var timeStep: UInt32 { 5 }
        /// Between two checks of what relays know of us.
        public static var renewInterval: Duration { .milliseconds(500) }
        /// A stream to a relay that is not dealt any more is left after this: until then it may
        /// carry the path in use.
        public static var leavingTime: Duration { .seconds(30) }
        /// Between two requests for other relays.
        public static var askInterval: Duration { .seconds(15) }
    }

    /// The relays, best first.
    public private(set) var list: [RelayForRole] = []
    /// Those that the host has, or makes, a stream to, as it was told of them.
    private var streams: [RelayForRole] = []
    /// Streams that stand.
    private var standing: [RelayID] = []
    /// Streams to relays that are not dealt any more, and when they end.
    private var leaving: [(id: RelayID, end: Instant)] = []
    private var told: [RelayTime] = []
    private var askedAt: Instant?
    private var renewedAt: Instant?
    /// When the times of a new list, or of a new session, are to be looked at.
    private var timesDue: Instant?
    /// When they may be looked at again, by whatever wakes us then.
    private var nextLook: Instant?

    public init() {}

    /// Whether a stream to the relay is of use.
    public func isKnown(_ id: RelayID) -> Bool {
        list.contains { $0.id == id } || leaving.contains { $0.id == id }
    }

    /// When something is due: a look at the times, or a stream ends.
    public var nextDeadline: Instant? { ([timesDue] + leaving.map(\.end)).compactMap { $0 }.min() }

    /// Takes over a list.
    ///
    /// - Returns: Relays whose stream is to be made anew at once: they can be reached elsewhere
    ///   now, or came back while the host waits between its attempts.
    public mutating func take(_ list: [RelayForRole], at now: Instant) -> [RelayForRole] {
        let previous = self.list
        self.list = list
        leaving.removeAll { entry in list.contains { $0.id == entry.id } }
        let gone = streams.map(\.id).filter { !isKnown($0) }
        leaving += gone.map { ($0, now.advanced(by: Limits.leavingTime)) }
        expectTimes(at: now)
        var anew: [RelayForRole] = []
        for relay in list {
            guard let place = streams.firstIndex(where: { $0.id == relay.id }) else { continue }
            let isBack = !previous.contains { $0.id == relay.id } && !standing.contains(relay.id)
            if isBack || !streams[place].isReached(as: relay) { anew.append(relay) }
            streams[place] = relay
        }
        return anew
    }

    /// Notes that the host's stream to a relay stands, or does not.
    public mutating func noteStream(to id: RelayID, stands: Bool) {
        standing.removeAll { $0 == id }
        if stands { standing.append(id) }
    }

    /// A relay whose stream is of no use any more; nil when there is none.
    public mutating func popLeft(at now: Instant) -> RelayID? {
        guard let place = leaving.firstIndex(where: { $0.end <= now }) else { return nil }
        let id = leaving.remove(at: place).id
        forgetStream(id)
        return id
    }

    /// The relay to make a stream to; nil when it takes none, or one was asked for.
    public mutating func wantStream(to id: RelayID) -> RelayForRole? {
        guard let relay = list.first(where: { $0.id == id }),
            !streams.contains(where: { $0.id == id }), !relay.tls.isEmpty || !relay.tcp.isEmpty
        else { return nil }
        streams.append(relay)
        return relay
    }

    /// A stream is not needed any more.
    ///
    /// - Returns: Whether there was one.
    public mutating func leaveStream(_ id: RelayID) -> Bool {
        guard streams.contains(where: { $0.id == id }) else { return false }
        forgetStream(id)
        leaving.removeAll { $0.id == id }
        return true
    }

    private mutating func forgetStream(_ id: RelayID) {
        streams.removeAll { $0.id == id }
        standing.removeAll { $0 == id }
    }

    /// Whether the portal may be asked for other relays, which is noted.
    public mutating func mayAsk(at now: Instant) -> Bool {
        guard askedAt.map({ $0.duration(to: now) >= Limits.askInterval }) ?? true else {
            return false
        }
        askedAt = now
        return true
    }

    /// Whether what relays know of us may be checked, which is noted.
    public mutating func mayRenew(at now: Instant) -> Bool {
        guard renewedAt.map({ $0.duration(to: now) >= Limits.renewInterval }) ?? true else {
            return false
        }
        renewedAt = now
        return true
    }

    /// A new session knows nothing of the times.
    public mutating func forgetTold(at now: Instant) {
        told = []
        expectTimes(at: now)
    }

    private mutating func expectTimes(at now: Instant) {
        timesDue = list.isEmpty ? nil : now.advanced(by: Limits.firstTimes)
        nextLook = timesDue
    }

    /// Whether the times may be news.
    public func areTimesDue(at now: Instant) -> Bool { nextLook.map { $0 <= now } ?? false }

    /// The times, when they are news and the portal can be told.
    public mutating func newTimes(
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

extension RelayForRole {
    /// Whether streams to it are made as to `other`.
    fileprivate func isReached(as other: RelayForRole) -> Bool {
        tcp == other.tcp && tls == other.tls && tlsFingerprint == other.tlsFingerprint
            && tlsName == other.tlsName
    }
}
