public import Bytes
public import IP
public import SansIO
internal import WireGuard

extension PeerPool {
    /// Sends a packet of the tunnel device: a large one is cut, checksums are completed, each piece
    /// is sealed where it lies in the outbox. The header is read here when not given.
    public mutating func send(
        _ packet: RawSpan,
        _ offload: Offload,
        header: PacketHeader? = nil,
        to index: PeerIndex,
        at now: Instant,
        into outbox: inout Outbox
    ) -> SendOutcome {
        guard let peer = peer(index) else { return .unknown }
        do {
            let segmenter = try Segmenter(packet, offload, header: header)
            return send(segmenter, ecn: Self.ecn(of: packet), to: peer, at: now, into: &outbox)
        } catch {
            counters.sendsRefused += 1
            return .refused
        }
    }

    /// The same for a packet whose headers were rewritten elsewhere: `headers` is all of them,
    /// `payload` what follows, `header` what was read before they were rewritten.
    public mutating func send(
        headers: RawSpan,
        payload: RawSpan,
        _ offload: Offload,
        header: PacketHeader,
        to index: PeerIndex,
        at now: Instant,
        into outbox: inout Outbox
    ) -> SendOutcome {
        guard let peer = peer(index) else { return .unknown }
        do {
            let segmenter = try Segmenter(
                headers: headers,
                payload: payload,
                offload,
                header: header
            )
            return send(segmenter, ecn: Self.ecn(of: headers), to: peer, at: now, into: &outbox)
        } catch {
            counters.sendsRefused += 1
            return .refused
        }
    }

    /// The lower two bits of the traffic class, to be copied to the outer header (RFC 6040).
    private static func ecn(of packet: RawSpan) -> UInt8 {
        guard packet.byteCount >= 2 else { return 0 }
        let bits = packet.byte(at: 0) >> 4 == 4 ? packet.byte(at: 1) : packet.byte(at: 1) >> 4
        return bits & 3
    }

    private mutating func send(
        _ segmenter: borrowing Segmenter,
        ecn: UInt8,
        to peer: Peer,
        at now: Instant,
        into outbox: inout Outbox
    ) -> SendOutcome {
        guard segmenter.byteCountMax <= Limits.packetByteCount else {
            counters.sendsRefused += 1
            return .refused
        }
        peer.wantedAt = now
        guard let path = peer.paths.chosen, peer.tunnel.canSeal(at: now) else {
            want(peer, at: now)
            reschedule(peer)
            return .connecting
        }
        guard let carriage = carriage(on: path) else {
            // As lost on the way: the silence makes all pairs be probed.
            counters.sendsUnroutable += 1
            reschedule(peer, isLivenessSooner: peer.liveness.sentTraffic(at: now))
            return .sent
        }
        let headByteCount = carriage.headerByteCount
        let byteCountMax = Tunnel.datagramByteCount(inner: segmenter.byteCountMax) + headByteCount
        guard outbox.hasNetworkRoom(datagrams: segmenter.count, byteCount: byteCountMax) else {
            return .noRoom
        }
        for segment in 0..<segmenter.count {
            let inner = segmenter.byteCount(of: segment)
            let total = Tunnel.datagramByteCount(inner: inner) + headByteCount
            var target = outbox.reserve(total)
            guard target.byteCount == total else { return .noRoom }
            var datagram = target._mutatingExtracting(headByteCount..<total)
            segmenter.write(segment, into: &datagram, at: Tunnel.headerByteCount)
            switch peer.tunnel.seal(into: &datagram, innerByteCount: inner, at: now) {
            case .sealed(let byteCount):
                if headByteCount > 0 { frame(&target, carriage, byteCount: byteCount) }
                outbox.commit(to: carriage.remote, from: carriage.local, ecn: ecn)
                peer.bytesOut += UInt64(byteCount)
            case .noSession:
                want(peer, at: now)
                reschedule(peer)
                return .connecting
            case .noRoom:
                return .noRoom
            }
        }
        reschedule(peer, isLivenessSooner: peer.liveness.sentTraffic(at: now))
        return .sent
    }

    /// Sends a control frame on the chosen path.
    public mutating func send(
        _ frame: ControlFrame,
        to index: PeerIndex,
        at now: Instant,
        into outbox: inout Outbox
    ) -> SendOutcome {
        guard let peer = peer(index) else { return .unknown }
        guard peer.speaksFrames, frame.mayBeSent(by: role) else { return .refused }
        // Packets ask for a lost peer; what is only said again does not.
        if !peer.isLost { peer.wantedAt = now }
        guard let path = peer.paths.chosen, peer.isConnected else {
            if !peer.isLost { want(peer, at: now) }
            reschedule(peer)
            return .connecting
        }
        let outcome = send(frame, to: peer, on: path, at: now, into: &outbox)
        if outcome == .sent {
            switch frame {
            case .probe, .path, .names: peer.liveness.sentQuestion(at: now)
            case .probeAnswer, .namesAnswer, .release, .goodbye:
                peer.liveness.sentAnswer(at: now)
            }
        }
        reschedule(peer)
        return outcome
    }

    /// Seals a frame and commits it to `path`.
    @discardableResult
    mutating func send(
        _ frame: ControlFrame,
        to peer: Peer,
        on path: Path,
        at now: Instant,
        into outbox: inout Outbox
    ) -> SendOutcome {
        let bytes = frame.bytes
        guard bytes.count <= ControlFrame.Limits.byteCount else { return .refused }
        return seal(bytes, to: peer, on: path, at: now, into: &outbox)
    }

    /// Seals `bytes`, none for a keepalive, and commits them to `path`.
    @discardableResult
    mutating func seal(
        _ bytes: [UInt8],
        to peer: Peer,
        on path: Path,
        at now: Instant,
        into outbox: inout Outbox
    ) -> SendOutcome {
        guard let carriage = carriage(on: path) else { return .sent }
        let headByteCount = carriage.headerByteCount
        let total = Tunnel.datagramByteCount(inner: bytes.count) + headByteCount
        var target = outbox.reserve(total)
        guard target.byteCount == total else { return .noRoom }
        var datagram = target._mutatingExtracting(headByteCount..<total)
        datagram.write(bytes.rawSpan, at: Tunnel.headerByteCount)
        switch peer.tunnel.seal(into: &datagram, innerByteCount: bytes.count, at: now) {
        case .sealed(let byteCount):
            if headByteCount > 0 { frame(&target, carriage, byteCount: byteCount) }
            outbox.commit(to: carriage.remote, from: carriage.local)
            peer.bytesOut += UInt64(byteCount)
            return .sent
        case .noSession: return .connecting
        case .noRoom: return .noRoom
        }
    }
}
