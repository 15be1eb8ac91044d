internal import Bytes
internal import Control
internal import DNS
internal import IP
internal import Peering
internal import SansIO
internal import Translation

/// What becomes of a client's packet.
enum Verdict {
    /// It goes on by the flow at this index.
    case forward(Int)
    /// An ICMP error about the flow at this index goes on.
    case forwardError(Int)
    /// It goes no further, and its sender is told.
    case refuse(IP.Refusal)
    /// It waits for the real address of the name; the second is what is being resolved.
    case hold(Name, realName: Name)
    /// It waits for a grant that it may have overtaken; else its sender is told.
    case await(IP.Refusal)
    /// A fragment that waits for others.
    case reassemble
    /// A ping to the gateway itself.
    case echo
    /// A datagram to its DNS service.
    case query
    /// A segment of a TCP connection to that, which the host serves.
    case serve
    /// It goes no further, and nobody is told.
    case drop
}

extension Gateway {
    /// A packet of a client, which lies reserved at the outbox's tunnel side; one that waited for
    /// a grant comes with the time since which it does.
    mutating func receive(
        _ byteCount: Int,
        from peer: PeerIndex,
        since: Instant? = nil,
        at now: Instant,
        into outbox: inout Outbox
    ) {
        guard let slot = slot(of: peer) else { return }
        let header: PacketHeader
        do {
            header = try PacketHeader(outbox.peekReservedTunnelBytes().extracting(first: byteCount))
        } catch {
            counters.malformed += 1
            return
        }
        switch verdict(on: header, slot, outbox.peekReservedTunnelBytes(), at: now) {
        case .forward(let index):
            forward(header, slot, index, at: now, into: &outbox)
        case .forwardError(let index):
            forwardError(header, slot, index, into: &outbox)
        case .refuse(let refusal):
            refuse(refusal, header, slot, at: now, into: &outbox)
        case .hold(let name, let realName):
            let bytes = outbox.peekReservedTunnelBytes().extracting(first: header.totalByteCount)
            hold(bytes.array, header, slot, name, realName, at: now)
        case .await(let refusal):
            let bytes = outbox.peekReservedTunnelBytes().extracting(first: header.totalByteCount)
                .array
            if !keepEarly(bytes, header, since: since, slot, at: now) {
                count(refusal)
                refuse(refusal, header, slot, at: now, into: &outbox)
            }
        case .reassemble: reassemble(header, slot, at: now, into: &outbox)
        case .echo:
            echo(header, slot, at: now, into: &outbox)
        case .query:
            let packet = outbox.peekReservedTunnelBytes().extracting(first: header.totalByteCount)
                .array
            receiveQuery(packet.rawSpan, header, slot, at: now, into: &outbox)
        case .serve:
            coalescer.commit(byteCount: header.totalByteCount, header: header, in: &outbox)
        case .drop: break
        }
    }

    /// Source, destination, protocol, known flow, rules: in this order (behaviour 5.1).
    private mutating func verdict(
        on header: PacketHeader,
        _ slot: Int,
        _ packet: RawSpan,
        at now: Instant
    ) -> Verdict {
        guard clients[slot]?.tunnel.contains(header.source) == true else {
            counters.spoofed += 1
            return .refuse(.prohibited)
        }
        guard !header.destination.isMulticast, !header.destination.isBroadcast,
            !header.destination.isUnspecified
        else {
            counters.notUnicast += 1
            return .drop
        }
        if let identity, identity.tunnel.contains(header.destination) {
            return verdict(toGateway: header)
        }
        if header.isICMPError { return verdict(onError: header, slot, packet, at: now) }
        if clients[slot]?.piecesOut.awaits(header, at: now) == true { return .reassemble }
        if header.isLaterFragment { return verdict(onLaterFragment: header, slot, at: now) }
        guard let key = FlowKey(outbound: header) else { return refuseWithoutFlow(header) }
        if let index = clients[slot]?.nat.outbound(key, flags: header.tcpFlags, at: now) {
            return verdict(onFlow: index, header, slot, at: now)
        }
        return verdict(onFirst: header, key, slot, at: now)
    }

