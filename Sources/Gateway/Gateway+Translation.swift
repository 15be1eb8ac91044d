internal import Bytes
internal import IP
internal import Peering
internal import SansIO
internal import Translation

// Flows whose resource has addresses of the other family only (RFC 7915, 6146; behaviour 5.3).
extension Gateway {
    /// What the links of a translated flow carry: the tunnel little, the site unknown; its routers
    /// say so themselves.
    private static func limits(of flow: NATFlow) -> PathLimits {
        flow.inside.destination.isIPv4
            ? PathLimits(ipv4: Limits.tunnelByteCount) : PathLimits(ipv6: Limits.tunnelByteCount)
    }

    /// A segment that fits the smaller path on both sides: 1,280 bytes of IPv6.
    private static var translatedSegmentMax: UInt16 { UInt16(Limits.tunnelByteCount - 60) }

    /// The client's address of one family, which its packets have outside, or inside.
    private func tunnelAddress(of slot: Int, _ family: IPFamily) -> IPAddress? {
        clients[slot]?.tunnel.first { $0.family == family }
    }

    // MARK: From the client

    /// The packet, which lies reserved, gets headers of the other family, and goes to the tunnel
    /// device.
    mutating func forwardTranslated(
        _ header: PacketHeader,
        _ flow: NATFlow,
        _ slot: Int,
        at now: Instant,
        into outbox: inout Outbox
    ) {
        guard let source = tunnelAddress(of: slot, flow.real.family) else { return }
        let translated: TranslatedPacket
        do {
            let packet = outbox.peekReservedTunnelBytes().extracting(first: header.totalByteCount)
            translated = try Self.translate(
                packet,
                header,
                .none,
                from: Endpoint(source, port: flow.outsidePort),
                to: Endpoint(flow.real, port: header.destinationPort),
                limits: Self.limits(of: flow),
                by: &translator,
                into: &headers
            )
        } catch .needsReassembly {
            return reassemble(header, slot, at: now, into: &outbox)
        } catch {
            return refuse(error, header, slot, at: now, into: &outbox)
        }
        guard translated.pieceByteCountMax == nil else {
            return forwardPieces(of: translated, header, into: &outbox)
        }
        let new = translated.header
        guard outbox.growTunnelReservation(to: new.totalByteCount) else {
            counters.untranslatable += 1
            return
        }
        var bytes = outbox.reservedTunnelBytes()
        bytes.move(header.payloadOffset..<header.totalByteCount, to: new.payloadOffset)
        bytes.write(headers.bytes(0..<new.payloadOffset), at: 0)
        counters.forwarded += 1
        coalescer.commit(byteCount: new.totalByteCount, header: new, in: &outbox)
    }

    /// Writes the new headers into `headers`.
    private static func translate(
        _ packet: RawSpan,
        _ header: PacketHeader,
        _ offload: Offload,
        from source: Endpoint,
        to destination: Endpoint,
        limits: PathLimits,
        by translator: inout Translator,
        into headers: inout Block
    ) throws(TranslationError) -> TranslatedPacket {
        var room = headers.mutableBytes(0..<Translator.Limits.headerByteCount)
        var translated = try translator.translate(
            headers: packet.extracting(first: header.payloadOffset),
            payload: packet.extracting(header.payloadOffset..<header.totalByteCount),
            header: header,
            offload: offload,
            from: source,
            to: destination,
            limits: limits,
            into: &room
        )
        guard header.tcpFlags.contains(.syn) else { return translated }
        if var copy = try? MutablePacket(
            room,
            header: translated.header,
            offload: translated.offload
        ) {
            copy.clampMaximumSegmentSize(to: translatedSegmentMax)
            translated.header = copy.header
        }
        return translated
    }

    /// Writes the new error into `headers`: `source` reports about a packet from one endpoint to
    /// the other.
    private static func translateError(
        _ packet: RawSpan,
        _ header: PacketHeader,
        from source: IPAddress,
        quoting quoted: (from: Endpoint, to: Endpoint),
        limits: PathLimits,
        by translator: inout Translator,
        into headers: inout Block
    ) throws(TranslationError) -> Int {
        var room = headers.mutableBytes(0..<Translator.Limits.errorByteCount)
        return try translator.translateError(
            packet.extracting(first: header.totalByteCount),
            header: header,
            from: source,
            to: quoted.from.address,
            quoting: quoted.from,
            and: quoted.to,
            limits: limits,
            into: &room
        )
    }

