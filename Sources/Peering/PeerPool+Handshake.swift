internal import Bytes
internal import IP
internal import SansIO
internal import WireGuard

// MARK: - Client

extension PeerPool {
    /// A session is wanted: a client begins a handshake unless one is under way.
    mutating func want(_ peer: Peer, at now: Instant) {
        peer.wantedAt = now
        guard role == .client, !peer.tunnel.canSeal(at: now) else { return }
        // Who keeps packets for it must hear of the next session.
        peer.isConnected = false
        if peer.connectingSince == nil {
            peer.connectingSince = now
            peer.isLost = false
        }
        if !peer.tunnel.isHandshaking { begin(peer, at: now) }
    }

    /// Makes a new initiation. With a working path it tries that first.
    mutating func begin(_ peer: Peer, at now: Instant) {
        do {
            let bytes = try peer.tunnel.initiate(
                as: identity,
                index: dealIndex(to: peer),
                wallStart: wallStart,
                random: &random,
                at: now
            )
            let works = peer.tunnel.canSeal(at: now) && !peer.liveness.isHunting
            peer.ladder = Ladder(bytes, isFannedOut: !works, at: now)
        } catch {
            counters.handshakesRefused += 1
            peer.ladder = nil
        }
    }

    /// Sends the copies that are due.
    mutating func climb(_ peer: Peer, at now: Instant, into outbox: inout Outbox) {
        guard let ladder = peer.ladder, let next = ladder.next, next <= now else { return }
        if !ladder.goesEverywhere, let chosen = peer.paths.chosen {
            sendCopy(ladder.bytes, to: peer, on: chosen, at: now, into: &outbox)
        } else {
            for pair in peer.paths.pairs {
                sendCopy(ladder.bytes, to: peer, on: pair.path, at: now, into: &outbox)
            }
        }
        peer.ladder?.sent(at: now)
    }

    /// Sends one copy of an initiation, with the path's mac2 where a cookie is known.
    private mutating func sendCopy(
        _ initiation: [UInt8],
        to peer: Peer,
        on path: Path,
        at now: Instant,
        into outbox: inout Outbox
    ) {
        var bytes = initiation
        if let cookie = peer.cookie(for: path) { _ = cookie.authenticate(&bytes, at: now) }
        transmit(bytes, on: path, into: &outbox)
        peer.bytesOut += UInt64(bytes.count)
    }

    mutating func receiveResponse(
        _ datagram: RawSpan,
        _ arrival: Arrival,
        into outbox: inout Outbox
    ) {
        let now = arrival.now
        do {
            let view = try ResponseView(datagram)
            guard let peer = owner(of: view.receiver) else { throw HandshakeError.unexpected }
            try peer.tunnel.finish(with: datagram, as: identity, at: now)
            noteHeard(at: now)
            peer.bytesIn += UInt64(datagram.byteCount)
            peer.ladder = nil
            let path = arrival.path(of: peer)
            if peer.paths.chosen == nil || peer.liveness.isHunting || !peer.isConnected {
                _ = peer.paths.learn(arrival.remote, relay: arrival.relay)
                peer.paths.choose(path, at: now)
                peer.chosenHeardAt = now
                permit(peer, at: now, into: &outbox)
                bindChosen(peer, at: now)
            }
            confirm(peer, at: now)
            if peer.speaksFrames { ask(peer, at: now, into: &outbox) }
            reschedule(peer)
        } catch {
            counters.handshakesRefused += 1
        }
    }

    mutating func receiveCookie(
        _ datagram: RawSpan,
        _ arrival: Arrival,
        into outbox: inout Outbox
    ) {
        let now = arrival.now
        do {
            let view = try CookieReplyView(datagram)
            guard let peer = owner(of: view.receiver) else { throw HandshakeError.unexpected }
            let cookie = try peer.tunnel.cookie(from: datagram, at: now)
            let path = arrival.path(of: peer)
            peer.keep(cookie, for: path)
            if let ladder = peer.ladder {
                sendCopy(ladder.bytes, to: peer, on: path, at: now, into: &outbox)
            }
        } catch {
            counters.handshakesRefused += 1
        }
    }
}

// MARK: - Gateway

extension PeerPool {
    mutating func receiveInitiation(
        _ datagram: RawSpan,
        _ arrival: Arrival,
        into outbox: inout Outbox
    ) {
        let (path, now) = (arrival.path, arrival.now)
        if let copy = copies.response(to: datagram, at: now) {
            counters.copiesAnswered += 1
            transmit(copy, on: path, into: &outbox)
            return
        }
        do {
            switch try checker.check(datagram, from: arrival.remote, as: identity, at: now) {
            case .accepted: break
            case .challenged(let reply):
                counters.challenged += 1
                transmit(reply, on: path, into: &outbox)
                return
            case .limited:
                counters.challenged += 1
                return
            }
            let initiation = try IncomingInitiation(datagram, as: identity)
            guard let slot = slots[initiation.initiator], let peer = peers[slot] else {
                park(initiation.initiator, datagram, path, at: now)
                return
            }
            try respond(to: initiation, datagram, of: peer, on: path, at: now, into: &outbox)
        } catch {
            counters.handshakesRefused += 1
        }
    }

