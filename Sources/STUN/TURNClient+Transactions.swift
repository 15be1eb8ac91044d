public import Bytes
internal import IP
internal import SansIO

extension TURNClient {
    /// Sends a request; `former` is the one that was challenged.
    mutating func start(
        _ purpose: TURNTransaction.Purpose,
        to remote: Endpoint? = nil,
        pace: TURNTransaction.Pace? = nil,
        after former: TURNTransaction? = nil,
        refused: Bool = false,
        at now: Instant
    ) {
        let room = Limits.transactions - (purpose.isForPeers ? Limits.transactionsReserved : 0)
        guard let remote = former?.remote ?? remote ?? chosen, transactions.count < room else {
            counters.refused += 1
            return unsent(purpose, at: now)
        }
        let isStream = links.contains { $0.endpoint == remote && $0.kind == .stream }
        let pace = isStream ? .stream : former?.pace ?? pace ?? .patient
        let transaction = TURNTransaction(
            purpose,
            to: remote,
            request(purpose),
            pace: pace,
            interval: interval(purpose, pace, to: remote),
            proof: purpose == .binding ? nil : session.proof,
            after: former,
            refused: refused,
            at: now
        )
        transactions.append(transaction)
        outputs.append(.send(transaction.bytes, to: remote))
    }

    /// The requests of these purposes are not waited for any more.
    mutating func cancel(_ isMeant: (TURNTransaction) -> Bool) {
        transactions.removeAll(where: isMeant)
    }

    /// Repeats what is due, gives up what was repeated often enough.
    mutating func advanceTransactions(to now: Instant) {
        var index = 0
        var unanswered: [TURNTransaction] = []
        while index < transactions.count {
            guard transactions[index].due <= now else {
                index += 1
                continue
            }
            if transactions[index].repeats(at: now, intervalMax: Limits.retransmitIntervalMax) {
                let transaction = transactions[index]
                outputs.append(.send(transaction.bytes, to: transaction.remote))
                index += 1
            } else {
                unanswered.append(transactions.remove(at: index))
            }
        }
        for transaction in unanswered { giveUp(transaction, at: now) }
    }

    private mutating func giveUp(_ transaction: TURNTransaction, at now: Instant) {
        guard phase != .closed else { return }
        switch transaction.purpose {
        case .binding: bindingUnanswered(transaction, at: now)
        case .allocate, .clear:
            guard phase == .allocating else { return }
            pause(transaction.hint.map { TURNFailure($0) } ?? .noAnswer, at: now)
        case .refresh: refreshUnanswered(transaction, at: now)
        case .permit(let addresses): permitUnanswered(addresses, at: now)
        case .bind(let number): bindUnanswered(number, at: now)
        case .release: break
        }
    }

    /// There is no room for a request, or no way: as if nobody had answered.
    private mutating func unsent(_ purpose: TURNTransaction.Purpose, at now: Instant) {
        switch purpose {
        case .permit(let addresses): permitUnanswered(addresses, at: now)
        case .bind(let number): bindUnanswered(number, at: now)
        case .refresh: allocation?.refreshDue = now.advanced(by: Limits.refreshRetry)
        case .allocate, .clear: pause(.noAnswer, at: now)
        case .binding, .release: break
        }
    }

    /// Twice the round-trip time, within bounds.
    private func interval(
        _ purpose: TURNTransaction.Purpose,
        _ pace: TURNTransaction.Pace,
        to remote: Endpoint
    ) -> Duration {
        if pace == .stream {
            let isQuick = purpose == .binding && renewedAt == now
            return isQuick ? Limits.quickStreamPatience : Limits.streamPatience
        }
        let measured = remote == chosen ? roundTrip.map { $0 * 2 } : nil
        let interval = max(Limits.retransmitIntervalMin, measured ?? .zero)
        return min(interval, Limits.retransmitIntervalMax)
    }
}

// MARK: - Requests

extension TURNClient {
    private mutating func request(_ purpose: TURNTransaction.Purpose) -> STUNWriter {
        let id = TransactionID(from: &random)
        var writer: STUNWriter
        switch purpose {
        case .binding: return STUNWriter(.request, .binding, id)
        case .allocate(let wish):
            writer = STUNWriter(.request, .allocate, id)
            writer.append(requestedTransport: 17)
            writer.append(.lifetime, Limits.lifetimeSeconds)
            switch wish {
            case .both:
                writer.append(.additionalAddressFamily, .ipv6)
                writer.append(.additionalAddressFamilyOfDraft, .ipv6)
            case .ipv4: break
            case .ipv6: writer.append(.requestedAddressFamily, .ipv6)
            }
        case .refresh:
            writer = STUNWriter(.request, .refresh, id)
            writer.append(.lifetime, Limits.lifetimeSeconds)
        case .clear, .release:
            writer = STUNWriter(.request, .refresh, id)
            writer.append(.lifetime, 0)
        case .permit(let addresses):
            writer = STUNWriter(.request, .createPermission, id)
            for address in addresses {
                writer.append(.xorPeerAddress, Endpoint(address, port: 0))
            }
        case .bind(let number):
            writer = STUNWriter(.request, .channelBind, id)
            writer.append(channel: number)
            if let channel = channels[number] { writer.append(.xorPeerAddress, channel.peer) }
        }
        session.sign(&writer)
        return writer
    }

    /// Writes a Send indication around `byteCount` bytes that lie at
    /// `DataIndication.headerByteCount(peer)` of `target`, which holds
    /// `DataIndication.byteCount(peer, data:)` bytes at least.
    @_lifetime(target: copy target)
    public mutating func writeIndication(
        to peer: Endpoint,
        dataByteCount byteCount: Int,
        into target: inout MutableRawSpan
    ) {
        DataIndication.write(
            .send,
            TransactionID(from: &random),
            peer: peer,
            dataByteCount: byteCount,
            into: &target
        )
    }
}
