public import Bytes
internal import IP
public import SansIO
internal import WireGuard

extension PeerPool {
    /// When ``advance(to:into:)`` must be called at the latest; an event that waits is due at once.
    public var nextDeadline: Instant? {
        guard events.isEmpty, !hasRelayEvents else { return Instant(nanoseconds: 0) }
        guard let first = deadlines.next else { return relayDeadline }
        return relayDeadline.map { min($0, first) } ?? first
    }

    /// Time passed.
    public mutating func advance(to now: Instant, into outbox: inout Outbox) {
        if let relayDeadline, relayDeadline <= now { workRelays(at: now, into: &outbox) }
        // Each visit moves a peer's deadline past `now`. One peer sends at most on each of its
        // pairs, and each send may need a run of its own: with less room the rest waits.
        for _ in 0..<deadlines.count {
            guard outbox.runCount + PathTable.Limits.pairs + 8 <= Outbox.Limits.entries,
                let slot = deadlines.popDue(at: now)
            else { break }
            guard let peer = peers[slot] else { continue }
            work(peer, at: now, into: &outbox)
            reschedule(peer)
        }
        if let relayDeadline, relayDeadline <= now { workRelays(at: now, into: &outbox) }
    }

    /// When the peer is visited next.
    mutating func reschedule(_ peer: Peer) { deadlines[peer.index.slot] = peer.nextDeadline }

    /// The same after a packet, which few deadlines depend on: one that moved away is left.
    mutating func reschedule(_ peer: Peer, isLivenessSooner: Bool) {
        guard !isLivenessSooner, let scheduled = deadlines[peer.index.slot] else {
            return reschedule(peer)
        }
        if let deadline = peer.tunnel.nextDeadline, deadline < scheduled { reschedule(peer) }
    }

    /// Does what is due for one peer.
    mutating func work(_ peer: Peer, at now: Instant, into outbox: inout Outbox) {
        workTunnel(peer, at: now, into: &outbox)
        climb(peer, at: now, into: &outbox)
        if let since = peer.connectingSince, !peer.isLost,
            since.duration(to: now) >= Limits.connectPatience
        {
            peer.isLost = true
            events.append(.lost(peer.index))
        }
        guard peer.isConnected, peer.speaksFrames else { return }
        probeDue(peer, at: now, into: &outbox)
        search(for: peer, at: now, into: &outbox)
        workLiveness(peer, at: now, into: &outbox)
    }

    private mutating func workTunnel(_ peer: Peer, at now: Instant, into outbox: inout Outbox) {
        // A tunnel asks for one thing of each kind at a time.
        for _ in 0..<8 {
            guard let action = peer.tunnel.advance(to: now) else { return }
            switch action {
            case .initiate:
                // A session that does well is renewed; else packets must want one.
                let isHealthy = peer.tunnel.canSeal(at: now) && peer.liveness.isHealthy
                if isHealthy || isWanted(peer, at: now) {
                    begin(peer, at: now)
                } else {
                    giveUp(peer)
                }
            case .keepalive:
                if let path = peer.paths.chosen {
                    seal([], to: peer, on: path, at: now, into: &outbox)
                    peer.liveness.sentAnswer(at: now)
                }
            case .gaveUp:
                giveUp(peer)
                if !peer.isLost {
                    peer.isLost = true
                    events.append(.lost(peer.index))
                }
            case .expired:
                peer.isConnected = false
            }
        }
    }

    /// Whether a packet asked for a session lately.
    private func isWanted(_ peer: Peer, at now: Instant) -> Bool {
        peer.wantedAt.duration(to: now) < Limits.wantedTime
    }

    /// Nobody waits for the handshake any more.
    private mutating func giveUp(_ peer: Peer) {
        peer.tunnel.abandonHandshake()
        peer.ladder = nil
        peer.connectingSince = nil
    }
}

// MARK: - Probes and liveness

extension PeerPool {
    /// Sends the probes that are due; a gateway sends none but to be found.
    mutating func probeDue(_ peer: Peer, at now: Instant, into outbox: inout Outbox) {
        let isActive = peer.liveness.isActive(at: now)
        for _ in 0..<PathTable.Limits.pairs {
            guard let path = peer.paths.popDue(at: now, isActive: isActive) else { break }
            guard role == .client else { continue }
            if path == peer.paths.chosen {
                ask(peer, at: now, into: &outbox)
            } else {
                probe(peer, on: path, at: now, into: &outbox)
            }
        }
        if role == .client { reconsider(peer, at: now, into: &outbox) }
    }

