internal import Bytes
internal import Control
internal import DNS
internal import IP
internal import Peering
internal import SansIO

// The other records of protected names: asked of the resolver at the gateway's own tunnel address,
// by the host's kernel, whose packets to there take the way of all packets.
extension Client {
    /// Asks the gateway of a protected name for its other records: a first packet to the resource,
    /// whatever its port filters say.
    mutating func askSite(
        _ question: SiteQuestion,
        at now: Instant,
        into outbox: inout Outbox
    ) {
        guard let resource = resource(for: question, at: now) else {
            return refuse(question.token, .removed, at: now, into: &outbox)
        }
        guard siteQuestions.insert(question, for: resource, at: now) else {
            return refuse(question.token, .overloaded, at: now, into: &outbox)
        }
        counters.siteQuestions += 1
        var authorization = authorization(of: resource)
        authorization.lastUsed = now
        if let slot = slot(of: question.name) {
            authorization.name = (question.name.description, slot)
        }
        authorizations[resource] = authorization
        proceed(question.token, at: now, into: &outbox)
        computeDeadline()
    }

    /// The most specific resource; among several with its pattern, which share the name by their
    /// filters, the first that is not denied. A broader one is no way round a denial.
    private func resource(for question: SiteQuestion, at now: Instant) -> ResourceID? {
        let known = question.resources.filter { router.knows($0) }
        guard let first = known.first else { return nil }
        let pattern = router[first]?.pattern
        let allowed = known.first { id in
            guard router[id]?.pattern == pattern else { return false }
            return authorizations[id]?.denial.map { $0.until <= now } ?? true
        }
        return allowed ?? first
    }

    private func slot(of name: Name) -> Int? {
        switch stub {
        case .some(let stub): stub.proxies.slot(of: name)
        case .none: nil
        }
    }

    /// Something changed for a resource that questions wait for.
    mutating func proceedQuestions(
        of resource: ResourceID,
        at now: Instant,
        into outbox: inout Outbox
    ) {
        guard !siteQuestions.isEmpty else { return }
        let gateway = authorizations[resource]?.lease?.gateway
        for entry in siteQuestions.entries where entry.resource == resource {
            guard entry.isWaiting || entry.attempts.last.map({ $0.gateway != gateway }) ?? false
            else { continue }
            proceed(entry.question.token, at: now, into: &outbox)
        }
        computeDeadline()
    }

    /// Asks, refuses, or waits for what is missing.
    private mutating func proceed(
        _ token: UInt64,
        at now: Instant,
        into outbox: inout Outbox
    ) {
        guard let entry = siteQuestions[token] else { return }
        guard outbox.hasTunnelRoom(packets: 1, byteCount: Limits.tunnelRoom) else {
            siteQuestions[token]?.isWaiting = true
            if !draining.contains(entry.resource) { draining.append(entry.resource) }
            return
        }
        guard router.knows(entry.resource) else {
            return refuse(token, .removed, at: now, into: &outbox)
        }
        let authorization = authorization(of: entry.resource)
        if let denial = authorization.denial, denial.until > now {
            guard let next = resource(for: entry.question, at: now), next != entry.resource,
                authorizations[next]?.denial.map({ $0.until <= now }) ?? true
            else { return refuse(token, .denied(denial.refusal), at: now, into: &outbox) }
            siteQuestions[token]?.resource = next
            return proceed(token, at: now, into: &outbox)
        }
        guard let lease = authorization.lease, lease.endsAt > now,
            let gateway = gateways.first(where: { $0.id == lease.gateway }),
            gateway.health == .connected
        else {
            siteQuestions[token]?.isWaiting = true
            return kick(entry.resource, at: now)
        }
        guard let address = address(of: gateway) else {
            return refuse(token, .withoutAddress, at: now, into: &outbox)
        }
        ask(token, gateway.id, at: address, now)
    }

    /// The tunnel address of a gateway, in a family that we have.
    private func address(of gateway: GatewayOnClient) -> IPAddress? {
        let families = Set((identity?.tunnel ?? []).map(\.family))
        return gateway.tunnel.first { families.contains($0.family) }
    }

    private mutating func ask(
        _ token: UInt64,
        _ gateway: GatewayID,
        at address: IPAddress,
        _ now: Instant
    ) {
        guard var entry = siteQuestions[token] else { return }
        let attempt = SiteQuestions.Attempt(
            token: siteQuestions.nextToken(),
            gateway: gateway,
            transport: entry.isStream ? .stream : .datagram
        )
        entry.isWaiting = false
        entry.attempts.append(attempt)
        if entry.isStream {
            entry.repetition = nil
        } else {
            entry.datagrams += 1
            let isLast = entry.datagrams >= SiteQuestions.Limits.datagrams
            entry.repetition = isLast ? nil : now.advanced(by: SiteQuestions.Limits.repetition)
        }
        siteQuestions[token] = entry
        output(
            .forward(
                UpstreamQuery(
                    token: attempt.token,
                    upstream: Upstream(Endpoint(address, port: Self.dnsPort)),
                    transport: attempt.transport,
                    isInTunnel: true,
                    bytes: entry.question.bytes
                )
            )
        )
    }

