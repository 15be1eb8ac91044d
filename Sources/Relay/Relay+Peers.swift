internal import Bytes
internal import IP
internal import STUN
internal import SansIO

extension Relay {
    /// CreatePermission (RFC 8656 10.2): all of the addresses, or none.
    mutating func createPermission(
        _ message: borrowing STUNMessage,
        _ asker: Asker,
        _ proof: Proof,
        at now: Instant
    ) throws(Refusal) {
        let number = try ownAllocation(asker, proof, at: now)
        let peers = message.peerAddresses
        guard !peers.isEmpty, peers.count == message.count(of: .xorPeerAddress) else {
            throw .code(.badRequest)
        }
        var added = 0
        for peer in peers {
            try check(peer, of: number)
            let key = PeerKey(allocation: number, address: peer)
            if permissionByAddress.find(key) == nil { added += 1 }
        }
        guard hasRoom(forPermissions: added, of: number) else { throw noRoom() }
        for peer in peers { _ = permit(peer, to: number, at: now) }
    }

    /// ChannelBind (RFC 8656 12.1, 12.2): one number for one peer.
    mutating func bindChannel(
        _ message: borrowing STUNMessage,
        _ asker: Asker,
        _ proof: Proof,
        at now: Instant
    ) throws(Refusal) {
        let number = try ownAllocation(asker, proof, at: now)
        guard let wanted = message.channelNumber, Limits.channelNumbers.contains(wanted),
            let peer = message.peerAddress, peer.port != 0
        else { throw .code(.badRequest) }
        try check(peer, of: number)
        let key = ChannelKey(allocation: number, number: wanted)
        let peerKey = PeerKey(allocation: number, peer: peer)
        dropExpired(channelByNumber.find(key), at: now)
        dropExpired(channelByPeer.find(peerKey), at: now)
        let known = channelByNumber.find(key)
        guard known == channelByPeer.find(peerKey) else { throw .code(.badRequest) }
        let hasRoom =
            !channels.isFull && allocations[number].channelCount < Limits.channelsPerAllocation
            && hasRoom(forPermissions: 1, of: number)
        guard known != nil || hasRoom, let permission = permit(peer, to: number, at: now) else {
            throw noRoom()
        }
        let end = now.advanced(by: Limits.channelLife)
        if let known {
            channels[known].end = end
            channelTimers[known] = end
        } else {
            addChannel(key, peer, permission, until: end)
        }
    }

    /// A Send indication (RFC 8656 11.2); what is wrong with it, nobody is told.
    mutating func receiveSend(
        _ message: borrowing STUNMessage,
        _ key: ClientKey,
        _ ecn: UInt8,
        at now: Instant,
        into outbox: inout Outbox
    ) {
        guard let number = liveAllocation(of: key, at: now) else {
            return counters.noAllocation += 1
        }
        guard let peer = message.peerAddress, let range = message.dataRange, peer.port != 0,
            message.unknownAttributes(besides: [.xorPeerAddress, .data]).isEmpty
        else { return counters.malformed += 1 }
        let permission = permissionByAddress.find(PeerKey(allocation: number, address: peer))
        guard let permission, permissions[permission].end > now else {
            return counters.noPermission += 1
        }
        let path = path(from: number, to: peer, isInside: isOwn(peer), at: now)
        let data = message.bytes.extracting(range)
        send(data, from: number, by: path, ecn, at: now, into: &outbox)
    }

    /// Whether a peer is at an address that the relay itself has lent out.
    func isOwn(_ peer: Endpoint) -> Bool {
        configuration.publicAddress(peer.family) == peer.address
    }

    /// Whether an allocation may have this peer. Our own addresses always may be one: who else has
    /// a port there is found out for each datagram.
    private mutating func check(_ peer: Endpoint, of number: UInt32) throws(Refusal) {
        guard allocations[number].has(peer.family) else { throw .code(.peerFamilyMismatch) }
        guard isOwn(peer) || rules.permits(peer.address) else {
            counters.peersRefused += 1
            throw .code(.forbidden)
        }
    }

    private func hasRoom(forPermissions added: Int, of number: UInt32) -> Bool {
        permissions.count + added <= permissions.countMax
            && allocations[number].permissionCount + added <= Limits.permissionsPerAllocation
    }

    private mutating func noRoom() -> Refusal {
        counters.capacityReached += 1
        return .code(.insufficientCapacity)
    }

