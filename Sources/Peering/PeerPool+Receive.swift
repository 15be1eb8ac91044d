public import Bytes
internal import IP
internal import STUN
public import SansIO
internal import WireGuard

extension PeerPool {
    /// One datagram from the network.
    ///
    /// A packet's plaintext is left reserved at the outbox's tunnel side; see ``Received``. The
    /// caller makes sure that the outbox has room for a packet on either side.
    public mutating func receive(
        _ datagram: RawSpan,
        remote: Endpoint,
        local: Endpoint,
        ecn: UInt8,
        at now: Instant,
        into outbox: inout Outbox
    ) -> Received {
        // No message of STUN, and no channel data, begins as WireGuard's do.
        guard let kind = MessageKind(of: datagram) else {
            return receiveFromRelay(datagram, remote: remote, ecn: ecn, at: now, into: &outbox)
        }
        let arrival = Arrival(remote: remote, local: local, ecn: ecn, at: now)
        return receive(datagram, kind, arrival, into: &outbox)
    }

    private mutating func receive(
        _ datagram: RawSpan,
        _ kind: MessageKind,
        _ arrival: Arrival,
        into outbox: inout Outbox
    ) -> Received {
        switch (kind, role) {
        case (.transport, _): return receivePacket(datagram, arrival, into: &outbox)
        case (.initiation, .gateway): receiveInitiation(datagram, arrival, into: &outbox)
        case (.response, .client): receiveResponse(datagram, arrival, into: &outbox)
        case (.cookieReply, .client): receiveCookie(datagram, arrival, into: &outbox)
        case (.initiation, .client), (.response, .gateway), (.cookieReply, .gateway):
            // Only clients begin handshakes: two beginners would make competing sessions.
            counters.handshakesRefused += 1
        }
        return .nothing
    }

    /// What a relay says to us, or carries to us: a datagram of a peer.
    private mutating func receiveFromRelay(
        _ datagram: RawSpan,
        remote: Endpoint,
        ecn: UInt8,
        at now: Instant,
        into outbox: inout Outbox
    ) -> Received {
        for place in relays.indices where relays[place].client?.isServer(remote) ?? false {
            switch relays[place].client?.receive(datagram, from: remote, at: now) {
            case .notOurs, nil: continue
            case .handled:
                if relays[place].client?.heardAt == now { noteHeard(at: now) }
                workRelays(at: now, into: &outbox)
                return .nothing
            case .data(from: let peer, let range):
                let inner = datagram.extracting(range)
                guard let kind = MessageKind(of: inner) else { break }
                var arrival = Arrival(remote: peer, local: .unspecified, ecn: ecn, at: now)
                arrival.relay = relays[place].number
                return receive(inner, kind, arrival, into: &outbox)
            }
        }
        counters.foreign += 1
        return .nothing
    }

    /// How a datagram came.
    struct Arrival {
        /// The peer's endpoint, also where a relay carried it.
        var remote: Endpoint
        var local: Endpoint
        /// The relay of ours that it came through; 0: none.
        var relay: UInt32 = 0
        var ecn: UInt8
        var now: Instant

        init(remote: Endpoint, local: Endpoint, ecn: UInt8, at now: Instant) {
            (self.remote, self.local, self.ecn, self.now) = (remote, local, ecn, now)
        }

        /// Where it came from.
        var source: PathTable.Source { PathTable.Source(endpoint: remote, relay: relay) }

        /// The way back: from the address that it came to, or through the relay.
        var path: Path {
            Path(local: Endpoint(local.address, port: 0), remote: remote, relay: relay)
        }

        /// The way back by the name that the peer's pairs have for it.
        func path(of peer: Peer) -> Path {
            relay == 0 ? peer.paths.path(remote: remote, local: local) : path
        }
    }