    /// Sends datagrams again, and lets go of questions that the resolver has answered by itself.
    mutating func advanceQuestions(to now: Instant, into outbox: inout Outbox) {
        guard !siteQuestions.isEmpty, let next = siteQuestions.nextDeadline, next <= now else {
            return
        }
        siteQuestions.removeExpired(at: now)
        for entry in siteQuestions.entries {
            guard let repetition = entry.repetition, repetition <= now else { continue }
            siteQuestions[entry.question.token]?.repetition = nil
            proceed(entry.question.token, at: now, into: &outbox)
        }
        computeDeadline()
    }
}

// MARK: - Answers

extension Client {
    /// A gateway answered, or (nil) was not reached.
    mutating func finishQuestion(
        _ attempt: UInt64,
        with bytes: [UInt8]?,
        at now: Instant,
        into outbox: inout Outbox
    ) {
        guard let (attempt, token) = siteQuestions.end(attempt), let entry = siteQuestions[token]
        else { return }
        computeDeadline()
        guard let bytes else {
            return fail(attempt, entry, at: now, into: &outbox)
        }
        switch SiteAnswer(bytes) {
        case .cut where attempt.transport == .datagram && !entry.isStream:
            siteQuestions[token]?.cut = bytes
            siteQuestions[token]?.isStream = true
            siteQuestions[token]?.repetition = nil
            proceed(token, at: now, into: &outbox)
        case .notGranted:
            forgetLease(of: entry.resource, at: attempt.gateway)
            guard !entry.wasRefused else {
                return refuse(token, .notGranted, at: now, into: &outbox)
            }
            siteQuestions[token]?.wasRefused = true
            siteQuestions[token]?.repetition = nil
            siteQuestions[token]?.attempts = []
            proceed(token, at: now, into: &outbox)
        case .cut, .whole: finish(token, with: bytes, at: now, into: &outbox)
        }
    }

    private mutating func finish(
        _ token: UInt64,
        with bytes: [UInt8],
        at now: Instant,
        into outbox: inout Outbox
    ) {
        siteQuestions[token] = nil
        guard let reply = stub?.finish(token, with: bytes, at: now) else { return }
        answer(reply.asker, reply.bytes, into: &outbox)
    }

    /// Where the gateway cannot be reached by TCP, a datagram is better than nothing.
    private mutating func fail(
        _ attempt: SiteQuestions.Attempt,
        _ entry: SiteQuestions.Entry,
        at now: Instant,
        into outbox: inout Outbox
    ) {
        let token = entry.question.token
        if attempt.transport == .stream, entry.isStream {
            if let cut = entry.cut { return finish(token, with: cut, at: now, into: &outbox) }
            siteQuestions[token]?.isStream = false
            return proceed(token, at: now, into: &outbox)
        }
        guard !entry.isWaiting, entry.attempts.isEmpty, entry.repetition == nil else { return }
        refuse(token, .unreached, at: now, into: &outbox)
    }

    /// The lease is gone there, as after a restart that we did not notice.
    private mutating func forgetLease(of resource: ResourceID, at gateway: GatewayID) {
        guard authorizations[resource]?.lease?.gateway == gateway else { return }
        authorizations[resource]?.lease = nil
        changed()
    }

    /// A question cannot be asked: its asker is told why.
    private mutating func refuse(
        _ token: UInt64,
        _ error: ExtendedError,
        at now: Instant,
        into outbox: inout Outbox
    ) {
        siteQuestions[token] = nil
        counters.siteRefused += 1
        guard let reply = stub?.refuse(token, error: error, at: now) else { return }
        answer(reply.asker, reply.bytes, into: &outbox)
    }
}

/// What a gateway's answer means for the way of the question.
private enum SiteAnswer {
    case whole
    /// It did not fit the datagram.
    case cut
    /// The gateway knows of no live lease for the name.
    case notGranted

    init(_ bytes: [UInt8]) {
        guard let view = try? MessageView(bytes.rawSpan), view.header.isResponse else {
            self = .whole
            return
        }
        let isProhibited =
            view.edns?.extendedErrors.contains { $0.code == ExtendedError.prohibited.code }
        if view.header.responseCode(with: view.edns) == .refused, isProhibited ?? false {
            self = .notGranted
        } else {
            self = view.header.isTruncated ? .cut : .whole
        }
    }
}

extension ExtendedError {
    fileprivate static let overloaded = ExtendedError(
        code: networkError.code,
        text: "Too many questions for sites at once; ask again later."
    )
    fileprivate static let removed = ExtendedError(
        code: prohibited.code,
        text: "The resource of this name was taken away."
    )
    fileprivate static let withoutAddress = ExtendedError(
        code: noReachableAuthority.code,
        text: "The gateway has no tunnel address of a family that this client has."
    )
    fileprivate static let notGranted = ExtendedError(
        code: prohibited.code,
        text: "The gateway knows of no permission for this name; see culvert explain."
    )
    fileprivate static let unreached = ExtendedError(
        code: networkError.code,
        text: "The gateway's resolver was not reached."
    )

    fileprivate static func denied(_ refusal: Control.Refusal) -> ExtendedError {
        let code = refusal.code == .offline ? noReachableAuthority.code : prohibited.code
        return ExtendedError(code: code, text: refusal.sentence)
    }
}