    private mutating func dropExpired(_ channel: UInt32?, at now: Instant) {
        if let channel, channels[channel].end <= now { removeChannel(channel, at: now) }
    }
}

// MARK: - Permissions

extension Relay {
    /// Lets a peer's address in, from now on for five minutes.
    private mutating func permit(
        _ peer: Endpoint,
        to number: UInt32,
        at now: Instant
    ) -> UInt32? {
        let key = PeerKey(allocation: number, address: peer)
        let end = now.advanced(by: Limits.permissionLife)
        if let known = permissionByAddress.find(key) {
            permissions[known].end = end
            permissionTimers[known] = end
            return known
        }
        let first = allocations[number].firstPermission
        let record = Permission(key: key, end: end, next: first)
        guard let permission = permissions.insert(record) else { return nil }
        if first != Allocation.none { permissions[first].previous = permission }
        allocations[number].firstPermission = permission
        allocations[number].permissionCount += 1
        permissionByAddress.insert(permission, for: key)
        permissionTimers[permission] = end
        return permission
    }

    mutating func removePermission(_ permission: UInt32) {
        let record = permissions[permission]
        if record.previous == Allocation.none {
            allocations[record.key.allocation].firstPermission = record.next
        } else {
            permissions[record.previous].next = record.next
        }
        if record.next != Allocation.none { permissions[record.next].previous = record.previous }
        allocations[record.key.allocation].permissionCount -= 1
        permissionByAddress.remove(record.key)
        permissionTimers[permission] = nil
        permissions.remove(permission)
    }

    /// A permission's time is over; while channels need it, it stays without effect.
    mutating func expirePermission(_ permission: UInt32) {
        guard permissions[permission].channelCount == 0 else { return }
        removePermission(permission)
    }

    // MARK: Channels

    private mutating func addChannel(
        _ key: ChannelKey,
        _ peer: Endpoint,
        _ permission: UInt32,
        until end: Instant
    ) {
        let first = allocations[key.allocation].firstChannel
        let record = Channel(
            key: key,
            peer: peer,
            isInside: isOwn(peer),
            end: end,
            permission: permission,
            next: first
        )
        guard let channel = channels.insert(record) else { return }
        if first != Allocation.none { channels[first].previous = channel }
        allocations[key.allocation].firstChannel = channel
        allocations[key.allocation].channelCount += 1
        permissions[permission].channelCount += 1
        channelByNumber.insert(channel, for: key)
        channelByPeer.insert(channel, for: PeerKey(allocation: key.allocation, peer: peer))
        channelTimers[channel] = end
    }

    mutating func removeChannel(_ channel: UInt32, at now: Instant) {
        let record = channels[channel]
        let number = record.key.allocation
        if record.previous == Allocation.none {
            allocations[number].firstChannel = record.next
        } else {
            channels[record.previous].next = record.next
        }
        if record.next != Allocation.none { channels[record.next].previous = record.previous }
        allocations[number].channelCount -= 1
        if allocations[number].recentChannel == channel {
            allocations[number].recentChannel = Allocation.none
        }
        channelByNumber.remove(record.key)
        channelByPeer.remove(PeerKey(allocation: number, peer: record.peer))
        channelTimers[channel] = nil
        channels.remove(channel)
        permissions[record.permission].channelCount -= 1
        if permissions[record.permission].channelCount == 0,
            permissions[record.permission].end <= now
        {
            removePermission(record.permission)
        }
    }

    /// Peers of an allocation that the configuration refuses from now on.
    mutating func removeRefusedPeers(of number: UInt32, at now: Instant) {
        var channel = allocations[number].firstChannel
        while channel != Allocation.none {
            let record = channels[channel]
            channel = record.next
            if !isOwn(record.peer), !rules.permits(record.peer.address),
                let stale = channelByNumber.find(record.key)
            {
                removeChannel(stale, at: now)
            }
        }
        var permission = allocations[number].firstPermission
        while permission != Allocation.none {
            let record = permissions[permission]
            let peer = record.key.peer
            if record.channelCount == 0, !isOwn(peer), !rules.permits(peer.address) {
                removePermission(permission)
            }
            permission = record.next
        }
    }
}

extension STUNMessage {
    /// How many attributes of `type` there are.
    fileprivate func count(of type: STUNAttributeType) -> Int {
        var count = 0
        var found = attribute()
        while let attribute = found {
            if attribute.type == type { count += 1 }
            found = self.attribute(after: attribute)
        }
        return count
    }
}
