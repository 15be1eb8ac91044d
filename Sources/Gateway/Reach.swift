internal import Control
internal import DNS
internal import SansIO

/// Which resources are reached from here, as connections and look-ups show.
///
/// A failure counts only when nothing of the resource answered meanwhile, and a port that never
/// answered says nothing of a host that does; where a resource has many addresses, one failure is
/// no evidence. What is believed is told in ``Report``s, each bounded in
/// rate. It sends nothing of its own.
struct Reach: Sendable {
    /// Bounds of what is remembered, and of what is told.
    enum Limits {
        /// Resources remembered.
        static var resources: Int { 4_096 }
        /// An answer of the resource this recent outweighs a failure of a port that never answered.
        static var trust: Duration { .seconds(10) }
        /// Ports of one resource that are remembered to have answered.
        static var ports: Int { 16 }
        /// Failures further apart than this are not of one cause.
        static var memory: Duration { .seconds(30) }
        /// The portal is told of one resource so often at most.
        static var interval: Duration { .seconds(5) }
        /// A look-up without an answer for so long counts as a failure.
        static var lookupPatience: Duration { .seconds(1) }
        /// Look-ups watched at a time.
        static var lookups: Int { 256 }
    }

    /// What was tried in vain.
    enum Cause: Sendable, Equatable {
        case lookup, connection
    }

    /// What the portal is to be told.
    struct Report: Sendable, Equatable {
        var resource: ResourceID
        var isReached: Bool
    }

    /// A look-up whose answer is waited for.
    struct Lookup: Sendable, Equatable {
        var waiter: Gateway.Waiter
        var realName: Name
        var since: Instant
    }

    private struct State {
        var answeredAt: Instant?
        var ports: [UInt16] = []
        var failedAt: Instant?
        var failures = 0
        /// Why the portal was told that it is not reached; nil when it was not.
        var cause: Cause?
        var toldAt: Instant?
    }

    private var states: [ResourceID: State] = [:]
    private var lookups: [Lookup] = []

    /// Something of the resource answered.
    mutating func succeed(_ resource: ResourceID, port: UInt16, at now: Instant) -> Report? {
        makeRoom()
        var state = states[resource] ?? State()
        (state.answeredAt, state.failures) = (now, 0)
        if !state.ports.contains(port) {
            if state.ports.count >= Limits.ports { state.ports.removeFirst() }
            state.ports.append(port)
        }
        defer { states[resource] = state }
        guard state.cause != nil else { return nil }
        state.cause = nil
        return Report(resource: resource, isReached: true)
    }

    /// A name of the resource was resolved.
    mutating func resolve(_ resource: ResourceID) -> Report? {
        guard states[resource]?.cause == .lookup else { return nil }
        states[resource]?.cause = nil
        states[resource]?.failures = 0
        return Report(resource: resource, isReached: true)
    }

    /// Something of the resource, at `port` or its name, did not answer since `start`; `needed`
    /// failures are evidence.
    mutating func fail(
        _ resource: ResourceID,
        _ cause: Cause,
        port: UInt16?,
        since start: Instant,
        needed: Int,
        at now: Instant
    ) -> Report? {
        makeRoom()
        var state = states[resource] ?? State()
        defer { states[resource] = state }
        if let answered = state.answeredAt {
            if answered > start { return nil }
            let isKnown = port.map { state.ports.contains($0) } ?? true
            if !isKnown, answered.duration(to: now) < Limits.trust { return nil }
        }
        let isOld = state.failedAt.map { $0.duration(to: now) >= Limits.memory } ?? false
        state.failures = isOld ? 1 : min(state.failures + 1, needed)
        state.failedAt = now
        guard state.failures >= needed,
            state.toldAt.map({ $0.duration(to: now) >= Limits.interval }) ?? true
        else { return nil }
        (state.cause, state.toldAt) = (cause, now)
        return Report(resource: resource, isReached: false)
    }

    private mutating func makeRoom() {
        guard states.count >= Limits.resources else { return }
        states = states.filter { $0.value.cause != nil }
        if states.count >= Limits.resources { states = [:] }
    }

    /// A look-up began whose answer somebody waits for.
    mutating func expect(_ waiter: Gateway.Waiter, _ realName: Name, at now: Instant) {
        guard lookups.count < Limits.lookups,
            !lookups.contains(where: { $0.waiter == waiter && $0.realName == realName })
        else { return }
        lookups.append(Lookup(waiter: waiter, realName: realName, since: now))
    }

    /// The next look-up that was waited for long enough.
    mutating func popLate(at now: Instant) -> Lookup? {
        guard let nextDeadline, nextDeadline <= now else { return nil }
        return lookups.removeFirst()
    }

    /// When a look-up is late.
    var nextDeadline: Instant? { lookups.first?.since.advanced(by: Limits.lookupPatience) }
}