    private mutating func respond(
        to initiation: consuming IncomingInitiation,
        _ datagram: RawSpan,
        of peer: Peer,
        on path: Path,
        at now: Instant,
        into outbox: inout Outbox
    ) throws(HandshakeError) {
        let index = dealIndex(to: peer)
        let response = try peer.tunnel.respond(
            to: initiation,
            index: index,
            random: &random,
            at: now
        )
        copies.insert(datagram, response: response, at: now)
        transmit(response, on: path, into: &outbox)
        peer.bytesIn += UInt64(datagram.byteCount)
        peer.bytesOut += UInt64(response.count)
        reschedule(peer)
    }

    private mutating func park(
        _ key: Key,
        _ datagram: RawSpan,
        _ path: Path,
        at now: Instant
    ) {
        counters.parked += 1
        parked.insert(
            ParkedInitiations.Entry(key: key, bytes: datagram.array, path: path, at: now)
        )
        events.append(.unknownKey(key))
    }

    /// The portal told of a key whose initiation is already here: the newest is answered, its
    /// copies on the paths that they came by.
    mutating func answerParked(_ peer: Peer, at now: Instant, into outbox: inout Outbox) {
        for entry in parked.take(peer.configuration.publicKey, at: now) {
            let path = entry.path
            let datagram = entry.bytes.rawSpan
            if let copy = copies.response(to: datagram, at: now) {
                counters.copiesAnswered += 1
                transmit(copy, on: path, into: &outbox)
                continue
            }
            do {
                let initiation = try IncomingInitiation(datagram, as: identity)
                try respond(to: initiation, datagram, of: peer, on: path, at: now, into: &outbox)
            } catch {
                counters.handshakesRefused += 1
            }
        }
    }

    /// Opens our NAT towards the candidates: by probes where a session is, again and again while
    /// only a relay carries it, else by a few bytes that say nothing.
    mutating func open(towards peer: Peer, at now: Instant, into outbox: inout Outbox) {
        guard !peer.isConnected else {
            guard peer.speaksFrames else { return }
            peer.search = Search(at: now)
            return search(for: peer, at: now, into: &outbox)
        }
        for path in Self.openable(peer) {
            let opener = [UInt8](repeating: 0, count: Limits.openerByteCount)
            transmit(opener, on: path, into: &outbox)
        }
    }

    /// Sends the round of a search that is due; a direct way ends the search.
    mutating func search(for peer: Peer, at now: Instant, into outbox: inout Outbox) {
        guard var search = peer.search, search.next <= now else { return }
        for path in Self.openable(peer) { probe(peer, on: path, at: now, into: &outbox) }
        let goesOn = search.sent(at: now) && peer.paths.chosenKind == .relayed
        peer.search = goesOn ? search : nil
    }

    /// The few pairs that a gateway may aim at unasked: where it sends anyway, then the candidates,
    /// first those where it opens something. Relays need no opening, only permission.
    static func openable(_ peer: Peer) -> [Path] {
        var paths: [Path] = []
        if let chosen = peer.paths.chosen { paths.append(chosen) }
        let direct = peer.paths.pairs.filter { !$0.path.isRelayed }
        for rank in 0..<openerRanks {
            for pair in direct where openerRank(of: pair) == rank && paths.count < Limits.openers {
                let isKnown = paths.contains { !$0.isRelayed && $0.remote == pair.path.remote }
                if !isKnown { paths.append(pair.path) }
            }
        }
        return paths
    }

    private static var openerRanks: Int { 5 }

    /// What is opened where: the NAT in front of us, towards strangers rather than neighbours.
    private static func openerRank(of pair: PathTable.Pair) -> Int {
        switch pair.kind {
        case .serverReflexive: 0
        case .relayed: 1
        case .peerReflexive: 2
        case .host: pair.path.remote.address.isPrivate ? 4 : 3
        }
    }
}

// MARK: - Both

extension PeerPool {
    /// A session is there, and works.
    mutating func confirm(_ peer: Peer, at now: Instant) {
        counters.handshakes += 1
        peer.connectingSince = nil
        if peer.isLost, peer.isConnected { events.append(.recovered(peer.index)) }
        peer.isLost = false
        guard !peer.isConnected else { return }
        peer.isConnected = true
        peer.liveness.restart(at: now)
        if role == .client, peer.speaksFrames { peer.paths.probeAll(at: now) }
        events.append(.connected(peer.index))
    }

    /// The slot is in the lower half of every index that we deal.
    static func slot(of index: UInt32) -> Int { Int(index & 0xffff) }

    /// The peer that was dealt `index`.
    private func owner(of index: UInt32) -> Peer? {
        let slot = Self.slot(of: index)
        guard slot < peers.count, let peer = peers[slot], peer.tunnel.owns(index) else {
            return nil
        }
        return peer
    }

    private mutating func dealIndex(to peer: Peer) -> UInt32 {
        let slot = UInt32(peer.index.slot)
        var index = UInt32(truncatingIfNeeded: random.next()) << 16 | slot
        // At most four are live, of 65,536.
        while peer.tunnel.owns(index) { index &+= 0x1_0000 }
        return index
    }
}
