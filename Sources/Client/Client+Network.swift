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
        if filteringChecks != nil, receiveFiltering(bytes, info, at: now, into: &outbox) { return }
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
        if let quoted { heed(header, about: quoted, from: peer, at: now, into: &outbox) }
        if let place = stub?.proxies.place(of: header.source) {
            stub?.proxies.notePacket(place.slot, at: now)
        }
        if header.isTCP, header.tcpFlags.contains(.syn) { noteAnswer(header, by: peer, at: now) }
        coalescer.commit(byteCount: byteCount, header: header, in: &outbox)
    }

    /// An error of a gateway about something that it should serve: it may have lost a name or a
    /// lease that we believe in, so it is told again.
    private mutating func heed(
        _ header: PacketHeader,
        about quoted: PacketHeader,
        from peer: PeerIndex,
        at now: Instant,
        into outbox: inout Outbox
    ) {
        guard header.saysNotServed else { return }
        if let slot = stub?.proxies.place(of: quoted.destination)?.slot {
            let key = NameKey(peer: peer, slot: slot)
            let before = epoch
            if names[key]?.state == .active { retell(key, at: now, into: &outbox) }
            if epoch != before { counters.retold += 1 }
        }
        guard header.saysProhibited, isPortalConnected,
            let id = resource(of: quoted), let authorization = authorizations[id],
            let place = gatewayPlace(of: peer), authorization.lease?.gateway == gateways[place].id,
            authorization.request == nil, authorization.requestEarliest(now) <= now
        else { return }
        counters.retold += 1
        request(id, isStandby: false, at: now)
    }

    /// The resource that a packet of ours was for, as it would be chosen now.
    private mutating func resource(of header: PacketHeader) -> ResourceID? {
        let choice: Router.Choice
        if let slot = stub?.proxies.place(of: header.destination)?.slot {
            choice = router.choose(among: stub?.resources(of: slot) ?? [], for: header)
        } else {
            choice = router.choose(for: header)
        }
        if case .resource(let id) = choice { return id }
        return nil
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
            authorizations[id]?.uses(gateway.id) == true
        }
    }
}

extension PacketHeader {
    /// An ICMP error that says that nobody serves the address, or that it is forbidden.
    var saysNotServed: Bool {
        guard isICMPError, icmpType == ICMPType.unreachable(family) else { return false }
        return saysProhibited || (source.isIPv4 ? icmpCode <= 1 : icmpCode == 0 || icmpCode == 3)
    }

    /// An ICMP error that says that it is forbidden by an administrator.
    var saysProhibited: Bool {
        isICMPError && icmpType == ICMPType.unreachable(family)
            && icmpCode == (source.isIPv4 ? 13 : 1)
    }
}