    private mutating func receivePacket(
        _ datagram: RawSpan,
        _ arrival: Arrival,
        into outbox: inout Outbox
    ) -> Received {
        let slot = Self.slot(of: datagram.littleEndianUInt32(at: 4))
        guard slot < peers.count, let peer = peers[slot] else {
            counters.packetsRefused += 1
            return .nothing
        }
        let opened: Tunnel.Opened
        do {
            var plain = outbox.reserveTunnel(datagram.byteCount - Self.transportOverhead)
            opened = try peer.tunnel.open(datagram, into: &plain, at: arrival.now)
        } catch {
            counters.packetsRefused += 1
            return .nothing
        }
        peer.bytesIn += UInt64(datagram.byteCount)
        let content = Self.content(outbox.peekReservedTunnelBytes(), opened.byteCount)
        let isSooner = heard(peer, content, opened, arrival, into: &outbox)
        defer { reschedule(peer, isLivenessSooner: isSooner) }
        switch content {
        case .keepalive: return .nothing
        case .malformed:
            counters.packetsMalformed += 1
            return .nothing
        case .packet(let byteCount):
            guard Self.mergeCongestion(arrival.ecn, into: &outbox) else {
                counters.packetsMalformed += 1
                return .nothing
            }
            return .packet(peer.index, byteCount: byteCount)
        case .frame(let frame):
            return receiveFrame(frame, of: peer, opened, arrival, into: &outbox)
        case .unreadableFrame:
            counters.framesRefused += 1
            return .nothing
        }
    }

    /// Header and tag of a transport message.
    private static var transportOverhead: Int { Tunnel.datagramByteCount(inner: 0) }

    /// What an opened message holds.
    enum Content {
        case keepalive
        case packet(byteCount: Int)
        case frame(ControlFrame)
        case unreadableFrame
        case malformed
    }

    /// By the first byte: 0 is a frame, else the IP version. The length is that of the IP header;
    /// what follows is padding.
    private static func content(_ plain: RawSpan, _ byteCount: Int) -> Content {
        guard byteCount > 0, byteCount <= plain.byteCount else { return .keepalive }
        let bytes = plain.extracting(0..<byteCount)
        switch bytes.byte(at: 0) >> 4 {
        case 4 where byteCount >= 20:
            let total = Int(bytes.uint16(at: 2))
            return (20...byteCount).contains(total) ? .packet(byteCount: total) : .malformed
        case 6 where byteCount >= 40:
            let total = Int(bytes.uint16(at: 4)) + 40
            return total <= byteCount ? .packet(byteCount: total) : .malformed
        case 0 where bytes.byte(at: 0) == 0:
            do { return .frame(try ControlFrame(reading: bytes)) } catch { return .unreadableFrame }
        default: return .malformed
        }
    }

    /// RFC 6040: congestion that the outer header met is marked in the inner one, if it can be; a
    /// packet that cannot be marked is dropped (false).
    private static func mergeCongestion(_ ecn: UInt8, into outbox: inout Outbox) -> Bool {
        guard ecn == 3 else { return true }
        var bytes = outbox.reservedTunnelBytes()
        let first = bytes.bytes.uint16(at: 0)
        let isIPv4 = first >> 12 == 4
        let inner = isIPv4 ? first & 3 : first >> 4 & 3
        guard inner != 0 else { return false }
        guard inner != 3 else { return true }
        let marked = isIPv4 ? first | 3 : first | 3 << 4
        bytes.store(marked, at: 0)
        if isIPv4 {
            // RFC 1624, equation 3.
            var sum = UInt32(~bytes.bytes.uint16(at: 10)) + UInt32(~first) + UInt32(marked)
            while sum > 0xffff { sum = sum >> 16 + sum & 0xffff }
            bytes.store(~UInt16(sum), at: 10)
        }
        return true
    }
}

// MARK: - What it says of the path

