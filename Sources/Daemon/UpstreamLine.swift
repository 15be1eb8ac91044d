internal import DNS
internal import NIOCore
internal import X509

/// What there is of one nameserver that is asked by connections: one that is kept, and the last
/// failure.
actor UpstreamLine {
    /// Bounds of a line.
    enum Limits {
        /// After a connection failed, queries fail at once for this long, so that a dead server is
        /// not greeted for every query.
        static var rest: TimeAmount { .milliseconds(250) }
        /// How often one query is sent.
        static var attempts: Int { 2 }
    }

    private let target: UpstreamTarget
    private let authorities: @Sendable () -> [Certificate]
    private let counters: UpstreamCounters
    private var kept: (any Conversation)?
    private var connecting: Task<any Conversation, any Error>?
    private var generation = 0
    private var rest: (until: NIODeadline, failure: UpstreamFailure)?

    init(
        _ target: UpstreamTarget,
        _ counters: UpstreamCounters,
        authorities: @escaping @Sendable () -> [Certificate]
    ) {
        (self.target, self.counters, self.authorities) = (target, counters, authorities)
    }

    /// Asks over the kept connection, or a new one; once more over a fresh one when the server had
    /// closed a kept one.
    ///
    /// - Throws: ``UpstreamFailure``.
    func ask(_ query: OutgoingQuery, until deadline: NIODeadline) async throws -> [UInt8] {
        var attempt = 1
        while true {
            let conversation = try await conversation()
            guard NIODeadline.now() < deadline else { throw UpstreamFailure.silent }
            do {
                return try await conversation.ask(query, until: deadline)
            } catch UpstreamFailure.closed(hasAnswered: true) where attempt < Limits.attempts {
                counters.add { $0.retries += 1 }
                attempt += 1
            }
        }
    }

    /// Ends the kept connection: the network is another one, or nobody asks any more.
    func close() {
        kept?.close()
        kept = nil
        connecting?.cancel()
        connecting = nil
        rest = nil
        generation += 1
    }

    private func conversation() async throws -> any Conversation {
        if let kept {
            if kept.isOpen { return kept }
            self.kept = nil
        }
        if let rest {
            if NIODeadline.now() < rest.until { throw rest.failure }
            self.rest = nil
        }
        if let connecting { return try await connecting.value }
        let mine = generation
        let task = Task { () async throws -> any Conversation in try await self.connect() }
        connecting = task
        let result = await task.result
        // Closed meanwhile: what was made belongs to those who waited for it, and to nobody after.
        guard mine == generation else { return try result.get() }
        connecting = nil
        switch result {
        case .success(let conversation): kept = conversation
        case .failure(let error):
            let failure = error as? UpstreamFailure ?? .unreachable("\(error)")
            rest = (NIODeadline.now() + Limits.rest, failure)
        }
        return try result.get()
    }

    private func connect() async throws -> any Conversation {
        counters.add { $0.connections += 1 }
        do {
            switch target.upstream.transport {
            case .plain:
                return try await StreamConversation.connect(target, tls: nil, counters: counters)
            case .tls:
                let tls = tls(inside: .dot)
                return try await StreamConversation.connect(target, tls: tls, counters: counters)
            case .https:
                return try await HTTPSConversation.connect(target, tls: tls(inside: .h2))
            }
        } catch {
            throw UpstreamFailure(connecting: error)
        }
    }

    private func tls(inside: UpstreamTLS.Inside) -> UpstreamTLS {
        UpstreamTLS(host: target.upstream.host, inside: inside, authorities: authorities)
    }
}
