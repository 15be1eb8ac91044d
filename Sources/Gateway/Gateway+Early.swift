internal import Bytes
internal import Control
internal import IP
internal import Peering
internal import SansIO

// What comes before its grant waits for it, and takes the way of everything else then.
extension Gateway {
    /// Keeps a names frame of a resource that is not granted.
    ///
    /// - Returns: False when it cannot wait (any longer).
    mutating func keepEarly(
        _ names: ControlFrame.Names,
        since: Instant?,
        _ slot: Int,
        at now: Instant
    ) -> Bool {
        let frame = EarlyArrivals.Frame(names: names, since: since ?? now)
        return keepEarly(since: frame.since, slot, at: now) { $0.keep(frame) }
    }

    /// Keeps a packet that no lease permits, and that may have overtaken its grant.
    ///
    /// - Returns: False when it cannot wait (any longer).
    mutating func keepEarly(
        _ packet: [UInt8],
        _ header: PacketHeader,
        since: Instant?,
        _ slot: Int,
        at now: Instant
    ) -> Bool {
        // What no grant can ever permit.
        guard
            !(plan.tunnel + plan.sentinels).contains(where: { $0.contains(header.destination) })
        else { return false }
        let kept = EarlyArrivals.Packet(
            synKey: header.isOpeningTCP ? FlowKey(outbound: header) : nil,
            bytes: packet,
            since: since ?? now
        )
        return keepEarly(since: kept.since, slot, at: now) { $0.keep(kept) }
    }

    /// Keeps a query for a name that no lease permits, and that may have overtaken its grant.
    ///
    /// - Returns: False when it cannot wait (any longer).
    mutating func keepEarly(_ query: EarlyArrivals.Query, _ slot: Int, at now: Instant) -> Bool {
        keepEarly(since: query.since, slot, at: now) { $0.keep(query) }
    }

    private mutating func keepEarly(
        since: Instant,
        _ slot: Int,
        at now: Instant,
        _ keep: (inout EarlyArrivals) -> Bool
    ) -> Bool {
        guard EarlyArrivals.mayWait(since: since, at: now), let client = clients[slot] else {
            return false
        }
        let before = client.early.count
        guard earlyCount < Limits.early, keep(&client.early) else {
            counters.earlyRefused += 1
            return false
        }
        earlyCount += client.early.count - before
        if !early.contains(client.id) { early.append(client.id) }
        let deadline = since.advanced(by: EarlyArrivals.Limits.patience)
        earlyDeadline = earlyDeadline.map { min($0, deadline) } ?? deadline
        counters.early += 1
        return true
    }

    /// A grant or a name came: what may have waited for it is looked at again in this turn.
    mutating func markEarly(_ slot: Int) {
        guard let client = clients[slot], !client.early.isEmpty else { return }
        client.early.isReady = true
        isEarlyReady = true
    }

    /// Forgets what waits for a client that goes.
    mutating func forgetEarly(_ client: ClientOnGateway) {
        guard !client.early.isEmpty else { return }
        earlyCount -= client.early.count
        for query in client.early.takeAll().queries { close(query.path) }
        early.removeAll { $0 == client.id }
    }

    /// What has waited for a grant that came, or long enough.
    mutating func serveEarly(at now: Instant, into outbox: inout Outbox) {
        guard isEarlyReady || earlyDeadline.map({ $0 <= now }) ?? false else { return }
        isEarlyReady = false
        earlyDeadline = nil
        expireLeases(at: now, into: &outbox)
        let waiting = early
        early = []
        for id in waiting {
            guard let slot = slotByClient[id], let client = clients[slot] else { continue }
            if client.early.isReady || client.early.deadline.map({ $0 <= now }) ?? false {
                play(client, slot, at: now, into: &outbox)
            }
            guard let next = client.early.deadline else { continue }
            if !early.contains(id) { early.append(id) }
            earlyDeadline = earlyDeadline.map { min($0, next) } ?? next
            isEarlyReady = isEarlyReady || client.early.isReady
        }
    }

    /// Everything that waits for a client takes the usual way; what still lacks a grant waits on.
    private mutating func play(
        _ client: ClientOnGateway,
        _ slot: Int,
        at now: Instant,
        into outbox: inout Outbox
    ) {
        let arrivals = client.early.takeAll()
        earlyCount -= arrivals.count
        for frame in arrivals.frames {
            receive(frame.names, since: frame.since, slot, at: now, into: &outbox)
        }
        for query in arrivals.queries { receive(query, slot, at: now, into: &outbox) }
        for (index, packet) in arrivals.packets.enumerated() {
            guard outbox.hasTunnelRoom(packets: 1, byteCount: packet.bytes.count),
                outbox.hasNetworkRoom(datagrams: 1, byteCount: Limits.sealedByteCount)
            else {
                for rest in arrivals.packets[index...] where client.early.keep(rest) {
                    earlyCount += 1
                }
                client.early.isReady = true
                return
            }
            var room = outbox.reserveTunnel(packet.bytes.count)
            room.write(packet.bytes.rawSpan, at: 0)
            receive(
                packet.bytes.count,
                from: client.peer,
                since: packet.since,
                at: now,
                into: &outbox
            )
        }
        // What was played may have marked itself; it has been looked at.
        client.early.isReady = false
    }
}
