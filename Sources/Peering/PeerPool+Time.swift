public import Bytes
internal import IP
public import SansIO
internal import WireGuard

extension PeerPool {
    /// When ``advance(to:into:)`` must be called at the latest; an event that waits is due at once.
    public var nextDeadline: Instant? {
        events.isEmpty ? deadlines.first?.deadline : Instant(nanoseconds: 0)
    }

    /// Time passed.
    public mutating func advance(to now: Instant, into outbox: inout Outbox) {
        // Each visit moves a peer's deadline past `now`, or to it when the outbox is full.
        for _ in 0..<deadlines.count {
            guard let entry = deadlines.popDue(at: now) else { return }
            guard entry.slot < peers.count, let peer = peers[entry.slot],
                peer.scheduled == entry.deadline
            else { continue }
            peer.scheduled = nil
            work(peer, at: now, into: &outbox)
            reschedule(peer)
        }
    }

    /// Puts the peer into the heap if it stands there later than it wants to.
    mutating func reschedule(_ peer: Peer) {
        guard let deadline = peer.nextDeadline else { return }
        if let scheduled = peer.scheduled, scheduled <= deadline { return }
        peer.scheduled = deadline
        deadlines.insert(DeadlineHeap.Entry(deadline: deadline, slot: peer.index.slot))
    }

    /// The same after a packet, which few deadlines depend on.
    mutating func reschedule(_ peer: Peer, isLivenessSooner: Bool) {
        guard !isLivenessSooner, let scheduled = peer.scheduled else { return reschedule(peer) }
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
        workLiveness(peer, at: now, into: &outbox)
    }

    private mutating func workTunnel(_ peer: Peer, at now: Instant, into outbox: inout Outbox) {
        // A tunnel asks for one thing of each kind at a time.
        for _ in 0..<8 {
            guard let action = peer.tunnel.advance(to: now) else { return }
            switch action {
            case .initiate:
                let isWanted =
                    peer.tunnel.canSeal(at: now)
                    || peer.wantedAt.duration(to: now) < Limits.wantedTime
                if isWanted { begin(peer, at: now) } else { giveUp(peer) }
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
            if role == .client { probe(peer, on: path, at: now, into: &outbox) }
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
            peer.paths.choose(better, at: now)
            peer.liveness.pathWorks()
            ask(peer, at: now, into: &outbox)
            events.append(
                .pathChanged(
                    peer.index,
                    kind: peer.paths.chosenKind,
                    roundTrip: peer.paths.chosenRoundTrip
                )
            )
        } else if isDead {
            peer.liveness.doubt(at: now)
        }
    }

    private mutating func workLiveness(_ peer: Peer, at now: Instant, into outbox: inout Outbox) {
        for _ in 0..<4 {
            let roundTrip = peer.paths.chosenRoundTrip
            guard let due = peer.liveness.popDue(at: now, roundTrip: roundTrip) else { return }
            switch due {
            case .ask: ask(peer, at: now, into: &outbox)
            case .distress:
                events.append(.distress(peer.index))
                hunt(peer, at: now, into: &outbox)
            case .round: hunt(peer, at: now, into: &outbox)
            case .lost:
                if role == .client, !peer.isLost {
                    peer.isLost = true
                    events.append(.lost(peer.index))
                }
            }
        }
    }

    /// Probes all pairs; when that has gone on for a second, the session itself is doubted too.
    private mutating func hunt(_ peer: Peer, at now: Instant, into outbox: inout Outbox) {
        switch role {
        case .client:
            reconsider(peer, at: now, into: &outbox)
            guard let since = peer.liveness.huntingSince else { return }
            for pair in peer.paths.pairs { probe(peer, on: pair.path, at: now, into: &outbox) }
            if since.duration(to: now) >= Liveness.Limits.fastHunt, !peer.tunnel.isHandshaking {
                begin(peer, at: now)
                climb(peer, at: now, into: &outbox)
            }
        case .gateway:
            for path in Self.openable(peer) { probe(peer, on: path, at: now, into: &outbox) }
        }
    }
}