    /// Our own address answers ping and DNS only.
    private mutating func verdict(toGateway header: PacketHeader) -> Verdict {
        if header.isICMPError { return .drop }
        guard !header.isFragment else { return prohibit(header) }
        if header.isEchoRequest { return .echo }
        guard header.destinationPort == Self.dnsPort else { return prohibit(header) }
        if header.isUDP { return .query }
        return header.isTCP && servesStreams ? .serve : prohibit(header)
    }

    private mutating func refuseWithoutFlow(_ header: PacketHeader) -> Verdict {
        if header.isICMP { return prohibit(header) }
        counters.protocols += 1
        return .refuse(.protocolUnreachable)
    }

    /// Counts the refusal of a packet that waited for a grant, or could not.
    private mutating func count(_ refusal: IP.Refusal) {
        if refusal == .prohibited { counters.prohibited += 1 } else { counters.unreachable += 1 }
    }

    private mutating func prohibit(_ header: PacketHeader) -> Verdict {
        counters.prohibited += 1
        return .refuse(header.isStrayTCP ? .reset : .prohibited)
    }

    /// It goes where its first fragment went, or waits with it.
    private mutating func verdict(
        onLaterFragment header: PacketHeader,
        _ slot: Int,
        at now: Instant
    ) -> Verdict {
        if let key = clients[slot]?.fragmentsOut.flow(of: header, at: now),
            let index = clients[slot]?.nat.quotedFromInside(key, at: now),
            clients[slot]?.stillPermits(index, plan) == true
        {
            return .forward(index)
        }
        if let name = clients[slot]?.names.name(of: header.destination),
            let entry = clients[slot]?.names[name], !entry.held.isEmpty,
            let claim = entry.claims.first
        {
            return .hold(name, realName: claim.realName)
        }
        return .reassemble
    }

    /// A packet of a flow that the client began before.
    private mutating func verdict(
        onFlow index: Int,
        _ header: PacketHeader,
        _ slot: Int,
        at now: Instant
    ) -> Verdict {
        guard clients[slot]?.stillPermits(index, plan) == true, let flow = clients[slot]?.nat[index]
        else { return prohibit(header) }
        noteDeadline(of: flow)
        guard flow.stage == .opening, header.isOpeningTCP,
            flow.opened.advanced(by: Limits.answerPatience) <= now
        else { return .forward(index) }
        noteUnanswered(flow, slot, at: now)
        guard flow.inside.destination != flow.real else { return .forward(index) }
        return verdict(onUnanswered: index, flow, header, slot, at: now)
    }

    /// The client repeats its SYN: the address does not answer, another one may.
    private mutating func verdict(
        onUnanswered index: Int,
        _ flow: NATFlow,
        _ header: PacketHeader,
        _ slot: Int,
        at now: Instant
    ) -> Verdict {
        avoid(flow, slot, at: now)
        guard
            case .permitted(_, let name?, let realName?) = clients[slot]?.choice(
                for: flow.inside,
                plan
            ),
            let entry = clients[slot]?.names[name]
        else { return .forward(index) }
        let known = resolver.resolve(realName, isQuery: false, at: now, by: &site)
        let found = realAddress(for: flow.inside, of: entry, known, slot, at: now)
        guard case .found(let next) = found, next != flow.real
        else { return .forward(index) }
        clients[slot]?.nat.remove(index, .unanswered)
        return verdict(onFirst: header, flow.inside, slot, at: now)
    }

    /// A packet of no known flow.
    private mutating func verdict(
        onFirst header: PacketHeader,
        _ key: FlowKey,
        _ slot: Int,
        at now: Instant
    ) -> Verdict {
        guard let choice = clients[slot]?.choice(for: key, plan) else { return .drop }
        guard header.beginsFlow else {
            // A connection of another gateway, or of before a restart: ended, so that its
            // application connects anew and does not hang.
            if header.isTCP {
                counters.strays += 1
                return header.tcpFlags.contains(.rst) ? .drop : .refuse(.reset)
            }
            return prohibit(header)
        }
        switch choice {
        case .filtered: return prohibit(header)
        case .uncovered: return .await(.prohibited)
        case .unknownProxy: return .await(.hostUnreachable)
        case .permitted(let resource, nil, _), .permitted(let resource, _, nil):
            return open(key, to: key.destination, resource, header, slot, at: now)
        case .permitted(let resource, let name?, let realName?):
            return verdict(on: header, key, slot, resource, name, realName, at: now)
        }
    }