    mutating func probe(
        _ peer: Peer,
        on path: Path,
        at now: Instant,
        into outbox: inout Outbox
    ) {
        let number = peer.paths.sendProbe(on: path, at: now)
        send(.probe(number: number), to: peer, on: path, at: now, into: &outbox)
    }

    /// Says something on the chosen path that the peer answers: a client names it as its path.
    mutating func ask(_ peer: Peer, at now: Instant, into outbox: inout Outbox) {
        guard let path = peer.paths.chosen else { return }
        let number = peer.paths.sendProbe(on: path, at: now)
        let frame: ControlFrame = role == .client ? .path(number: number) : .probe(number: number)
        send(frame, to: peer, on: path, at: now, into: &outbox)
        peer.liveness.sentQuestion(at: now)
    }

    /// Client: takes a better path if there is one; doubts the chosen one when it does not answer.
    mutating func reconsider(_ peer: Peer, at now: Instant, into outbox: inout Outbox) {
        let isDead = peer.paths.isChosenDead(at: now)
        if let better = peer.paths.better(at: now, isChosenDead: isDead) {
            if isDead { peer.paths.noteDeath() }
            peer.paths.choose(better, at: now)
            peer.chosenHeardAt = now
            peer.liveness.pathWorks()
            ask(peer, at: now, into: &outbox)
            noteChoice(of: peer)
            bindChosen(peer, at: now)
        } else if isDead, peer.liveness.isHealthy {
            peer.liveness.doubt(at: now)
        }
    }

    /// The role hears which way packets take now.
    mutating func noteChoice(of peer: Peer) {
        let roundTrip = role == .client ? peer.paths.chosenRoundTrip : nil
        events.append(
            .pathChanged(peer.index, kind: peer.paths.chosenKind, roundTrip: roundTrip)
        )
    }

    private mutating func workLiveness(_ peer: Peer, at now: Instant, into outbox: inout Outbox) {
        for _ in 0..<4 {
            let roundTrip = peer.paths.chosenRoundTrip
            guard let due = peer.liveness.popDue(at: now, roundTrip: roundTrip) else { return }
            switch due {
            case .ask:
                ask(peer, at: now, into: &outbox)
                if !peer.liveness.isHealthy { doubtRelays(at: now, into: &outbox) }
            case .distress:
                events.append(.distress(peer.index))
                hunt(peer, at: now, into: &outbox)
            case .round: hunt(peer, at: now, into: &outbox)
            case .rest:
                giveUp(peer)
                ask(peer, at: now, into: &outbox)
            case .lost:
                if role == .client, !peer.isLost {
                    peer.isLost = true
                    events.append(.lost(peer.index))
                }
            }
        }
    }

    /// Probes all pairs, and lets the relays be checked: the NAT in front of us may have forgotten
    /// them too. When that has gone on for a second, and packets wait, the
    /// session itself is doubted.
    private mutating func hunt(_ peer: Peer, at now: Instant, into outbox: inout Outbox) {
        switch role {
        case .client:
            reconsider(peer, at: now, into: &outbox)
            guard let since = peer.liveness.huntingSince else { return }
            for pair in peer.paths.pairs { probe(peer, on: pair.path, at: now, into: &outbox) }
            if since.duration(to: now) >= Liveness.Limits.fastHunt, !peer.tunnel.isHandshaking,
                isWanted(peer, at: now)
            {
                begin(peer, at: now)
                climb(peer, at: now, into: &outbox)
            }
        case .gateway:
            for path in Self.openable(peer) + peer.paths.relayedPaths {
                probe(peer, on: path, at: now, into: &outbox)
            }
        }
        doubtRelays(at: now, into: &outbox)
    }

    /// Lets the relays be checked, unless they were a moment ago.
    private mutating func doubtRelays(at now: Instant, into outbox: inout Outbox) {
        if let last = relaysDoubtedAt, last.duration(to: now) < Limits.doubtInterval { return }
        relaysDoubtedAt = now
        renewRelays(at: now, into: &outbox)
    }
}