extension PeerPool {
    /// Something authentic came: the session is confirmed, silence ends, and the path may change.
    ///
    /// - Returns: Whether something may be due sooner than before.
    private mutating func heard(
        _ peer: Peer,
        _ content: Content,
        _ opened: Tunnel.Opened,
        _ arrival: Arrival,
        into outbox: inout Outbox
    ) -> Bool {
        let isTraffic =
            switch content {
            case .packet: true
            case .keepalive, .frame, .unreadableFrame, .malformed: false
            }
        noteHeard(at: arrival.now)
        // New traffic ends the distress, but not what the role was told of it.
        if peer.liveness.isInDistress || peer.isLost { events.append(.recovered(peer.index)) }
        let isByChosenPath =
            role == .gateway || !peer.speaksFrames
            || peer.paths.isChosen(arrival.source, orItsAnswers: true)
        let isSooner = peer.liveness.heard(
            isTraffic: isTraffic,
            isByChosenPath: isByChosenPath,
            at: arrival.now
        )
        peer.isLost = false
        switch role {
        case .gateway: steer(peer, content, opened, arrival, into: &outbox)
        case .client:
            guard opened.isNewest else { break }
            notice(arrival, content, of: peer, into: &outbox)
        }
        if opened.isConfirmation { confirm(peer, at: arrival.now) }
        return isSooner || !isTraffic || opened.isConfirmation
    }

    /// Gateway: packets go where the client's newest data or path frame came from. What is newer
    /// but names no path, as a probe that overtook it, does not outdate it; an older one does not
    /// turn it back.
    private mutating func steer(
        _ peer: Peer,
        _ content: Content,
        _ opened: Tunnel.Opened,
        _ arrival: Arrival,
        into outbox: inout Outbox
    ) {
        guard opened.isOfCurrentSession else { return }
        if opened.isConfirmation { peer.namedBy = nil }
        if let newest = peer.namedBy, opened.counter <= newest { return }
        if moves(peer, content) {
            peer.namedBy = opened.counter
        } else if peer.paths.chosen != nil {
            return
        }
        follow(arrival.path, peer, at: arrival.now, into: &outbox)
    }

    /// Whether such content of the client names the path: data and the frames that only it sends;
    /// from other implementations everything, as WireGuard has it.
    private func moves(_ peer: Peer, _ content: Content) -> Bool {
        guard peer.speaksFrames else { return true }
        switch content {
        case .packet: return true
        case .frame(let frame):
            switch frame {
            case .path, .names, .release: return true
            case .probe, .probeAnswer, .namesAnswer, .goodbye: return false
            }
        case .keepalive, .unreadableFrame, .malformed: return false
        }
    }

    /// Gateway: packets go where the client's newest came from.
    private mutating func follow(
        _ path: Path,
        _ peer: Peer,
        at now: Instant,
        into outbox: inout Outbox
    ) {
        guard peer.paths.chosen != path else { return }
        let wasRelayed = peer.paths.chosen != nil && peer.paths.chosenKind == .relayed
        _ = peer.paths.learn(path.remote, relay: path.relay)
        peer.paths.choose(path, at: now)
        permit(peer, at: now, into: &outbox)
        peer.liveness.pathWorks()
        noteChoice(of: peer)
        bindChosen(peer, at: now)
        if !wasRelayed, peer.speaksFrames, peer.paths.chosenKind == .relayed {
            peer.search = Search(at: now)
        }
        reschedule(peer)
    }

