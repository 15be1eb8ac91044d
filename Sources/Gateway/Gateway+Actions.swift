internal import Bytes
internal import IP
internal import Peering
internal import SansIO

// What follows from the verdict on a client's packet.
extension Gateway {
    /// The packet gets the flow's outer addresses and goes to the tunnel device.
    mutating func forward(
        _ header: PacketHeader,
        _ slot: Int,
        _ index: Int,
        at now: Instant,
        into outbox: inout Outbox
    ) {
        guard let flow = clients[slot]?.nat[index] else { return }
        if header.isFragment { clients[slot]?.fragmentsOut.note(header, flow.inside, at: now) }
        clients[slot]?.nat.noteForwarded(index, byteCount: header.totalByteCount)
        guard !flow.isTranslated else {
            return forwardTranslated(header, flow, slot, at: now, into: &outbox)
        }
        var after = header
        if !flow.isUnchanged || header.tcpFlags.contains(.syn) {
            do {
                var packet = try MutablePacket(outbox.reservedTunnelBytes(), header: header)
                packet.setFlow(
                    from: Endpoint(header.source, port: flow.outsidePort),
                    to: Endpoint(flow.real, port: header.destinationPort)
                )
                packet.clampMaximumSegmentSize(to: header.segmentSizeMax)
                after = packet.header
            } catch {
                counters.malformed += 1
                return
            }
        }
        guard header.totalByteCount <= Limits.tunnelByteCount || after.source.isIPv4 else {
            return forwardPieces(ofWhole: after, into: &outbox)
        }
        counters.forwarded += 1
        coalescer.commit(byteCount: header.totalByteCount, header: after, in: &outbox)
    }

    /// The error and the packet that it quotes get the flow's outer addresses.
    mutating func forwardError(
        _ header: PacketHeader,
        _ slot: Int,
        _ index: Int,
        into outbox: inout Outbox
    ) {
        guard let flow = clients[slot]?.nat[index] else { return }
        guard !flow.isTranslated else {
            return forwardTranslatedError(header, flow, slot, into: &outbox)
        }
        do {
            var packet = try MutablePacket(outbox.reservedTunnelBytes(), header: header)
            packet.setQuotedDestination(header.source, port: flow.outsidePort)
            packet.setQuotedSource(flow.real)
            packet.setDestination(flow.real)
        } catch {
            counters.malformed += 1
            return
        }
        counters.forwarded += 1
        outbox.commitTunnel(byteCount: header.totalByteCount)
    }

    /// The client is told that its packet goes no further, unless it was told too often.
    mutating func refuse(
        _ refusal: IP.Refusal,
        _ header: PacketHeader,
        _ slot: Int,
        at now: Instant,
        into outbox: inout Outbox
    ) {
        let packet = outbox.peekReservedTunnelBytes().extracting(first: header.totalByteCount).array
        refuse(refusal, packet, header, slot, at: now, into: &outbox)
    }

    /// The same for a packet that waited.
    mutating func refuse(
        _ refusal: IP.Refusal,
        _ packet: [UInt8],
        _ header: PacketHeader,
        _ slot: Int,
        at now: Instant,
        into outbox: inout Outbox
    ) {
        guard clients[slot]?.refusals.take(at: now) == true, let peer = clients[slot]?.peer else {
            counters.refusalsLimited += 1
            return
        }
        // From the address that was sent to: towards the client's own applications, an address of
        // ours would be as good, but not every packet has a family that we have one of.
        let answer = try? refusal.answer(to: packet.rawSpan, from: header.destination)
        guard let answer else { return }
        counters.refusals += 1
        _ = pool.send(answer.rawSpan, .none, to: peer, at: now, into: &outbox)
    }

    /// Answers a ping to the gateway's own address.
    mutating func echo(
        _ header: PacketHeader,
        _ slot: Int,
        at now: Instant,
        into outbox: inout Outbox
    ) {
        guard let peer = clients[slot]?.peer else { return }
        let packet = outbox.peekReservedTunnelBytes().extracting(first: header.totalByteCount).array
        let sequence = packet.rawSpan.uint16(at: header.transportOffset + 6)
        let reply = IPHeader(
            from: header.destination,
            to: header.source,
            transportProtocol: .icmp(header.family)
        ).packet(
            ICMPHeader.echoReply(header.family, identifier: header.sourcePort, sequence: sequence),
            body: Array(packet[header.payloadOffset...])
        )
        _ = pool.send(reply.rawSpan, .none, to: peer, at: now, into: &outbox)
    }

    /// The address of a flow refused, or did not answer: new flows go to another one.
    mutating func avoid(_ flow: NATFlow, _ slot: Int, at now: Instant) {
        guard let name = clients[slot]?.names.name(of: flow.inside.destination) else { return }
        _ = clients[slot]?.names.change(name) {
            $0.avoid(flow.real, flow.inside, at: now)
        }
    }

    /// A flow's end may be the first thing to come.
    mutating func noteDeadline(of flow: NATFlow) {
        if sweepSlot > 0 { nextFlowEnd = min(nextFlowEnd ?? flow.deadline, flow.deadline) }
        if let flowDeadline, flowDeadline <= flow.deadline { return }
        flowDeadline = flow.deadline
    }
}
