internal import Bytes
internal import IP
internal import STUN
internal import SansIO

/// Where the data of one channel go, found once for all datagrams of an entry.
struct ClientRoute {
    /// The channel's number; 0: nothing was looked up yet.
    var number: UInt16 = 0
    var path = Path.nowhere(.noChannel)

    enum Path {
        /// Each datagram is dropped and counted.
        case nowhere(Drop)
        /// To a peer, from the socket of the lent port.
        case peer(Endpoint, from: Endpoint)
        /// To another allocation of ours, as it sees us.
        case inside(ClientSink)
    }

    enum Drop {
        /// The number is not bound, or no longer.
        case noChannel
        /// The address is the relay's own, and lent to nobody.
        case ownAddress
        /// The other allocation lets us not in, or ours has no address of the family.
        case noPermission
    }
}

/// How data come to the client of an allocation.
struct ClientSink {
    var allocation: UInt32
    var remote: Endpoint
    var local: Endpoint
    /// Who sent them.
    var peer: Endpoint
    /// The channel of the peer; 0: none, so they go in an indication.
    var channel: UInt16
}

extension Relay {
    /// One entry that came to the main port.
    mutating func receiveFromClient(
        _ all: RawSpan,
        _ size: Int,
        _ entry: Batch.Packet,
        at now: Instant,
        into outbox: inout Outbox
    ) {
        let key = ClientKey(remote: entry.remote, local: entry.local)
        var allocation = liveAllocation(of: key, at: now)
        var route = ClientRoute()
        var start = 0
        while start < all.byteCount {
            let end = min(start + size, all.byteCount)
            let datagram = all.extracting(start..<end)
            start = end
            // The two first bits of channel data are 01, those of STUN 00 (RFC 8656 12).
            if datagram.byteCount >= ChannelData.headerByteCount, datagram.byte(at: 0) >> 6 == 1 {
                relay(channelData: datagram, of: allocation, &route, entry, at: now, into: &outbox)
            } else {
                receiveMessage(datagram, key, entry, at: now, into: &outbox)
                allocation = liveAllocation(of: key, at: now)
                route = ClientRoute()
            }
        }
    }

    /// The allocation of a client, if it can be used.
    func liveAllocation(of key: ClientKey, at now: Instant) -> UInt32? {
        guard let number = clients.find(key), allocations[number].isLive(at: now) else {
            return nil
        }
        return number
    }

    private mutating func relay(
        channelData datagram: RawSpan,
        of allocation: UInt32?,
        _ route: inout ClientRoute,
        _ entry: Batch.Packet,
        at now: Instant,
        into outbox: inout Outbox
    ) {
        guard let allocation else { return counters.noAllocation += 1 }
        let number = datagram.uint16(at: 0)
        let count = Int(datagram.uint16(at: 2))
        guard count <= datagram.byteCount - 4 else { return counters.malformed += 1 }
        if route.number != number {
            route = findRoute(of: allocation, channel: number, at: now)
        }
        let data = datagram.extracting(4..<4 + count)
        send(data, from: allocation, by: route.path, entry.ecn, at: now, into: &outbox)
    }

    private mutating func findRoute(
        of allocation: UInt32,
        channel number: UInt16,
        at now: Instant
    ) -> ClientRoute {
        let key = ChannelKey(allocation: allocation, number: number)
        var found: UInt32? = allocations[allocation].recentChannel
        if found == Allocation.none || channels[found ?? 0].key != key {
            found = channelByNumber.find(key)
        }
        guard let found, channels[found].end > now else {
            return ClientRoute(number: number)
        }
        allocations[allocation].recentChannel = found
        let peer = channels[found].peer
        return ClientRoute(
            number: number,
            path: path(from: allocation, to: peer, isInside: channels[found].isInside, at: now)
        )
    }

    /// How data of an allocation get to a peer whose address is permitted.
    func path(
        from allocation: UInt32,
        to peer: Endpoint,
        isInside: Bool,
        at now: Instant
    ) -> ClientRoute.Path {
        let family = peer.address.family
        let port = allocations[allocation].port
        guard allocations[allocation].has(family), let lent = configuration.lent(family) else {
            return .nowhere(.noPermission)
        }
        let outside = ClientRoute.Path.peer(
            peer,
            from: Endpoint(lent.localAddress ?? IPAddress(high: 0, low: 0), port: port)
        )
        guard isInside else { return outside }
        guard let target = ports.owner(of: peer.port) else {
            // What else listens at our address is for those that the configuration names.
            let isAllowed = rules.permits(peer.address) && peer.port != configuration.port
            return isAllowed ? outside : .nowhere(.ownAddress)
        }
        let source = Endpoint(lent.publicAddress, port: port)
        return sink(of: target, from: source, at: now).map { .inside($0) }
            ?? .nowhere(.noPermission)
    }

    /// Data of a client on their way; empty ones cannot be sent and are dropped.
    mutating func send(
        _ data: RawSpan,
        from allocation: UInt32,
        by path: ClientRoute.Path,
        _ ecn: UInt8,
        at now: Instant,
        into outbox: inout Outbox
    ) {
        let count = data.byteCount
        guard count > 0 else { return counters.sizes += 1 }
        if case .nowhere(let reason) = path { return note(reason) }
        guard isWithinQuota(allocations[allocation].user, count, at: now) else {
            return counters.bandwidthLimited += 1
        }
        switch path {
        case .nowhere: return
        case .inside(let sink):
            counters.packetsInside += 1
            deliver(data, to: sink, ecn, at: now, into: &outbox)
        case .peer(let peer, let local):
            var target = outbox.reserve(count)
            guard target.byteCount == count else { return counters.sizes += 1 }
            target.write(data, at: 0)
            outbox.commit(to: peer, from: local, ecn: ecn)
        }
        counters.packetsToPeers += 1
        counters.bytesToPeers += UInt64(count)
        allocations[allocation].bytesToPeers += UInt64(count)
    }

    private mutating func note(_ reason: ClientRoute.Drop) {
        switch reason {
        case .noChannel: counters.noChannel += 1
        case .ownAddress: counters.ownAddress += 1
        case .noPermission: counters.noPermission += 1
        }
    }

    /// Whether a credential may have so many bytes more relayed.
    mutating func isWithinQuota(_ user: UInt32, _ byteCount: Int, at now: Instant) -> Bool {
        if let limit = configuration.quotas.packetsPerSecond,
            !credentials[user].packets.take(1, perSecond: max(1, limit), at: now)
        {
            return false
        }
        guard let limit = configuration.quotas.bytesPerSecond else { return true }
        return credentials[user].bytes.take(byteCount, perSecond: max(65_536, limit), at: now)
    }
}
