public import Bytes
internal import IP
public import SansIO
public import STUN

extension PeerPool {
    /// The relays that may be used, best first. Those known by their id keep what they lend, under
    /// new credentials; those that are gone are left as soon as something else works, after 30 s
    /// at the latest.
    public mutating func setRelays(
        _ servers: [TURNServer],
        at now: Instant,
        into outbox: inout Outbox
    ) {
        var next: [OwnRelay] = []
        for server in servers.prefix(Limits.relays)
        where !next.contains(where: { $0.server.id == server.id }) {
            let known = relays.first { $0.server.id == server.id && $0.wouldReplace == 0 }
            var relay = known ?? OwnRelay(number: nextRelayNumber, server: server)
            if known == nil { nextRelayNumber += 1 }
            (relay.endsAt, relay.unusedSince) = (nil, nil)
            relay.server = server
            relay.client?.update(reachable(server), at: now)
            next.append(relay)
        }
        for var relay in relays where !next.contains(where: { $0.number == relay.number }) {
            guard relay.client != nil else { continue }
            let latest = relay.wouldReplace == 0 ? now.advanced(by: Limits.leavingTime) : now
            relay.endsAt = relay.endsAt ?? latest
            next.append(relay)
        }
        relays = next
        hasRelays = true
        areRelaysStale = true
        startRelays(at: now)
        workRelays(at: now, into: &outbox)
    }

    /// Something happened to the network: all mappings and lent addresses are checked at once.
    public mutating func renewRelays(at now: Instant, into outbox: inout Outbox) {
        for place in relays.indices { relays[place].client?.renew(at: now) }
        workRelays(at: now, into: &outbox)
    }

    /// Gives back all that relays lend: nothing goes through them any more.
    public mutating func closeRelays(at now: Instant, into outbox: inout Outbox) {
        for place in relays.indices { close(place, at: now, into: &outbox) }
        relays = []
        areRelaysStale = true
        workRelays(at: now, into: &outbox)
    }

    /// Where peers may reach us: host, server-reflexive and relayed, at most 12.
    public var localCandidates: [Candidate] {
        let lasting = relays.filter(\.isInUse).map(\.status)
        return OwnCandidates.list(
            hosts: locals,
            mapped: (lasting.filter(\.isUsable) + lasting.filter { !$0.isUsable })
                .flatMap(\.mapped),
            relayed: lasting.filter(\.isUsable).flatMap(\.relayed)
        )
    }

    /// How our relays do, in the order in which they were given.
    public var relayStatuses: [RelayStatus] { relays.filter(\.isInUse).map(\.status) }

    /// What was dropped of the relays' messages and why, since the start.
    public var relayCounters: TURNCounters {
        var sum = endedRelayCounters
        for case let client? in relays.map(\.client) { sum += client.counters }
        return sum
    }

    /// What a role should know of its own candidates and relays; nil when nothing is left.
    public mutating func pollRelayEvent() -> RelayEvent? {
        if areCandidatesStale {
            areCandidatesStale = false
            let candidates = localCandidates
            if candidates != toldCandidates {
                toldCandidates = candidates
                return .candidatesChanged
            }
        }
        return relayEvents.popFirst()
    }

    /// Whether the host should poll. Without relays it knows by itself when addresses changed.
    var hasRelayEvents: Bool { hasRelays && (areCandidatesStale || !relayEvents.isEmpty) }
}

// MARK: - Which relays are used

extension PeerPool {
    /// The relay by those of its endpoints that we have an address of the family for, as far as we
    /// know.
    func reachable(_ server: TURNServer) -> TURNServer {
        guard !locals.isEmpty else { return server }
        var reachable = server
        reachable.endpoints.removeAll { endpoint in
            !locals.contains { $0.address.family == endpoint.address.family }
        }
        return reachable
    }

    /// Our own addresses changed: so may what is reachable.
    mutating func updateReachable(at now: Instant) {
        for place in relays.indices {
            let server = reachable(relays[place].server)
            relays[place].client?.update(server, at: now)
        }
    }

    /// Starts relays in reserve until enough of them work, or may yet.
    private mutating func startRelays(at now: Instant) {
        for place in relays.indices where relays[place].client == nil {
            let hopeful = relays.count { $0.client != nil && !$0.isFailing && $0.isInUse }
            let tried = relays.count { $0.client != nil }
            guard hopeful < Limits.allocations, tried < Limits.triedRelays else { return }
            var client = TURNClient(
                server: reachable(relays[place].server),
                random: random.fork(),
                at: now
            )
            if let bridge = relays[place].bridge { client.useStream(bridge, at: now) }
            relays[place].client = client
        }
    }

