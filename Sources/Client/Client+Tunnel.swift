public import Bytes
internal import Control
internal import DNS
internal import IP
internal import Peering
public import SansIO

extension Client {
    public mutating func receive(
        _ batch: borrowing Batch,
        from side: Side,
        at now: Instant,
        into outbox: inout Outbox
    ) -> Int {
        noteTurn(at: now, into: &outbox)
        var taken = 0
        for index in batch.indices {
            let isTaken =
                switch side {
                case .tunnel:
                    receivePacket(
                        batch.bytes(of: index),
                        batch[index].offload,
                        at: now,
                        into: &outbox
                    )
                case .network:
                    receiveBurst(batch.bytes(of: index), batch[index], at: now, into: &outbox)
                }
            guard isTaken else { break }
            taken += 1
        }
        settle(at: now, into: &outbox)
        return taken
    }

    /// A packet of the host.
    ///
    /// - Returns: False when the outbox has no room: the packet must come again.
    mutating func receivePacket(
        _ bytes: RawSpan,
        _ offload: Offload,
        at now: Instant,
        into outbox: inout Outbox
    ) -> Bool {
        guard let header = try? PacketHeader(bytes) else {
            counters.malformed += 1
            return true
        }
        guard isOwn(header.source) else {
            counters.wrongSource += 1
            return true
        }
        if let flow = flows.find(header, at: now), let peer = flow.peer {
            switch pool.send(bytes, offload, header: header, to: peer, at: now, into: &outbox) {
            case .sent:
                if flow.slot >= 0 { stub?.proxies.notePacket(flow.slot, at: now) }
                note(bytes, header, by: peer, at: now)
                return true
            case .noRoom: return false
            case .refused: return true
            case .connecting, .unknown: break
            }
        }
        return receiveNew(bytes, offload, header, at: now, into: &outbox)
    }

    /// Whether `address` is one of our tunnel addresses.
    func isOwn(_ address: IPAddress) -> Bool {
        guard let identity else { return false }
        for own in identity.tunnel where own == address { return true }
        return false
    }

    /// A packet for which no decision is at hand.
    private mutating func receiveNew(
        _ bytes: RawSpan,
        _ offload: Offload,
        _ header: PacketHeader,
        at now: Instant,
        into outbox: inout Outbox
    ) -> Bool {
        let destination = header.destination
        if destination.isMulticast || destination.isBroadcast || destination.isUnspecified
            || destination.isLinkLocal || isOwn(destination)
        {
            counters.multicast += 1
            return true
        }
        guard outbox.hasTunnelRoom(packets: 1, byteCount: Limits.tunnelRoom) else { return false }
        if stub?.sentinels.covers(destination) ?? false {
            receiveQuery(bytes, header, at: now, into: &outbox)
            return true
        }
        return forward(bytes, offload, header, at: now, into: &outbox)
    }

    /// Sends a packet where it belongs, keeps it, or says why not. One that was kept before comes
    /// with the time since which it waits.
    ///
    /// - Returns: False when the outbox has no room.
    mutating func forward(
        _ bytes: RawSpan,
        _ offload: Offload,
        _ header: PacketHeader,
        heldAt: Instant? = nil,
        at now: Instant,
        into outbox: inout Outbox
    ) -> Bool {
        switch route(header, at: now, into: &outbox) {
        case .send(let way):
            switch pool.send(bytes, offload, header: header, to: way.peer, at: now, into: &outbox) {
            case .sent:
                if !way.isSplit {
                    flows.insert(header, peer: way.peer, slot: way.slot, end: way.end, at: now)
                }
                if way.slot >= 0 { stub?.proxies.notePacket(way.slot, at: now) }
                note(bytes, header, by: way.peer, at: now)
            case .noRoom: return false
            case .connecting, .unknown:
                guard let resource = way.resource else { break }
                hold(bytes, offload, header, for: resource, since: heldAt, at: now)
            case .refused: counters.malformed += 1
            }
        case .hold(let resource):
            hold(bytes, offload, header, for: resource, since: heldAt, at: now)
        case .refuse(let refusal):
            refuse(refusal, bytes, header, into: &outbox)
        case .drop: break
        }
        return true
    }

    /// A packet of the host left by a gateway.
    private mutating func note(
        _ bytes: RawSpan,
        _ header: PacketHeader,
        by peer: PeerIndex,
        at now: Instant
    ) {
        guard header.isTCP else { return }
        if header.opensConnection { openings.note(bytes, by: peer, at: now) }
        connections.note(header, by: peer, at: now)
    }

    /// Makes applications speak whose connections went elsewhere while they waited for more.
    mutating func stirConnections(into outbox: inout Outbox) {
        while connections.isDue,
            outbox.hasTunnelRoom(packets: 1, byteCount: Limits.tunnelRoom),
            let probe = connections.popProbe()
        {
            var room = outbox.reserveTunnel(probe.count)
            room.write(probe.rawSpan, at: 0)
            outbox.commitTunnel(byteCount: probe.count)
        }
    }

    /// Tells the sender of a packet that it goes no further. The answer comes from the address that
    /// was sent to: from one of ours the host would not believe it.
    mutating func refuse(
        _ refusal: IP.Refusal,
        _ bytes: RawSpan,
        _ header: PacketHeader,
        into outbox: inout Outbox
    ) {
        // An established connection ignores ICMP; only a reset ends it.
        let isEstablished = header.isTCP && !header.tcpFlags.contains(.syn)
        let answer = isEstablished ? IP.Refusal.reset : refusal
        var room = outbox.reserveTunnel(IP.Refusal.Limits.byteCount)
        guard
            let count = try? answer.write(
                answering: bytes,
                header: header,
                from: header.destination,
                into: &room
            )
        else { return }
        outbox.commitTunnel(byteCount: count)
    }
}
