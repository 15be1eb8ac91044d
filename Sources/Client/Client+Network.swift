internal import Bytes
internal import Control
internal import DNS
internal import IP
internal import Peering
internal import SansIO

extension Client {
    /// What one read brought from one sender: a datagram, or several of equal size.
    ///
    /// - Returns: False when the outbox may not have room for all of it.
    mutating func receiveBurst(
        _ bytes: RawSpan,
        _ info: Batch.Packet,
        at now: Instant,
        into outbox: inout Outbox
    ) -> Bool {
        let size = info.segmentByteCount > 0 ? info.segmentByteCount : max(1, bytes.byteCount)
        let count = (bytes.byteCount + size - 1) / size
        guard outbox.hasTunnelRoom(packets: count, byteCount: size),
            outbox.hasNetworkRoom(datagrams: count, byteCount: 128)
        else { return false }
        var start = 0
        while start < bytes.byteCount {
            let end = min(start + size, bytes.byteCount)
            receiveDatagram(bytes.extracting(start..<end), info, at: now, into: &outbox)
            start = end
        }
        return true
    }

    private mutating func receiveDatagram(
        _ bytes: RawSpan,
        _ info: Batch.Packet,
        at now: Instant,
        into outbox: inout Outbox
    ) {
        let received = pool.receive(
            bytes,
            remote: info.remote,
            local: info.local,
            ecn: info.ecn,
            at: now,
            into: &outbox
        )
        switch received {
        case .nothing: break
        case .packet(let peer, let byteCount):
            deliver(byteCount, from: peer, at: now, into: &outbox)
        case .frame(let peer, let frame):
            switch frame {
            case .namesAnswer(let answer):
                receiveNamesAnswer(answer, of: peer, at: now, into: &outbox)
            case .goodbye(let reason): leave(peer, reason, at: now, into: &outbox)
            case .probe, .probeAnswer, .path, .names, .release: break
            }
        }
    }

    /// Hands a gateway's packet to the host, if it is one that this gateway may send.
    private mutating func deliver(
        _ byteCount: Int,
        from peer: PeerIndex,
        at now: Instant,
        into outbox: inout Outbox
    ) {
        guard let (header, quoted) = Self.read(outbox.peekReservedTunnelBytes()) else {
            counters.malformed += 1
            return
        }
        guard isOwn(header.destination), maySend(header, quoted, peer) else {
            counters.spoofed += 1
            return
        }
        if let place = stub?.proxies.place(of: header.source) {
            stub?.proxies.notePacket(place.slot, at: now)
        }
        coalescer.commit(byteCount: byteCount, header: header, in: &outbox)
    }

    /// A packet's header, and that of the packet that an ICMP error is about.
    private static func read(_ packet: RawSpan) -> (PacketHeader, quoted: PacketHeader?)? {
        guard let header = try? PacketHeader(packet) else { return nil }
        guard header.isICMPError else { return (header, nil) }
        let start = min(header.transportOffset + 8, header.totalByteCount)
        let quotation = packet.extracting(start..<header.totalByteCount)
        return (header, try? PacketHeader(embedded: quotation))
    }

    /// Whether the gateway behind `peer` may send this: it comes from what it serves, or is an
    /// error about a packet to there.
    private mutating func maySend(
        _ header: PacketHeader,
        _ quoted: PacketHeader?,
        _ peer: PeerIndex
    ) -> Bool {
        if sources.contains(header.source, of: peer) { return true }
        if serves(header.source, peer) {
            sources.insert(header.source, of: peer)
            return true
        }
        guard let quoted else { return false }
        return isOwn(quoted.source) && serves(quoted.destination, peer)
    }

    /// Whether the gateway behind `peer` serves `address` for us.
    private mutating func serves(_ address: IPAddress, _ peer: PeerIndex) -> Bool {
        guard let place = gatewayPlace(of: peer) else { return false }
        let gateway = gateways[place]
        if gateway.tunnel.contains(address) { return true }
        if stub?.proxies.covers(address) ?? false {
            guard let slot = stub?.proxies.place(of: address)?.slot else { return false }
            return names[NameKey(peer: peer, slot: slot)] != nil
        }
        if plan.all.contains(where: { $0.contains(address) }) { return false }
        return router.covering(address).contains { id in
            authorizations[id]?.lease?.gateway == gateway.id
                || authorizations[id]?.standby?.gateway == gateway.id
        }
    }
}
