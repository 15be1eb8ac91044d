public import Bytes
internal import IP
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
        guard let kind = MessageKind(of: datagram) else {
            counters.foreign += 1
            return .nothing
        }
        switch (kind, role) {
        case (.transport, _):
            let arrival = Arrival(remote: remote, local: local, ecn: ecn, at: now)
            return receivePacket(datagram, arrival, into: &outbox)
        case (.initiation, .gateway):
            receiveInitiation(datagram, remote: remote, local: local, at: now, into: &outbox)
        case (.response, .client):
            receiveResponse(datagram, remote: remote, local: local, at: now, into: &outbox)
        case (.cookieReply, .client):
            receiveCookie(datagram, remote: remote, local: local, at: now, into: &outbox)
        case (.initiation, .client), (.response, .gateway), (.cookieReply, .gateway):
            // Only clients begin handshakes: two beginners would make competing sessions.
            counters.handshakesRefused += 1
        }
        return .nothing
    }

    /// How a datagram came.
    struct Arrival {
        var remote: Endpoint
        var local: Endpoint
        var ecn: UInt8
        var now: Instant

        init(remote: Endpoint, local: Endpoint, ecn: UInt8, at now: Instant) {
            (self.remote, self.local, self.ecn, self.now) = (remote, local, ecn, now)
        }

        /// The way back: from the address that it came to.
        var path: Path { Path(local: Endpoint(local.address, port: 0), remote: remote) }
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
        // New traffic ends the distress, but not what the role was told of it.
        if peer.liveness.isInDistress || peer.isLost { events.append(.recovered(peer.index)) }
        let isSooner = peer.liveness.heard(isTraffic: isTraffic, at: arrival.now)
        peer.isLost = false
        switch role {
        case .gateway:
            if opened.isNewest, peer.paths.chosen == nil || moves(peer, content) {
                follow(arrival.path, peer, at: arrival.now)
            }
        case .client:
            guard opened.isNewest else { break }
            notice(arrival, of: peer, into: &outbox)
        }
        if opened.isConfirmation { confirm(peer, at: arrival.now) }
        return isSooner || !isTraffic || opened.isConfirmation
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
    private mutating func follow(_ path: Path, _ peer: Peer, at now: Instant) {
        guard peer.paths.chosen != path else { return }
        _ = peer.paths.learn(path.remote)
        peer.paths.choose(path, at: now)
        peer.liveness.pathWorks()
        events.append(.pathChanged(peer.index, kind: peer.paths.chosenKind, roundTrip: nil))
        reschedule(peer)
    }

    /// Client: the gateway's packets come from somewhere new, as after a NAT renumbered: that way,
    /// and the chosen one, are asked.
    private mutating func notice(_ arrival: Arrival, of peer: Peer, into outbox: inout Outbox) {
        guard arrival.remote != peer.paths.chosen?.remote else { return }
        guard peer.speaksFrames else {
            let path = peer.paths.path(remote: arrival.remote, local: arrival.local)
            return peer.paths.choose(path, at: arrival.now)
        }
        guard rules.refusal(of: arrival.remote) == nil, peer.paths.learn(arrival.remote) else {
            return
        }
        peer.paths.probe(remote: arrival.remote, at: arrival.now)
        if let chosen = peer.paths.chosen {
            peer.paths.probe(remote: chosen.remote, at: arrival.now)
        }
        probeDue(peer, at: arrival.now, into: &outbox)
        reschedule(peer)
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
            peer.liveness.sentAnswer(at: arrival.now)
            return .nothing
        case .probeAnswer(let number):
            answered(number, peer, at: arrival.now, into: &outbox)
            return .nothing
        case .names, .namesAnswer, .release, .goodbye:
            return .frame(peer.index, frame)
        }
    }

    /// A probe was answered: the pair is proven, and may be better than the chosen one.
    private mutating func answered(
        _ number: UInt64,
        _ peer: Peer,
        at now: Instant,
        into outbox: inout Outbox
    ) {
        guard let path = peer.paths.answered(number, at: now) else { return }
        if path == peer.paths.chosen { peer.liveness.pathWorks() }
        if role == .client { reconsider(peer, at: now, into: &outbox) }
    }
}
