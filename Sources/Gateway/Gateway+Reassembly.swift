internal import Bytes
internal import IP
internal import Peering
internal import SansIO
internal import Translation

// Datagrams in fragments that must be seen whole: whose first fragment did not come first, or whose
// checksum must be made over all of it (RFC 6146 3.4).
extension Gateway {
    /// A client's fragment, which lies reserved, waits for the others; the whole packet takes the
    /// way of all packets.
    mutating func reassemble(
        _ header: PacketHeader,
        _ slot: Int,
        at now: Instant,
        into outbox: inout Outbox
    ) {
        guard let client = clients[slot], mayReassemble(client, at: now) else { return }
        let piece = outbox.peekReservedTunnelBytes().extracting(first: header.totalByteCount).array
        let outcome = client.piecesOut.receive(piece.rawSpan, header: header, at: now)
        guard let whole = take(outcome, of: client) else { return }
        guard outbox.hasTunnelRoom(packets: 1, byteCount: whole.count + 28) else {
            counters.fragments += 1
            return
        }
        Self.reserve(whole, in: &outbox)
        receive(whole.count, from: client.peer, at: now, into: &outbox)
    }

    /// A resource's fragment waits for the others; the whole answer goes to the client.
    mutating func reassembleAnswer(
        _ packet: RawSpan,
        _ header: PacketHeader,
        _ flow: NATFlow,
        _ slot: Int,
        at now: Instant,
        into outbox: inout Outbox
    ) -> SendOutcome {
        // The whole cannot be made twice: there must be room for it before its last piece is taken.
        let byteCount = Limits.sealedByteCount
        guard outbox.hasNetworkRoom(datagrams: Limits.pieces, byteCount: byteCount) else {
            return .noRoom
        }
        guard let client = clients[slot], mayReassemble(client, at: now) else { return .refused }
        let outcome = client.piecesIn.receive(packet, header: header, at: now)
        guard let whole = take(outcome, of: client),
            let header = try? PacketHeader(whole.rawSpan)
        else { return .refused }
        return returnTranslated(whole.rawSpan, header, .none, flow, slot, at: now, into: &outbox)
    }

    /// Whether one more client may have fragments that wait.
    private mutating func mayReassemble(_ client: ClientOnGateway, at now: Instant) -> Bool {
        if client.hasPieces { return true }
        reassembling.removeAll { id in
            guard let slot = slotByClient[id], let other = clients[slot] else { return true }
            other.piecesOut.advance(to: now)
            other.piecesIn.advance(to: now)
            return !other.hasPieces
        }
        guard reassembling.count < Limits.reassembling else {
            counters.fragments += 1
            return false
        }
        reassembling.append(client.id)
        return true
    }

    private static func reserve(_ packet: [UInt8], in outbox: inout Outbox) {
        var room = outbox.reserveTunnel(packet.count)
        room.write(packet.rawSpan, at: 0)
    }

    private mutating func take(
        _ outcome: Reassembly.Outcome,
        of client: ClientOnGateway
    ) -> [UInt8]? {
        switch outcome {
        case .waiting: return nil
        case .whole(let packet): return packet
        case .refused:
            counters.fragments += 1
            return nil
        }
    }
}

extension ClientOnGateway {
    /// Whether fragments of it, or for it, wait for others.
    var hasPieces: Bool { piecesOut.count + piecesIn.count > 0 }
}