    /// More work than are needed, since some came back: the last ones that no path uses go into
    /// reserve again.
    private mutating func thinOut(at now: Instant, into outbox: inout Outbox) {
        var excess = relays.count { $0.isUsable && $0.isInUse } - Limits.allocations
        for place in relays.indices.reversed() where excess > 0 {
            guard relays[place].isUsable, relays[place].isInUse, !isUsed(place) else {
                continue
            }
            close(place, at: now, into: &outbox)
            excess -= 1
        }
    }

    /// Relays that are being left and not used any more, or for too long, end.
    private mutating func endRelays(at now: Instant, into outbox: inout Outbox) {
        for place in relays.indices.reversed() where relays[place].endsAt != nil {
            let since = relays[place].unusedSince ?? now
            relays[place].unusedSince = isUsed(place) ? nil : since
            guard let deadline = relays[place].closeDeadline, deadline <= now else { continue }
            close(place, at: now, into: &outbox)
            passOnStream(of: relays.remove(at: place), at: now)
            areRelaysStale = true
        }
    }

    /// Whether some peer's packets go through it.
    private func isUsed(_ place: Int) -> Bool {
        let number = relays[place].number
        return relays[place].isUsable
            && peers.contains { $0?.paths.chosen?.relay == number }
    }

    /// Gives back what a relay lends, and forgets it.
    private mutating func close(_ place: Int, at now: Instant, into outbox: inout Outbox) {
        relays[place].client?.close(at: now)
        while let output = relays[place].client?.pollOutput() {
            if case .send(let bytes, let remote) = output {
                Self.send(bytes, to: remote, into: &outbox)
            }
        }
        if let client = relays[place].client { endedRelayCounters += client.counters }
        relays[place].client = nil
    }
}

// MARK: - Work

extension PeerPool {
    /// Does what is due for the relays, and what they ask for.
    mutating func workRelays(at now: Instant, into outbox: inout Outbox) {
        guard hasRelays else { return }
        // When one is due, the others do what they would have to do soon.
        if relays.contains(where: { $0.client?.nextDeadline.map { $0 <= now } ?? false }) {
            for place in relays.indices { relays[place].client?.advance(to: now) }
        }
        drainRelays(at: now, into: &outbox)
        leaveStreams(at: now)
        endRelays(at: now, into: &outbox)
        // What peers then ask of the relays leaves in the same turn.
        for _ in 0..<4 where areRelaysStale {
            areRelaysStale = false
            updateEnds(at: now, into: &outbox)
            drainRelays(at: now, into: &outbox)
        }
        relayDeadline = areRelaysStale ? now : nil
        for relay in relays {
            for case let deadline? in [relay.client?.nextDeadline, relay.closeDeadline]
            where relayDeadline.map({ deadline < $0 }) ?? true {
                relayDeadline = deadline
            }
        }
    }

    /// Sends what the relays' machines have to say while there is room; the rest stays with them.
    private mutating func drainRelays(at now: Instant, into outbox: inout Outbox) {
        for place in relays.indices {
            while outbox.hasNetworkRoom(datagrams: 1, byteCount: Limits.relayMessageByteCount),
                let output = relays[place].client?.pollOutput()
            {
                switch output {
                case .send(let bytes, let remote):
                    Self.send(bytes, to: remote, into: &outbox)
                case .event(let event): take(event, of: place, at: now, into: &outbox)
                }
            }
        }
    }

    private mutating func take(
        _ event: TURNEvent,
        of place: Int,
        at now: Instant,
        into outbox: inout Outbox
    ) {
        let id = relays[place].server.id
        switch event {
        case .mapped, .unmapped: areCandidatesStale = true
        case .roundTrip: break
        case .allocated:
            relays[place].isFailing = false
            areRelaysStale = true
            thinOut(at: now, into: &outbox)
        case .lost(let failure):
            areRelaysStale = true
            fail(place, failure, at: now)
        case .failed(let failure): fail(place, failure, at: now)
        case .unreachable:
            if relays[place].isInUse { relayEvents.append(.unreachable(id)) }
            if !relays[place].isUsable { fail(place, .noAnswer, at: now) }
        case .reachable: relays[place].answersDatagrams = true
        }
    }

