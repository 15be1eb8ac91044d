internal import Bytes
internal import IP
internal import STUN
internal import SansIO

extension Relay {
    /// One entry that came to a lent port.
    mutating func receiveFromPeer(
        _ all: RawSpan,
        _ size: Int,
        _ entry: Batch.Packet,
        at now: Instant,
        into outbox: inout Outbox
    ) {
        guard let allocation = ports.owner(of: entry.local.port),
            allocations[allocation].isLive(at: now)
        else { return counters.closedPort += 1 }
        guard let sink = sink(of: allocation, from: entry.remote, at: now) else {
            return counters.noPermission += 1
        }
        var start = 0
        while start < all.byteCount {
            let end = min(start + size, all.byteCount)
            deliver(all.extracting(start..<end), to: sink, entry.ecn, at: now, into: &outbox)
            start = end
        }
    }

    /// How data of `peer` come to the client of an allocation; nil: not permitted, or not there.
    func sink(of allocation: UInt32, from peer: Endpoint, at now: Instant) -> ClientSink? {
        guard allocations[allocation].isLive(at: now), allocations[allocation].has(peer.family)
        else { return nil }
        var sink = ClientSink(
            allocation: allocation,
            remote: allocations[allocation].client.remote,
            local: allocations[allocation].local,
            peer: peer,
            channel: 0
        )
        if let channel = channelByPeer.find(PeerKey(allocation: allocation, peer: peer)) {
            // The permission's life is its own: a channel alone lets nobody in.
            guard permissions[channels[channel].permission].end > now else { return nil }
            if channels[channel].end > now { sink.channel = channels[channel].key.number }
            return sink
        }
        let address = PeerKey(allocation: allocation, address: peer)
        guard let permission = permissionByAddress.find(address),
            permissions[permission].end > now
        else { return nil }
        return sink
    }

    /// Data on their last way: to the client, under a channel number or in an indication.
    mutating func deliver(
        _ data: RawSpan,
        to sink: ClientSink,
        _ ecn: UInt8,
        at now: Instant,
        into outbox: inout Outbox
    ) {
        let count = data.byteCount
        let header =
            sink.channel != 0
            ? ChannelData.headerByteCount : DataIndication.headerByteCount(sink.peer)
        let all =
            sink.channel != 0 ? header + count : DataIndication.byteCount(sink.peer, data: count)
        guard count > 0, all <= Limits.datagramByteCount else { return counters.sizes += 1 }
        guard isWithinQuota(allocations[sink.allocation].user, count, at: now) else {
            return counters.bandwidthLimited += 1
        }
        var target = outbox.reserve(all)
        guard target.byteCount == all else { return counters.sizes += 1 }
        if sink.channel != 0 {
            ChannelData.writeHeader(sink.channel, byteCount: count, into: &target)
        } else {
            let transaction = TransactionID(from: &random)
            DataIndication.write(
                .data,
                transaction,
                peer: sink.peer,
                dataByteCount: count,
                into: &target
            )
        }
        target.write(data, at: header)
        outbox.commit(to: sink.remote, from: sink.local, ecn: ecn)
        counters.packetsToClients += 1
        counters.bytesToClients += UInt64(count)
        allocations[sink.allocation].bytesToClient += UInt64(count)
    }
}

extension Endpoint {
    var family: IPFamily { address.family }
}

extension PeerKey {
    /// The key of a permission: the address alone counts (RFC 8656 9).
    init(allocation: UInt32, address peer: Endpoint) {
        self.init(allocation: allocation, peer: Endpoint(peer.address, port: 0))
    }
}