    /// Its sender is told where an error says something to it.
    private mutating func refuse(
        _ error: TranslationError,
        _ header: PacketHeader,
        _ slot: Int,
        at now: Instant,
        into outbox: inout Outbox
    ) {
        counters.untranslatable += 1
        guard let refusal = error.refusal else { return }
        refuse(refusal, header, slot, at: now, into: &outbox)
    }

    /// A packet that is too large for its way and may be cut leaves in pieces; its new headers lie
    /// in ``headers``, the packet reserved.
    mutating func forwardPieces(
        of packet: TranslatedPacket,
        _ header: PacketHeader,
        into outbox: inout Outbox
    ) {
        let payload = outbox.peekReservedTunnelBytes()
            .extracting(header.payloadOffset..<header.totalByteCount).array
        let fragmenter = try? Fragmenter(
            headers: headers.bytes(0..<packet.header.payloadOffset),
            payload: payload.rawSpan,
            packet
        )
        guard let fragmenter,
            outbox.hasTunnelRoom(packets: fragmenter.count, byteCount: Limits.tunnelByteCount)
        else {
            counters.untranslatable += 1
            return
        }
        for index in 0..<fragmenter.count {
            let range = fragmenter.payloadRange(of: index)
            var room = outbox.reserveTunnel(Translator.Limits.headerByteCount + range.count)
            guard let piece = fragmenter.writeHeaders(index, into: &room) else { return }
            room.write(payload.rawSpan.extracting(range), at: piece.payloadOffset)
            outbox.commitTunnel(byteCount: piece.totalByteCount)
        }
        counters.forwarded += 1
    }

    /// An IPv6 packet that was made whole of its fragments leaves in fragments again: routers cut
    /// none. Its new headers lie reserved with it.
    mutating func forwardPieces(ofWhole header: PacketHeader, into outbox: inout Outbox) {
        let whole = TranslatedPacket(
            header: header,
            offload: .none,
            pieceByteCountMax: Limits.tunnelByteCount
        )
        var room = headers.mutableBytes(0..<header.payloadOffset)
        room.write(outbox.peekReservedTunnelBytes().extracting(first: header.payloadOffset), at: 0)
        forwardPieces(of: whole, header, into: &outbox)
    }

    /// A client's ICMP error about a translated flow.
    mutating func forwardTranslatedError(
        _ header: PacketHeader,
        _ flow: NATFlow,
        _ slot: Int,
        into outbox: inout Outbox
    ) {
        guard let source = tunnelAddress(of: slot, flow.real.family) else { return }
        let byteCount: Int
        do {
            byteCount = try Self.translateError(
                outbox.peekReservedTunnelBytes(),
                header,
                from: source,
                quoting: (
                    Endpoint(flow.real, port: flow.inside.destinationPort),
                    Endpoint(source, port: flow.outsidePort)
                ),
                limits: Self.limits(of: flow),
                by: &translator,
                into: &headers
            )
        } catch {
            counters.untranslatable += 1
            return
        }
        var room = outbox.reserveTunnel(byteCount)
        guard room.byteCount == byteCount else { return }
        room.write(headers.bytes(0..<byteCount), at: 0)
        counters.forwarded += 1
        outbox.commitTunnel(byteCount: byteCount)
    }
}

// MARK: - From the resource

extension Gateway {
    /// An answer of a translated flow, possibly a large one, goes to the client in the family that
    /// the client knows.
    mutating func returnTranslated(
        _ packet: RawSpan,
        _ header: PacketHeader,
        _ offload: Offload,
        _ flow: NATFlow,
        _ slot: Int,
        at now: Instant,
        into outbox: inout Outbox
    ) -> SendOutcome {
        guard let peer = clients[slot]?.peer,
            let client = tunnelAddress(of: slot, flow.inside.destination.family)
        else { return .refused }
        let translated: TranslatedPacket
        do {
            translated = try Self.translate(
                packet,
                header,
                offload,
                from: Endpoint(flow.inside.destination, port: header.sourcePort),
                to: Endpoint(client, port: flow.inside.sourcePort),
                limits: Self.limits(of: flow),
                by: &translator,
                into: &headers
            )
        } catch .needsReassembly {
            return reassembleAnswer(packet, header, flow, slot, at: now, into: &outbox)
        } catch .needsSegmenting {
            return returnSegments(packet, header, offload, flow, slot, at: now, into: &outbox)
        } catch {
            counters.untranslatable += 1
            if let refusal = error.refusal {
                refuseResource(refusal, packet, header, slot, at: now, into: &outbox)
            }
            return .refused
        }
        let payload = packet.extracting(header.payloadOffset..<header.totalByteCount)
        guard translated.pieceByteCountMax == nil else {
            return returnPieces(of: translated, payload, to: peer, at: now, into: &outbox)
        }
        return Self.send(
            headers,
            payload: payload,
            translated.header,
            translated.offload,
            to: peer,
            by: &pool,
            at: now,
            into: &outbox
        )
    }

