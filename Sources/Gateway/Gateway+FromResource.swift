internal import Bytes
internal import Control
internal import IP
internal import Peering
internal import SansIO

extension Gateway {
    /// One packet of the tunnel device, possibly a large one.
    ///
    /// - Returns: False when there is no room for it.
    mutating func receivePacket(
        _ batch: borrowing Batch,
        _ index: Int,
        at now: Instant,
        into outbox: inout Outbox
    ) -> Bool {
        let packet = batch.bytes(of: index)
        let header: PacketHeader
        do {
            header = try PacketHeader(packet)
        } catch {
            counters.malformed += 1
            return true
        }
        guard let slot = slotByAddress[header.destination] else {
            counters.unsolicited += 1
            return true
        }
        let offload = batch[index].offload
        let outcome =
            if header.isICMPError {
                returnError(packet, header, slot, at: now, into: &outbox)
            } else if isServed(header) {
                returnServed(packet, header, offload, slot, at: now, into: &outbox)
            } else {
                returnPacket(packet, header, offload, slot, at: now, into: &outbox)
            }
        switch outcome {
        case .sent: counters.returned += 1
        case .connecting, .unknown: counters.notConnected += 1
        case .refused: break
        case .noRoom:
            guard outbox.isEmpty else { return false }
            counters.tooLarge += 1
        }
        return true
    }

    /// Whether it is of a TCP connection to our own DNS service; that never opens one.
    private func isServed(_ header: PacketHeader) -> Bool {
        servesStreams && header.isTCP && !header.isFragment && header.sourcePort == Self.dnsPort
            && !header.isOpeningTCP && identity?.tunnel.contains(header.source) == true
    }

    /// A segment of the DNS service goes to the client as it is.
    private mutating func returnServed(
        _ packet: RawSpan,
        _ header: PacketHeader,
        _ offload: Offload,
        _ slot: Int,
        at now: Instant,
        into outbox: inout Outbox
    ) -> SendOutcome {
        guard let peer = clients[slot]?.peer else { return .refused }
        return pool.send(packet, offload, header: header, to: peer, at: now, into: &outbox)
    }

    /// An answer to a flow of the client gets the addresses that the client knows.
    private mutating func returnPacket(
        _ packet: RawSpan,
        _ header: PacketHeader,
        _ offload: Offload,
        _ slot: Int,
        at now: Instant,
        into outbox: inout Outbox
    ) -> SendOutcome {
        guard let flow = flow(of: header, slot, at: now), let peer = clients[slot]?.peer else {
            return .refused
        }
        if header.isFragment { clients[slot]?.fragmentsIn.note(header, flow.inside, at: now) }
        if flow.isTranslated {
            return returnTranslated(packet, header, offload, flow, slot, at: now, into: &outbox)
        }
        let headerRange = 0..<header.payloadOffset
        let payload = packet.extracting(header.payloadOffset..<header.totalByteCount)
        guard !flow.isUnchanged || header.tcpFlags.contains(.syn) else {
            return pool.send(
                headers: packet.extracting(headerRange),
                payload: payload,
                offload,
                header: header,
                to: peer,
                at: now,
                into: &outbox
            )
        }
        guard header.payloadOffset <= headers.byteCount else { return .refused }
        do {
            var bytes = headers.mutableBytes(headerRange)
            bytes.write(packet.extracting(headerRange), at: 0)
            var copy = try MutablePacket(bytes, header: header, offload: offload)
            copy.setFlow(
                from: Endpoint(flow.inside.destination, port: header.sourcePort),
                to: Endpoint(header.destination, port: flow.inside.sourcePort)
            )
            copy.clampMaximumSegmentSize(to: header.segmentSizeMax)
        } catch {
            counters.malformed += 1
            return .refused
        }
        return Self.send(
            headers,
            payload: payload,
            header,
            offload,
            to: peer,
            by: &pool,
            at: now,
            into: &outbox
        )
    }

    /// A packet of which the first bytes lie rewritten in `headers`.
    static func send(
        _ headers: borrowing Block,
        payload: RawSpan,
        _ header: PacketHeader,
        _ offload: Offload,
        to peer: PeerIndex,
        by pool: inout PeerPool,
        at now: Instant,
        into outbox: inout Outbox
    ) -> SendOutcome {
        pool.send(
            headers: headers.bytes(0..<header.payloadOffset),
            payload: payload,
            offload,
            header: header,
            to: peer,
            at: now,
            into: &outbox
        )
    }

