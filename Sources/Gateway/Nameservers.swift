internal import Bytes
internal import SansIO

/// The site's nameservers, and which of them answered of late.
///
/// A server that kept silent is asked last for a while; then one question is put to it beside the
/// one that is asked anyway, so that nobody waits for finding out whether it is back.
struct Nameservers: Sendable {
    enum Limits {
        /// How long a silent server rests before it is tried again.
        static var rest: Duration { .seconds(10) }
        /// Servers that are used; glibc uses three.
        static var servers: Int { 16 }
    }

    private struct Server: Sendable {
        let endpoint: Endpoint
        /// When it is tried again; nil: it answered, or was never asked.
        var silentUntil: Instant?
    }

    private var servers: [Server] = []
    private var turn = 0

    var isEmpty: Bool { servers.isEmpty }

    var count: Int { servers.count }

    /// Takes over the servers in order; what is known of those that stay is kept.
    mutating func set(_ endpoints: [Endpoint]) {
        let known = servers
        servers = []
        for endpoint in endpoints
        where servers.count < Limits.servers
            && !servers.contains(where: { $0.endpoint == endpoint })
        {
            servers.append(
                known.first { $0.endpoint == endpoint } ?? Server(endpoint: endpoint)
            )
        }
    }

    /// Whom to ask, in this order: who answers, then who kept silent.
    mutating func order(rotates: Bool) -> [Endpoint] {
        let speaking = servers.filter { $0.silentUntil == nil }.map(\.endpoint)
        let silent = servers.filter { $0.silentUntil != nil }.map(\.endpoint)
        guard rotates, speaking.count > 1 else { return speaking + silent }
        turn = (turn + 1) % speaking.count
        return Array(speaking[turn...] + speaking[..<turn]) + silent
    }

    /// A server that has rested and is worth a question now; nil when there is none. It rests again
    /// until it answers.
    mutating func takeRested(at now: Instant) -> Endpoint? {
        guard servers.contains(where: { $0.silentUntil == nil }),
            let index = servers.firstIndex(where: { $0.silentUntil.map { $0 <= now } ?? false })
        else { return nil }
        servers[index].silentUntil = now.advanced(by: Limits.rest)
        return servers[index].endpoint
    }

    /// It did not answer in time, or cannot be reached.
    mutating func noteSilence(of endpoint: Endpoint, at now: Instant) {
        guard let index = servers.firstIndex(where: { $0.endpoint == endpoint }) else { return }
        servers[index].silentUntil = now.advanced(by: Limits.rest)
    }

    /// It answered, whatever it said.
    mutating func noteAnswer(of endpoint: Endpoint) {
        guard let index = servers.firstIndex(where: { $0.endpoint == endpoint }) else { return }
        servers[index].silentUntil = nil
    }
}
