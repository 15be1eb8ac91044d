internal import Bytes
public import DNS
internal import NIOCore
public import SansIO
internal import Synchronization

/// Asks nameservers what a core cannot ask by one datagram around the tunnel: over TCP, TLS
/// (RFC 7858) and HTTPS (RFC 8484), and by any of them through the tunnel.
///
/// It keeps one connection for each nameserver, and answers under the asker's ID; the cache and
/// what an application is told are the core's affair.
public final class UpstreamDialer: Sendable {
    /// Bounds of all queries together.
    public enum Limits {
        /// From the question to the answer; a little more than cores wait, so that they decide what
        /// silence means.
        public static var time: Duration { .milliseconds(5_500) }
        /// Queries under way.
        public static var queries: Int { 2_048 }
        /// Nameservers with a connection; the one that was longest unused is let go.
        public static var lines: Int { 64 }
        /// Nameservers whose state is kept for people.
        public static var states: Int { 128 }
    }

    /// How a nameserver did when it was asked last.
    public struct State: Hashable, Sendable {
        /// As the admin wrote it.
        public let upstream: Upstream
        /// Why it gave no answer, in a sentence; nil: it did.
        public let failure: String?
    }

    private struct Key: Hashable {
        let upstream: Upstream
        let isInTunnel: Bool
    }

    private struct Table {
        /// The longest unused one first.
        var lines: [(key: Key, line: UpstreamLine)] = []
        var failures: [(upstream: Upstream, failure: UpstreamFailure?)] = []
        var underWay = 0
    }

    private let mark: UInt32?
    private let lookup: HostLookup
    private let authorities: String?
    private let time: Duration
    private let table = Mutex(Table())
    /// What happened so far.
    public let counters = UpstreamCounters()

    /// - Parameters:
    ///   - mark: The firewall mark that keeps questions out of the tunnel.
    ///   - lookup: Finds the addresses of nameservers that are known by name.
    ///   - authorities: A file (PEM) of authorities whose certificates count; nil: the system's.
    ///   - time: From the question to the answer.
    public init(
        mark: UInt32?,
        lookup: HostLookup,
        authorities: String? = nil,
        time: Duration = Limits.time
    ) {
        (self.mark, self.lookup, self.authorities) = (mark, lookup, authorities)
        self.time = time
    }

    /// The answer's bytes, under the query's ID; nil when none came in time.
    public func ask(_ query: UpstreamQuery) async -> [UInt8]? {
        counters.add { $0.queries += 1 }
        guard begin() else {
            counters.add { $0.refused += 1 }
            counters.add { $0.failures += 1 }
            return nil
        }
        defer { table.withLock { $0.underWay -= 1 } }
        do {
            let answer = try await answer(query)
            counters.add { $0.answers += 1 }
            note(query.upstream, nil)
            return answer
        } catch {
            counters.add { $0.failures += 1 }
            note(query.upstream, error as? UpstreamFailure ?? .unreachable("\(error)"))
            return nil
        }
    }

    /// The same for a question of a core that knows plain nameservers only.
    public func ask(_ exchange: Exchange) async -> [UInt8]? {
        await ask(
            UpstreamQuery(
                token: exchange.token,
                upstream: Upstream(exchange.server),
                transport: exchange.transport,
                isInTunnel: false,
                bytes: exchange.bytes
            )
        )
    }

    /// How each nameserver did that was asked, in the order in which they were asked first.
    public var states: [State] {
        table.withLock { table in
            table.failures.map { one in
                let sentence = one.failure?.sentence(of: one.upstream.host)
                return State(upstream: one.upstream, failure: sentence)
            }
        }
    }

    /// The host's network is another one: connections are made anew.
    public func networkChanged() {
        let lines = table.withLock { table in
            defer { table.lines = [] }
            return table.lines.map(\.line)
        }
        for line in lines { Task { await line.close() } }
    }

    private func answer(_ query: UpstreamQuery) async throws -> [UInt8] {
        guard let outgoing = OutgoingQuery(query.bytes) else { throw UpstreamFailure.garbled }
        let deadline = NIODeadline.now() + .nanoseconds(Int64(time / .nanoseconds(1)))
        let isDatagram = query.upstream.transport == .plain && query.transport == .datagram
        guard isDatagram, let server = query.upstream.endpoint else {
            return try await line(query).ask(outgoing, until: deadline)
        }
        let mark = query.isInTunnel ? nil : self.mark
        return try await DatagramQuestion.ask(outgoing, server, mark: mark, until: deadline)
    }

    private func line(_ query: UpstreamQuery) -> UpstreamLine {
        let key = Key(upstream: query.upstream, isInTunnel: query.isInTunnel)
        let (line, unused) = table.withLock { table -> (UpstreamLine, UpstreamLine?) in
            if let index = table.lines.lastIndex(where: { $0.key == key }) {
                let found = table.lines.remove(at: index)
                table.lines.append(found)
                return (found.line, nil)
            }
            let target = UpstreamTarget(
                upstream: query.upstream,
                mark: query.isInTunnel ? nil : mark,
                lookup: lookup
            )
            let file = authorities
            let made = UpstreamLine(target, counters) {
                SystemAuthorities.certificates(file: file)
            }
            table.lines.append((key, made))
            return (made, table.lines.count > Limits.lines ? table.lines.removeFirst().line : nil)
        }
        if let unused { Task { await unused.close() } }
        return line
    }

    private func begin() -> Bool {
        table.withLock {
            guard $0.underWay < Limits.queries else { return false }
            $0.underWay += 1
            return true
        }
    }

    private func note(_ upstream: Upstream, _ failure: UpstreamFailure?) {
        table.withLock { table in
            if let index = table.failures.firstIndex(where: { $0.upstream == upstream }) {
                table.failures[index].failure = failure
            } else {
                table.failures.append((upstream, failure))
                if table.failures.count > Limits.states { table.failures.removeFirst() }
            }
        }
    }
}