    /// The first packet of a flow to a name.
    private mutating func verdict(
        on header: PacketHeader,
        _ key: FlowKey,
        _ slot: Int,
        _ resource: UInt32,
        _ name: Name,
        _ realName: Name,
        at now: Instant
    ) -> Verdict {
        let known = resolver.resolve(realName, isQuery: false, at: now, by: &site)
        switch clients[slot]?.names[name].map({
            realAddress(for: key, of: $0, known, slot, at: now)
        }) {
        case .pending: return .hold(name, realName: realName)
        case .found(let real): return open(key, to: real, resource, header, slot, at: now)
        case .nowhere, nil:
            counters.unreachable += 1
            return .refuse(.hostUnreachable)
        }
    }

    /// Where a flow to a name goes.
    private enum RealAddress {
        case found(IPAddress)
        case pending
        case nowhere
    }

    /// An address of the proxy's own family that works; else one of the other family, by
    /// translation; else one that did not work of late.
    private func realAddress(
        for key: FlowKey,
        of entry: NameTable.Entry,
        _ known: ResolvedName,
        _ slot: Int,
        at now: Instant
    ) -> RealAddress {
        let family = key.destination.family
        if case .pending = known[family] { return .pending }
        let own = entry.realAddress(for: key, among: known[family].addresses, at: now)
        if let own, !entry.isAvoided(own, key, at: now) { return .found(own) }
        let other: IPFamily = family == .ipv4 ? .ipv6 : .ipv4
        let mayTranslate = clients[slot]?.tunnel.contains { $0.family == other } == true
        guard mayTranslate else { return own.map { .found($0) } ?? .nowhere }
        if case .pending = known[other] { return own.map { .found($0) } ?? .pending }
        let translated = entry.realAddress(for: key, among: known[other].addresses, at: now)
        if let translated, own == nil || !entry.isAvoided(translated, key, at: now) {
            return .found(translated)
        }
        return own.map { .found($0) } ?? .nowhere
    }

    private mutating func open(
        _ key: FlowKey,
        to real: IPAddress,
        _ resource: UInt32,
        _ header: PacketHeader,
        _ slot: Int,
        at now: Instant
    ) -> Verdict {
        guard let client = clients[slot] else { return .drop }
        let label = label(resource, client.names.name(of: key.destination), of: client)
        do {
            let index = try client.nat.open(
                key,
                to: real,
                resource: resource,
                revision: client.grants.revision,
                label: label,
                flags: header.tcpFlags,
                at: now
            )
            noteDeadline(of: client.nat[index])
            expectFlowRecords(at: now)
            return .forward(index)
        } catch {
            counters.unreachable += 1
            return .refuse(.hostUnreachable)
        }
    }

    /// A client's ICMP error: only about a flow of its own, and to the flow's other end.
    private mutating func verdict(
        onError header: PacketHeader,
        _ slot: Int,
        _ packet: RawSpan,
        at now: Instant
    ) -> Verdict {
        let quotation = packet.extracting(header.payloadOffset..<header.totalByteCount)
        if let quoted = try? PacketHeader(embedded: quotation),
            let transport = FlowKey.Transport(of: quoted),
            quoted.destination == header.source, quoted.source == header.destination
        {
            let key = FlowKey(
                transport: transport,
                sourcePort: quoted.destinationPort,
                destination: quoted.source,
                destinationPort: quoted.isEcho ? 0 : quoted.sourcePort
            )
            if let index = clients[slot]?.nat.quotedFromInside(key, at: now),
                clients[slot]?.stillPermits(index, plan) == true
            {
                return .forwardError(index)
            }
        }
        counters.foreignErrors += 1
        return .drop
    }
}
