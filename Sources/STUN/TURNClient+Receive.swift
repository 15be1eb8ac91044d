public import Bytes
internal import IP
public import SansIO

extension TURNClient {
    /// A datagram came.
    public mutating func receive(
        _ datagram: RawSpan,
        from remote: Endpoint,
        at now: Instant
    ) -> TURNReceived {
        guard isServer(remote) else { return .notOurs }
        self.now = now
        if ChannelData.isChannelData(datagram) {
            return receiveChannelData(datagram, from: remote, at: now)
        }
        guard STUNMessage.isSTUN(datagram) else { return .notOurs }
        guard let message = try? STUNMessage(datagram) else {
            counters.malformed += 1
            return .handled
        }
        switch (message.messageClass, message.method) {
        case (.indication, .data): return receiveIndication(message, from: remote, at: now)
        case (.success, _), (.failure, _): receiveAnswer(message, from: remote, at: now)
        default: counters.unexpected += 1
        }
        return .handled
    }

    private mutating func receiveChannelData(
        _ datagram: RawSpan,
        from remote: Endpoint,
        at now: Instant
    ) -> TURNReceived {
        guard let data = try? ChannelData(datagram) else {
            counters.malformed += 1
            return .handled
        }
        guard isAllocated, remote == chosen, let channel = channels[data.number],
            channel.heldUntil != nil
        else {
            counters.strayData += 1
            return .handled
        }
        heardAt = now
        return .data(from: channel.peer, data.range)
    }

    /// RFC 8656 11.4: data from an address that we permitted.
    private mutating func receiveIndication(
        _ message: borrowing STUNMessage,
        from remote: Endpoint,
        at now: Instant
    ) -> TURNReceived {
        guard isAllocated, remote == chosen, let peer = message.peerAddress,
            let range = message.dataRange, permissions[peer.address]?.isUsable ?? false
        else {
            counters.strayData += 1
            return .handled
        }
        heardAt = now
        return .data(from: peer, range)
    }

    /// Ties an answer to its request, and checks who made it.
    private mutating func receiveAnswer(
        _ message: borrowing STUNMessage,
        from remote: Endpoint,
        at now: Instant
    ) {
        let id = message.transaction
        guard
            let index = transactions.firstIndex(where: { $0.id == id && $0.remote == remote }),
            transactions[index].method == message.method
        else {
            counters.unexpected += 1
            return
        }
        let transaction = transactions[index]
        if transaction.purpose == .binding {
            transactions.remove(at: index)
            noteAnswer(to: transaction, at: now)
            return bindingAnswered(transaction, message.mappedAddress, at: now)
        }
        let isVerified = transaction.proof?.covers(message) ?? false
        if message.messageClass == .success {
            guard isVerified else { return distrust(index, .unauthenticated) }
            transactions.remove(at: index)
            noteAnswer(to: transaction, at: now)
            return succeed(transaction, message, at: now)
        }
        guard let code = message.errorCode else { return distrust(index, .serverError) }
        if code == .unauthenticated || code == .staleNonce {
            return answerChallenge(index, code, message, at: now)
        }
        // What was not signed cannot be answered with a signature.
        guard isVerified || transaction.proof == nil else { return distrust(index, code) }
        transactions.remove(at: index)
        noteAnswer(to: transaction, at: now)
        fail(transaction, code, message, at: now)
    }

    /// The request goes on as if nothing had come; only when it is given up does it count.
    private mutating func distrust(_ index: Int, _ code: STUNErrorCode) {
        transactions[index].hint = code
        counters.unverified += 1
    }

    /// 401 and 438 (RFC 8489 9.2.5): the same request again, as the relay wants it signed.
    private mutating func answerChallenge(
        _ index: Int,
        _ code: STUNErrorCode,
        _ message: borrowing STUNMessage,
        at now: Instant
    ) {
        let transaction = transactions[index]
        guard session.accept(message) else { return distrust(index, code) }
        transactions.remove(at: index)
        noteAnswer(to: transaction, at: now)
        guard transaction.challengeCount < Limits.challenges else {
            return fail(transaction, .unauthenticated, message, at: now)
        }
        guard code == .unauthenticated, let proof = transaction.proof else {
            return start(transaction.purpose, after: transaction, at: now)
        }
        // A signature was refused: by its nonce, which was the relay's former life's, or by the
        // credentials, for which there may be newer ones.
        let isNewNonce = proof.nonce != session.proof?.nonce
        if isNewNonce, !transaction.followsRefusal {
            start(transaction.purpose, after: transaction, refused: true, at: now)
        } else if proof.credentials != server.credentials {
            session.use(server.credentials)
            start(transaction.purpose, after: transaction, refused: true, at: now)
        } else {
            fail(transaction, .unauthenticated, message, at: now)
        }
    }

    /// The way is good, and how long it takes: RFC 6298 counts only what was sent once.
    private mutating func noteAnswer(to transaction: TURNTransaction, at now: Instant) {
        guard transaction.remote == chosen || chosen == nil else { return }
        heardAt = now
        guard transaction.attempts == 1, now >= transaction.sentAt else { return }
        let sample = transaction.sentAt.duration(to: now)
        let smoothed = roundTrip.map { $0 * 7 / 8 + sample / 8 } ?? sample
        roundTrip = smoothed
        if transaction.purpose == .binding { say(.roundTrip(smoothed)) }
    }

    private mutating func succeed(
        _ transaction: TURNTransaction,
        _ message: borrowing STUNMessage,
        at now: Instant
    ) {
        switch transaction.purpose {
        case .allocate: allocated(transaction, message, at: now)
        case .refresh: refreshed(transaction, message, at: now)
        case .clear: allocate(.both, at: now)
        case .permit(let addresses): permitted(addresses, transaction)
        case .bind(let number): bound(number, transaction)
        case .binding, .release: break
        }
    }

    private mutating func fail(
        _ transaction: TURNTransaction,
        _ code: STUNErrorCode,
        _ message: borrowing STUNMessage,
        at now: Instant
    ) {
        switch transaction.purpose {
        case .allocate(let wish):
            allocateFailed(wish, code, alternate: message.alternateServer, at: now)
        case .refresh: refreshFailed(code, at: now)
        case .clear: clearFailed(code, at: now)
        case .permit(let addresses): permitFailed(addresses, code, at: now)
        case .bind(let number): bindFailed(number, code, at: now)
        case .binding, .release: break
        }
    }
}

extension TURNTransaction {
    var method: STUNMethod {
        switch purpose {
        case .binding: .binding
        case .allocate: .allocate
        case .refresh, .clear, .release: .refresh
        case .permit: .createPermission
        case .bind: .channelBind
        }
    }
}
