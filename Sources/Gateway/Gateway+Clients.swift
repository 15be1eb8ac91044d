internal import Bytes
internal import Control
internal import DNS
internal import IP
internal import Peering
internal import RelayUse
internal import SansIO
internal import WireGuard

// The clients that hold a lease, and where they can be reached.
extension Gateway {
    /// The slot of a client, which is made, or brought up to date.
    mutating func place(
        _ client: ClientForGateway,
        _ configuration: PeerConfiguration,
        at now: Instant,
        into outbox: inout Outbox
    ) throws(GrantRefusal) -> Int {
        if let slot = slotByClient[client.id] {
            let moved = try update(slot, configuration, at: now, into: &outbox)
            if clients[moved]?.tunnel != client.tunnel {
                for address in clients[moved]?.tunnel ?? [] { slotByAddress[address] = nil }
                for address in client.tunnel { slotByAddress[address] = moved }
                clients[moved]?.tunnel = client.tunnel
                // Flows carry the old source address outside.
                clients[moved]?.nat.removeAll(.left) { _ in true }
            }
            return moved
        }
        guard let peer = pool.upsert(configuration, at: now, into: &outbox) else {
            throw .tooMany("clients")
        }
        while clients.count <= peer.slot { clients.append(nil) }
        let new = ClientOnGateway(
            client,
            peer: peer,
            configuration: configuration,
            seed: seeds.next()
        )
        new.nat.logsFlows = logsFlows
        clients[peer.slot] = new
        slotByClient[client.id] = peer.slot
        for address in client.tunnel { slotByAddress[address] = peer.slot }
        outputs.append(.event(.clientAdded(client.id)))
        return peer.slot
    }

    /// Tells the pool what changed of a client; a client that started anew has another key, and so
    /// another slot. Its flows and names stay.
    private mutating func update(
        _ slot: Int,
        _ configuration: PeerConfiguration,
        at now: Instant,
        into outbox: inout Outbox
    ) throws(GrantRefusal) -> Int {
        guard let client = clients[slot], client.configuration != configuration else { return slot }
        guard let peer = pool.upsert(configuration, at: now, into: &outbox) else {
            throw .tooMany("clients")
        }
        clients[slot]?.configuration = configuration
        guard peer != client.peer else { return slot }
        noteDisconnected(slot) { _ in nil }
        pool.remove(client.peer, goodbye: nil, at: now, into: &outbox)
        clients[slot] = nil
        watchLeases(slot)
        client.peer = peer
        client.names.forgetEpochs()
        while clients.count <= peer.slot { clients.append(nil) }
        clients[peer.slot] = client
        slotByClient[client.id] = peer.slot
        for address in client.tunnel { slotByAddress[address] = peer.slot }
        watchLeases(peer.slot)
        return peer.slot
    }

    mutating func take(
        _ update: ToGateway.ClientCandidates,
        at now: Instant,
        into outbox: inout Outbox
    ) {
        guard let slot = slotByClient[update.client],
            var configuration = clients[slot]?.configuration
        else { return }
        configuration.candidates = update.candidates.map { Peering.Candidate($0) }
        if let publicKey = update.publicKey, let secret = update.presharedKey,
            let key = Key(copying: publicKey.bytes.rawSpan),
            pool.index(of: key).map({ $0.slot == slot }) ?? true
        {
            configuration.publicKey = key
            configuration.presharedKey = Key(copying: secret.bytes.rawSpan)
        }
        _ = try? self.update(slot, configuration, at: now, into: &outbox)
    }

    /// A client hears nothing of us: our NAT is opened towards all that it may be reached at.
    mutating func take(
        _ punch: ToGateway.Punch,
        at now: Instant,
        into outbox: inout Outbox
    ) {
        counters.punches += 1
        guard let slot = slotByClient[punch.client],
            var configuration = clients[slot]?.configuration
        else { return }
        configuration.candidates = punch.candidates.map { Peering.Candidate($0) }
        guard let moved = try? update(slot, configuration, at: now, into: &outbox),
            let peer = clients[moved]?.peer
        else { return }
        pool.punch(peer, at: now, into: &outbox)
        // Our own addresses may be what does not work any more.
        if relays.mayRenew(at: now) { pool.renewRelays(at: now, into: &outbox) }
    }

    /// A client's last lease ended, or the gateway goes.
    mutating func removeClient(
        _ slot: Int,
        _ goodbye: ControlFrame.Goodbye,
        at now: Instant,
        into outbox: inout Outbox
    ) {
        noteDisconnected(slot) { _ in nil }
        guard let client = clients[slot] else { return }
        pool.remove(client.peer, goodbye: goodbye, at: now, into: &outbox)
        heldCount -= client.names.heldCount
        forgetEarly(client)
        if logsFlows {
            client.nat.removeAll(.left) { _ in true }
            collectFlowRecords(of: client)
            expectFlowRecords(at: now)
        }
        slotByClient[client.id] = nil
        for address in client.tunnel { slotByAddress[address] = nil }
        for lease in client.grants.leases { clientByLease[lease.id] = nil }
        clients[slot] = nil
        watchLeases(slot)
        outputs.append(.event(.clientRemoved(client.id)))
    }
}
