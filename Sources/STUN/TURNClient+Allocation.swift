internal import Bytes
internal import IP
internal import SansIO

extension TURNClient {
    mutating func allocate(_ wish: AllocationWish, at now: Instant) {
        phase = .allocating
        session.use(server.credentials)
        cancel { transaction in
            switch transaction.purpose {
            case .allocate, .clear, .refresh: true
            case .binding, .release, .permit, .bind: false
            }
        }
        start(.allocate(wish), at: now)
    }

    mutating func advanceAllocation(to now: Instant) {
        if let allocation, allocation.expiresAt <= now {
            let isWaitedFor = phase == .standing || phase == .checking
            lose(.expired, at: now)
            if isWaitedFor { allocate(.both, at: now) }
        }
        switch phase {
        case .standing:
            let horizon = now.advanced(by: Limits.slack)
            if let due = allocation?.refreshDue, due <= horizon { refresh(at: now) }
        case .waiting(let until) where until <= now:
            let isAlternate = links.contains { $0.endpoint == chosen && $0.kind == .alternate }
            if chosen == nil || isAlternate || saidFailure == .redirected {
                redirectedBy = []
                seek(at: now)
            } else {
                allocate(.both, at: now)
            }
        case .seeking, .allocating, .checking, .waiting, .closed: break
        }
    }

    mutating func allocated(
        _ transaction: TURNTransaction,
        _ message: borrowing STUNMessage,
        at now: Instant
    ) {
        guard phase == .allocating else { return }
        var relayed: [Endpoint] = []
        for endpoint in message.relayedAddresses where endpoint.isReachable {
            let family = endpoint.address.family
            if !relayed.contains(where: { $0.address.family == family }) {
                relayed.append(endpoint)
            }
        }
        guard !relayed.isEmpty else { return pause(.unsupported, at: now) }
        let (expiresAt, refreshDue) = times(of: message, transaction)
        let isStream = links.contains { $0.kind == .stream && $0.endpoint == transaction.remote }
        allocation = Allocation(
            remote: transaction.remote,
            mapped: isStream ? nil : message.mappedAddress,
            relayed: relayed,
            expiresAt: expiresAt,
            refreshDue: refreshDue
        )
        (didClear, redirectedBy) = (false, [])
        permissions.reset(at: now)
        channels.reset(at: now)
        stand()
        if let index = links.firstIndex(where: { $0.endpoint == transaction.remote }) {
            note(message.mappedAddress, of: index)
        }
    }

    private mutating func stand() {
        (phase, failureCount, saidFailure) = (.standing, 0, nil)
        say(.allocated(relayedAddresses))
    }

    /// When the relay forgets it, and half the time there; counted from when it was asked.
    private func times(
        of message: borrowing STUNMessage,
        _ transaction: TURNTransaction
    ) -> (expiresAt: Instant, refreshDue: Instant) {
        let seconds = min(message.lifetime ?? Limits.lifetimeSeconds, Limits.lifetimeSecondsMax)
        let lifetime = Duration.seconds(max(seconds, 20))
        return (
            transaction.sentAt.advanced(by: lifetime), transaction.sentAt.advanced(by: lifetime / 2)
        )
    }

    /// The relay refuses an Allocate, in a way that can be believed.
    mutating func allocateFailed(
        _ wish: AllocationWish,
        _ code: STUNErrorCode,
        alternate: Endpoint?,
        at now: Instant
    ) {
        guard phase == .allocating else { return }
        switch code {
        case .allocationMismatch where !didClear:
            // Something of our former life is still there.
            didClear = true
            start(.clear, at: now)
        case .addressFamilyNotSupported where wish == .both: allocate(.ipv6, at: now)
        case .badRequest where wish == .both, .unknownAttribute where wish == .both:
            allocate(.ipv4, at: now)
        case .tryAlternate: redirect(to: alternate, at: now)
        default: pause(TURNFailure(code), at: now)
        }
    }

    mutating func clearFailed(_ code: STUNErrorCode, at now: Instant) {
        guard phase == .allocating else { return }
        switch code {
        case .allocationMismatch: allocate(.both, at: now)
        // Somebody else's, or of other credentials: it goes when its time is over.
        case .wrongCredentials: pause(.mismatch, at: now)
        default: pause(TURNFailure(code), at: now)
        }
    }

    /// 300 (RFC 8489 10): on to another server, a few times, never back.
    private mutating func redirect(to alternate: Endpoint?, at now: Instant) {
        guard let chosen, let alternate, alternate.isReachable, !isStream,
            alternate != chosen, !redirectedBy.contains(alternate),
            redirectedBy.count < Limits.redirections
        else { return pause(.redirected, at: now) }
        redirectedBy.append(chosen)
        if !isServer(alternate) {
            links.append(Link(endpoint: alternate, kind: .alternate, due: now))
        }
        session = TURNSession(server.credentials)
        (self.chosen, heardAt, roundTrip) = (alternate, nil, nil)
        allocate(.both, at: now)
    }

