public import Bytes
public import IP
public import SansIO

// Permissions and channels for the peers that the owner names.

extension TURNClient {
    /// Peers at this address may send to our relayed addresses, and we to them, as long as this is
    /// not taken back; over lost allocations too. False: there is no room.
    @discardableResult
    public mutating func permit(_ peer: IPAddress, at now: Instant) -> Bool {
        self.now = now
        return permissions.change(peer, limit: Limits.permissions, at: now) { $0.isWanted = true }
    }

    /// Takes `permit` back; the relay forgets the permission within five minutes.
    public mutating func forbid(_ peer: IPAddress) {
        guard permissions[peer] != nil else { return }
        _ = permissions.change(peer, limit: Limits.permissions, at: now) { $0.isWanted = false }
    }

    /// A channel for this peer is wanted, as long as this is not taken back; over lost allocations
    /// too. It permits the peer's address. False: there is no number, or no room.
    @discardableResult
    public mutating func bind(_ peer: Endpoint, at now: Instant) -> Bool {
        self.now = now
        if let number = channels.number(of: peer), channels[number]?.isWanted ?? false {
            return true
        }
        let limit = Limits.permissions
        guard permissions.change(peer.address, limit: limit, at: now, { $0.channelCount += 1 })
        else { return false }
        if channels.want(peer, at: now) != nil { return true }
        _ = permissions.change(peer.address, limit: limit, at: now) { $0.channelCount -= 1 }
        return false
    }

    /// Takes `bind` back; the channel ends by itself.
    public mutating func unbind(_ peer: Endpoint) {
        guard let number = channels.number(of: peer), channels[number]?.isWanted ?? false else {
            return
        }
        channels.change(number) { $0.isWanted = false }
        _ = permissions.change(peer.address, limit: Limits.permissions, at: now) {
            $0.channelCount -= 1
        }
    }
}

// MARK: - Asking for what is due

extension TURNClient {
    var canPermit: Bool {
        transactions.count { if case .permit = $0.purpose { true } else { false } }
            < Limits.permissionRequests
    }

    var canBind: Bool {
        transactions.count { if case .bind = $0.purpose { true } else { false } }
            < Limits.channelRequests
    }

    /// Whether a request waits to be made: requests are made when outputs are polled, so that all
    /// peers of one turn share them.
    var isFlushDue: Bool {
        guard isAllocated else { return false }
        if let due = permissions.nextDue, due <= now, canPermit { return true }
        if let due = channels.nextDue, due <= now, canBind { return true }
        return false
    }

    mutating func flush(at now: Instant) {
        let horizon = now.advanced(by: Limits.permissionSlack)
        while isAllocated, canPermit, let due = permissions.nextDue, due <= now {
            let addresses = permissions.takeDue(
                Limits.permissionsInRequest,
                at: now,
                horizon: horizon
            )
            let (possible, impossible) = split(addresses)
            permissions.set(impossible) { _ in .refused(due: .never) }
            if !possible.isEmpty { start(.permit(possible), at: now) }
        }
        while isAllocated, canBind, let due = channels.nextDue, due <= now {
            for number in channels.takeDue(Limits.channelRequests, at: now) {
                askForChannel(number, at: now)
            }
        }
    }

    /// Those of a family that the allocation has, and the others.
    private func split(_ addresses: [IPAddress]) -> ([IPAddress], [IPAddress]) {
        guard let allocation else { return ([], addresses) }
        return (
            addresses.filter { allocation.has($0.family) },
            addresses.filter { !allocation.has($0.family) }
        )
    }

    private mutating func askForChannel(_ number: UInt16, at now: Instant) {
        guard let peer = channels[number]?.peer, let allocation else { return }
        guard allocation.has(peer.address.family) else {
            return channels.change(number) { $0.state = .idle(due: .never) }
        }
        // From now on the relay may hold it, answer or not.
        let heldUntil = now.advanced(by: Limits.channelLifetime + Limits.streamPatience * 2)
        channels.change(number) { channel in
            channel.heldUntil = heldUntil
            channel.freeAt = heldUntil.advanced(by: Limits.channelRest)
        }
        start(.bind(number), at: now)
    }
}

// MARK: - Answers

extension TURNClient {
    mutating func permitted(_ addresses: [IPAddress], _ transaction: TURNTransaction) {
        let until = transaction.sentAt.advanced(by: Limits.permissionLifetime)
        let due = transaction.sentAt.advanced(by: Limits.permissionRefresh)
        permissions.set(addresses) { _ in .permitted(until: until, due: due) }
    }

    mutating func permitUnanswered(_ addresses: [IPAddress], at now: Instant) {
        let due = now.advanced(by: Limits.peerRetry)
        permissions.set(addresses) { $0.unanswered(due: due) }
    }

    /// One address that the relay does not want spoils the request for all: they are asked for
    /// again in halves, until it is alone.
    mutating func permitFailed(_ addresses: [IPAddress], _ code: STUNErrorCode, at now: Instant) {
        switch TURNFailure(code) {
        case .mismatch:
            lose(.mismatch, at: now)
            allocate(.both, at: now)
        case .unauthorized:
            permitUnanswered(addresses, at: now)
            sayFailed(.unauthorized)
        case _ where code.rawValue >= 500: permitUnanswered(addresses, at: now)
        default:
            guard addresses.count > 1 else {
                let due = now.advanced(by: Limits.refusalRetry)
                return permissions.set(addresses) { _ in .refused(due: due) }
            }
            let half = addresses.count / 2
            start(.permit(Array(addresses[..<half])), at: now)
            start(.permit(Array(addresses[half...])), at: now)
        }
    }

    mutating func bound(_ number: UInt16, _ transaction: TURNTransaction) {
        guard let peer = channels[number]?.peer else { return }
        let until = transaction.sentAt.advanced(by: Limits.channelLifetime)
        let due = transaction.sentAt.advanced(by: Limits.channelRefresh)
        channels.change(number) { $0.state = .bound(until: until, due: due) }
        // RFC 8656 12.2: the permission is as good as new.
        permitted([peer.address], transaction)
    }

    mutating func bindUnanswered(_ number: UInt16, at now: Instant) {
        let due = now.advanced(by: Limits.peerRetry)
        channels.change(number) { $0.state = $0.unanswered(due: due) }
    }

    mutating func bindFailed(_ number: UInt16, _ code: STUNErrorCode, at now: Instant) {
        switch TURNFailure(code) {
        case .mismatch:
            lose(.mismatch, at: now)
            allocate(.both, at: now)
        case .unauthorized:
            bindUnanswered(number, at: now)
            sayFailed(.unauthorized)
        case _ where code.rawValue >= 500: bindUnanswered(number, at: now)
        default:
            let due = now.advanced(by: Limits.refusalRetry)
            channels.change(number) { $0.state = .idle(due: due) }
            let isPeers = code == .forbidden || code == .peerFamilyMismatch
            guard isPeers, let peer = channels[number]?.peer else { return }
            permissions.set([peer.address]) { _ in .refused(due: due) }
        }
    }
}

extension Instant {
    /// Past every deadline.
    static var never: Instant { Instant(nanoseconds: .max) }
}