    /// The client's flow that a packet from outside answers, if it is still permitted.
    private mutating func flow(
        of header: PacketHeader,
        _ slot: Int,
        at now: Instant
    ) -> NATFlow? {
        guard let index = answeredFlow(header, slot, at: now) else {
            counters.unsolicited += 1
            return nil
        }
        guard clients[slot]?.stillPermits(index, plan) == true, let flow = clients[slot]?.nat[index]
        else {
            counters.prohibited += 1
            return nil
        }
        if flow.packetsIn == 0 {
            noteAnswer(to: flow, slot, at: now)
            noteReached(flow, slot, at: now)
        }
        if flow.stage.isOver { noteDeadline(of: flow) }
        clients[slot]?.nat.noteReturned(index, byteCount: header.totalByteCount)
        return flow
    }

    private mutating func answeredFlow(
        _ header: PacketHeader,
        _ slot: Int,
        at now: Instant
    ) -> Int? {
        if header.isLaterFragment {
            return clients[slot]?.fragmentsIn.flow(of: header, at: now)
                .flatMap { clients[slot]?.nat.quotedFromInside($0, at: now) }
        }
        return FlowKey(inbound: header)
            .flatMap { clients[slot]?.nat.inbound($0, flags: header.tcpFlags, at: now) }
    }

    /// The first answer of a flow tells whether its address works.
    private mutating func noteAnswer(to flow: NATFlow, _ slot: Int, at now: Instant) {
        guard let name = clients[slot]?.names.name(of: flow.inside.destination) else { return }
        if flow.stage == .reset {
            avoid(flow, slot, at: now)
        } else {
            _ = clients[slot]?.names.change(name) {
                $0.noteWorking(flow.real, flow.inside)
            }
        }
    }

    /// An ICMP error from outside about a packet of a client's flow.
    private mutating func returnError(
        _ packet: RawSpan,
        _ header: PacketHeader,
        _ slot: Int,
        at now: Instant,
        into outbox: inout Outbox
    ) -> SendOutcome {
        guard let flow = quotedFlow(packet, header, slot, at: now), let peer = clients[slot]?.peer,
            header.totalByteCount <= headers.byteCount
        else {
            counters.foreignErrors += 1
            return .refused
        }
        if flow.packetsIn == 0, header.saysUnreachable {
            avoid(flow, slot, at: now)
            // Another gateway may get there: its client need not fail.
            if noteUnreachable(header, flow, slot, at: now) { return .refused }
        }
        if flow.isTranslated {
            return returnTranslatedError(packet, header, flow, slot, at: now, into: &outbox)
        }
        // Who reports it is shown only where the client may reach it anyway; else its answer comes,
        // like all others of the flow, from the address that the client sent to.
        let isShown = clients[slot]?.grants.covers(header.source) == true
        let range = 0..<header.totalByteCount
        do {
            var bytes = headers.mutableBytes(range)
            bytes.write(packet.extracting(range), at: 0)
            var copy = try MutablePacket(bytes, header: header)
            copy.setQuotedSource(header.destination, port: flow.inside.sourcePort)
            copy.setQuotedDestination(flow.inside.destination)
            if !isShown || header.source == flow.real {
                copy.setSource(flow.inside.destination)
            }
        } catch {
            counters.malformed += 1
            return .refused
        }
        return Self.send(headers, range, to: peer, by: &pool, at: now, into: &outbox)
    }

    /// A packet that lies rewritten in `bytes`.
    static func send(
        _ bytes: borrowing Block,
        _ range: Range<Int>,
        to peer: PeerIndex,
        by pool: inout PeerPool,
        at now: Instant,
        into outbox: inout Outbox
    ) -> SendOutcome {
        pool.send(bytes.bytes(range), .none, to: peer, at: now, into: &outbox)
    }

    /// The flow of the packet that an ICMP error from outside quotes.
    private mutating func quotedFlow(
        _ packet: RawSpan,
        _ header: PacketHeader,
        _ slot: Int,
        at now: Instant
    ) -> NATFlow? {
        let quotation = packet.extracting(header.payloadOffset..<header.totalByteCount)
        guard let quoted = try? PacketHeader(embedded: quotation),
            let transport = FlowKey.Transport(of: quoted), !quoted.isEchoReply,
            quoted.source == header.destination
        else { return nil }
        let key = FlowKey(
            transport: transport,
            sourcePort: quoted.sourcePort,
            destination: quoted.destination,
            destinationPort: quoted.destinationPort
        )
        guard let index = clients[slot]?.nat.quotedFromOutside(key, at: now),
            clients[slot]?.stillPermits(index, plan) == true
        else { return nil }
        return clients[slot]?.nat[index]
    }
}

extension PacketHeader {
    /// An ICMP error that says that the address or port does not answer; not one about sizes.
    var saysUnreachable: Bool {
        guard isICMPError, icmpType == ICMPType.unreachable(family) else { return false }
        return !(source.isIPv4 && icmpCode == 4)
    }
}