    /// Client: where the gateway's newest packet came from. By the chosen path all is well. Where
    /// it speaks unasked by another way, and the chosen one has been silent, that one is doubted:
    /// the gateway may be looking for us. An endpoint that is new, as after a NAT renumbered, is
    /// asked, and the chosen one with it.
    private mutating func notice(
        _ arrival: Arrival,
        _ content: Content,
        of peer: Peer,
        into outbox: inout Outbox
    ) {
        let now = arrival.now
        let source = arrival.source
        if peer.paths.isChosen(source, orItsAnswers: !peer.liveness.isHunting) {
            peer.chosenHeardAt = now
            return
        }
        guard peer.speaksFrames else {
            peer.paths.choose(arrival.path(of: peer), at: now)
            return bindChosen(peer, at: now)
        }
        // An answer says that its own pair works, whatever endpoint it came from.
        guard !Self.isAnswer(content) else { return }
        let patience = Liveness.patience(peer.paths.chosenRoundTrip)
        if peer.chosenHeardAt.map({ $0.duration(to: now) >= patience }) ?? true {
            peer.liveness.doubt(at: now)
            reschedule(peer)
        }
        guard mayLearn(source, of: peer, at: now),
            peer.paths.learn(source.endpoint, relay: source.relay)
        else { return }
        if source.relay == 0 { peer.learntAt = now } else { peer.learntByRelayAt = now }
        permit(peer, at: now, into: &outbox)
        peer.paths.probe(remote: source.endpoint, at: now)
        if let chosen = peer.paths.chosen { peer.paths.probe(remote: chosen.remote, at: now) }
        probeDue(peer, at: now, into: &outbox)
        reschedule(peer)
    }

    /// Whether a new endpoint may help: not while a direct path does well, and else now and then.
    /// Behind some NATs each probe would find another one.
    private func mayLearn(_ source: PathTable.Source, of peer: Peer, at now: Instant) -> Bool {
        guard rules.permits(source.endpoint) else { return false }
        if peer.liveness.isHunting { return true }
        let last = source.relay == 0 ? peer.learntAt : peer.learntByRelayAt
        return !peer.paths.isDirectProven(at: now)
            && last.map { $0.duration(to: now) >= Limits.learnInterval } ?? true
    }

    /// Whether we asked for it, by whichever way.
    private static func isAnswer(_ content: Content) -> Bool {
        switch content {
        case .frame(.probeAnswer), .frame(.namesAnswer): true
        case .keepalive, .packet, .frame, .unreadableFrame, .malformed: false
        }
    }

    private mutating func receiveFrame(
        _ frame: ControlFrame,
        of peer: Peer,
        _ opened: Tunnel.Opened,
        _ arrival: Arrival,
        into outbox: inout Outbox
    ) -> Received {
        guard frame.mayBeSent(by: role == .client ? .gateway : .client) else {
            counters.framesRefused += 1
            return .nothing
        }
        switch frame {
        case .probe(let number), .path(let number):
            let answer = ControlFrame.probeAnswer(number: number)
            send(answer, to: peer, on: arrival.path, at: arrival.now, into: &outbox)
            // By another way it says nothing on the chosen one, which must be kept open too.
            if arrival.path(of: peer) == peer.paths.chosen {
                peer.liveness.sentAnswer(at: arrival.now)
            }
            return .nothing
        case .probeAnswer(let number):
            answered(number, peer, arrival, into: &outbox)
            return .nothing
        case .names, .namesAnswer, .release, .goodbye:
            return .frame(peer.index, frame)
        }
    }

    /// A probe was answered: the pair is proven, and may be better than the chosen one.
    private mutating func answered(
        _ number: UInt64,
        _ peer: Peer,
        _ arrival: Arrival,
        into outbox: inout Outbox
    ) {
        let now = arrival.now
        let source = arrival.source
        guard let path = peer.paths.answered(number, from: source, at: now) else { return }
        if path == peer.paths.chosen {
            peer.chosenHeardAt = now
            peer.liveness.pathWorks()
        }
        guard role == .client else { return }
        // The gateway's NAT shows it elsewhere to us: straight there and back would be better.
        if path == peer.paths.chosen, !peer.paths.isChosen(source, orItsAnswers: false),
            source.relay == 0, rules.permits(source.endpoint),
            peer.paths.learn(source.endpoint, relay: 0)
        {
            peer.paths.probe(remote: source.endpoint, at: now)
            probeDue(peer, at: now, into: &outbox)
        }
        reconsider(peer, at: now, into: &outbox)
    }
}