    private mutating func returnPieces(
        of packet: TranslatedPacket,
        _ payload: RawSpan,
        to peer: PeerIndex,
        at now: Instant,
        into outbox: inout Outbox
    ) -> SendOutcome {
        let fragmenter = try? Fragmenter(
            headers: headers.bytes(0..<packet.header.payloadOffset),
            payload: payload,
            packet
        )
        guard let fragmenter else {
            counters.untranslatable += 1
            return .refused
        }
        let byteCount = Limits.sealedByteCount
        guard outbox.hasNetworkRoom(datagrams: fragmenter.count, byteCount: byteCount) else {
            return .noRoom
        }
        var outcome = SendOutcome.refused
        for index in 0..<fragmenter.count {
            var room = headers.mutableBytes(0..<Translator.Limits.headerByteCount)
            guard let piece = fragmenter.writeHeaders(index, into: &room) else { break }
            outcome = Self.send(
                headers,
                payload: payload.extracting(fragmenter.payloadRange(of: index)),
                piece,
                .none,
                to: peer,
                by: &pool,
                at: now,
                into: &outbox
            )
        }
        return outcome
    }

    /// A large packet of which each segment must be cut again.
    private mutating func returnSegments(
        _ packet: RawSpan,
        _ header: PacketHeader,
        _ offload: Offload,
        _ flow: NATFlow,
        _ slot: Int,
        at now: Instant,
        into outbox: inout Outbox
    ) -> SendOutcome {
        guard let segmenter = try? Segmenter(packet, offload, header: header) else {
            counters.untranslatable += 1
            return .refused
        }
        // Each becomes two pieces.
        let byteCount = Limits.sealedByteCount
        guard outbox.hasNetworkRoom(datagrams: 2 * segmenter.count, byteCount: byteCount) else {
            return .noRoom
        }
        var block = Block(byteCount: segmenter.byteCountMax)
        var outcome = SendOutcome.refused
        for index in 0..<segmenter.count {
            let range = 0..<segmenter.byteCount(of: index)
            var room = block.mutableBytes(range)
            segmenter.write(index, into: &room, at: 0)
            let segment = block.bytes(range).array
            guard let header = try? PacketHeader(segment.rawSpan) else { continue }
            outcome = returnTranslated(
                segment.rawSpan,
                header,
                .none,
                flow,
                slot,
                at: now,
                into: &outbox
            )
        }
        return outcome
    }

    /// An ICMP error about a packet of a translated flow; its reporter has no address that the
    /// client could read, so it comes from the address that the client sent to.
    mutating func returnTranslatedError(
        _ packet: RawSpan,
        _ header: PacketHeader,
        _ flow: NATFlow,
        _ slot: Int,
        at now: Instant,
        into outbox: inout Outbox
    ) -> SendOutcome {
        guard let peer = clients[slot]?.peer,
            let client = tunnelAddress(of: slot, flow.inside.destination.family)
        else { return .refused }
        do {
            let byteCount = try Self.translateError(
                packet,
                header,
                from: flow.inside.destination,
                quoting: (
                    Endpoint(client, port: flow.inside.sourcePort),
                    Endpoint(flow.inside.destination, port: flow.inside.destinationPort)
                ),
                limits: Self.limits(of: flow),
                by: &translator,
                into: &headers
            )
            return Self.send(headers, 0..<byteCount, to: peer, by: &pool, at: now, into: &outbox)
        } catch {
            counters.untranslatable += 1
            return .refused
        }
    }

    /// A resource is told that its packet goes no further, by the address that it sent to.
    private mutating func refuseResource(
        _ refusal: IP.Refusal,
        _ packet: RawSpan,
        _ header: PacketHeader,
        _ slot: Int,
        at now: Instant,
        into outbox: inout Outbox
    ) {
        guard clients[slot]?.refusals.take(at: now) == true else {
            counters.refusalsLimited += 1
            return
        }
        guard let answer = try? refusal.answer(to: packet, from: header.destination),
            outbox.hasTunnelRoom(packets: 1, byteCount: answer.count)
        else { return }
        var room = outbox.reserveTunnel(answer.count)
        room.write(answer.rawSpan, at: 0)
        outbox.commitTunnel(byteCount: answer.count)
        counters.refusals += 1
    }
}