    private mutating func fail(_ place: Int, _ failure: TURNFailure, at now: Instant) {
        relays[place].isFailing = true
        if failure == .unauthorized, relays[place].isInUse {
            relayEvents.append(.unauthorized(relays[place].server.id))
        }
        startRelays(at: now)
    }

    /// What relays lend changed: permissions, pairs and candidates follow.
    private mutating func updateEnds(at now: Instant, into outbox: inout Outbox) {
        areCandidatesStale = true
        let ends = relays.compactMap(\.end)
        guard ends != relayEnds else { return }
        if ends.isEmpty { relayEvents.append(.allLost) }
        let changed = relays.indices.filter { place in
            relays[place].end.map { !relayEnds.contains($0) } ?? false
        }
        relayEnds = ends
        for case let peer? in peers {
            for place in changed {
                for address in peer.permitted where relays[place].permits(address) {
                    relays[place].client?.permit(address, at: now)
                }
            }
        }
        // Permissions are asked for before anything that needs them is sent.
        drainRelays(at: now, into: &outbox)
        for case let peer? in peers { follow(relayEnds, peer, at: now, into: &outbox) }
    }

    /// A peer's pairs follow the relays; a path through one that is gone is left.
    private mutating func follow(
        _ ends: [RelayEnd],
        _ peer: Peer,
        at now: Instant,
        into outbox: inout Outbox
    ) {
        let isTalking = peer.isConnected && peer.speaksFrames
        let before = peer.paths.chosen
        let hasNew = peer.paths.setRelays(
            ends,
            probing: role == .client && isTalking ? now : nil,
            at: now
        )
        if role == .client, hasNew { peer.ladder?.restart(at: now) }
        if peer.paths.chosen != before {
            noteChoice(of: peer)
            if isTalking { peer.liveness.doubt(at: now) }
        }
        if role == .client, isTalking { reconsider(peer, at: now, into: &outbox) }
        bindChosen(peer, at: now)
        reschedule(peer)
    }
}

// MARK: - What peers need of relays

extension PeerPool {
    /// The peer's addresses are permitted at all relays, those that it has no more are not.
    mutating func permit(_ peer: Peer, at now: Instant, into outbox: inout Outbox) {
        let wanted = peer.paths.addresses
        guard wanted != peer.permitted else { return }
        let before = peer.permitted
        peer.permitted = wanted
        for address in wanted where !before.contains(address) {
            permissions[address, default: 0] += 1
            guard permissions[address] == 1 else { continue }
            for place in relays.indices where relays[place].permits(address) {
                relays[place].client?.permit(address, at: now)
            }
        }
        for address in before where !wanted.contains(address) { forbid(address) }
        workRelays(at: now, into: &outbox)
    }

    /// One peer less needs `address`.
    private mutating func forbid(_ address: IPAddress) {
        let left = permissions[address, default: 1] - 1
        permissions[address] = left > 0 ? left : nil
        guard left <= 0 else { return }
        for place in relays.indices { relays[place].client?.forbid(address) }
    }

    /// A removed peer needs nothing any more.
    mutating func release(_ peer: Peer) {
        for address in peer.permitted { forbid(address) }
        peer.permitted = []
        peer.paths.chosen = nil
        bindChosen(peer, at: Instant(nanoseconds: 0))
    }

    /// A channel is wanted for the path that the peer's packets take, if it is a relayed one; the
    /// one before is let go. The requests leave with the next work on the relays.
    mutating func bindChosen(_ peer: Peer, at now: Instant) {
        let wanted = peer.paths.chosen.flatMap { $0.isRelayed ? $0 : nil }
        guard wanted != peer.bound else { return }
        let before = peer.bound
        peer.bound = wanted
        relayDeadline = now
        if let wanted, let place = place(ofRelay: wanted.relay) {
            relays[place].client?.bind(wanted.remote, at: now)
        }
        if let before, let place = place(ofRelay: before.relay),
            !peers.contains(where: { $0?.bound == before })
        {
            relays[place].client?.unbind(before.remote)
        }
    }

    /// Where the relay with that number stands; nil when it is gone.
    func place(ofRelay number: UInt32) -> Int? {
        relays.firstIndex { $0.number == number }
    }
}