    /// Tries again after a while: 0.5 s, 1 s, 2 s … 60 s, more where there is no room, and a
    /// quarter more or less.
    mutating func pause(_ failure: TURNFailure, at now: Instant) {
        let first: Duration =
            switch failure {
            case .quota, .capacity, .unauthorized: Limits.pauseWhenRefused
            case .unsupported, .forbidden: Limits.pauseMax
            case .noAnswer, .mismatch, .expired, .redirected, .refused, .moved: Limits.pauseMin
            }
        let doubled = min(first * (1 << min(failureCount, 7)), Limits.pauseMax)
        let jitter = Int64.random(in: 750...1250, using: &random)
        failureCount += 1
        didClear = false
        phase = .waiting(until: now.advanced(by: doubled * jitter / 1000))
        sayFailed(failure)
    }

    /// Said once, until something goes well or something else is wrong.
    mutating func sayFailed(_ failure: TURNFailure) {
        guard saidFailure != failure else { return }
        saidFailure = failure
        say(.failed(failure))
    }

    /// The allocation is gone, or given up.
    mutating func lose(_ failure: TURNFailure, at now: Instant) {
        if isAllocated { say(.lost(failure)) }
        forgetAllocation(at: now)
        cancel { transaction in
            switch transaction.purpose {
            case .allocate, .clear, .refresh, .permit, .bind: true
            case .binding, .release: false
            }
        }
        if isAllocated { phase = .seeking }
    }

    mutating func forgetAllocation(at now: Instant) {
        allocation = nil
        permissions.reset(at: now)
        channels.reset(at: now)
    }
}

// MARK: - Refresh

extension TURNClient {
    /// Asks for more time, unless that is being asked.
    mutating func refresh(at now: Instant) {
        guard isAllocated, !transactions.contains(where: { $0.purpose == .refresh }) else { return }
        allocation?.refreshDue = nil
        start(.refresh, at: now)
    }

    mutating func refreshed(
        _ transaction: TURNTransaction,
        _ message: borrowing STUNMessage,
        at now: Instant
    ) {
        guard allocation != nil, phase == .standing || phase == .checking else { return }
        guard message.lifetime != 0 else { return refreshFailed(.allocationMismatch, at: now) }
        let (expiresAt, refreshDue) = times(of: message, transaction)
        allocation?.expiresAt = expiresAt
        allocation?.refreshDue = refreshDue
        if phase == .checking { stand() } else { saidFailure = nil }
    }

    /// The relay refuses more time, in a way that can be believed.
    mutating func refreshFailed(_ code: STUNErrorCode, at now: Instant) {
        guard phase == .standing || phase == .checking else { return }
        if code == .allocationMismatch {
            lose(.mismatch, at: now)
            allocate(.both, at: now)
        } else if phase == .checking {
            forgetAllocation(at: now)
            pause(TURNFailure(code), at: now)
        } else {
            // It still stands: until its time is over, that may change.
            allocation?.refreshDue = now.advanced(by: Limits.refreshRetry)
            sayFailed(TURNFailure(code))
        }
    }

    mutating func refreshUnanswered(_ transaction: TURNTransaction, at now: Instant) {
        switch phase {
        case .standing:
            allocation?.refreshDue = now.advanced(by: Limits.refreshRetry)
            // Whether anything answers there is the Binding's to find out.
            if let index = links.firstIndex(where: { $0.endpoint == chosen }),
                links[index].due != nil
            {
                links[index].due = now
            }
        case .checking:
            forgetAllocation(at: now)
            pause(transaction.hint.map { TURNFailure($0) } ?? .noAnswer, at: now)
        case .seeking, .allocating, .waiting, .closed: break
        }
    }
}

extension TURNFailure {
    init(_ code: STUNErrorCode) {
        self =
            switch code {
            case .unauthenticated, .wrongCredentials, .staleNonce: .unauthorized
            case .allocationMismatch: .mismatch
            case .allocationQuotaReached: .quota
            case .insufficientCapacity: .capacity
            case .forbidden: .forbidden
            case .unknownAttribute, .addressFamilyNotSupported, .unsupportedTransport:
                .unsupported
            case .tryAlternate: .redirected
            default: .refused(code)
            }
    }
}

extension Endpoint {
    /// Whether datagrams can be sent there at all.
    fileprivate var isReachable: Bool {
        port != 0 && !address.isUnspecified && !address.isMulticast && !address.isBroadcast
    }
}
