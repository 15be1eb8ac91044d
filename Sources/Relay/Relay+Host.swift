public import Bytes
internal import IP
public import SansIO

extension Relay {
    public mutating func handle(
        _ command: Command,
        at now: Instant,
        into outbox: inout Outbox
    ) {
        switch command {
        case .configure(let configuration): configure(configuration, at: now)
        case .portOpened(let port): portOpened(port, at: now, into: &outbox)
        case .portRefused(let port): portRefused(port, at: now, into: &outbox)
        case .streamOpened(let bridge, let client): openStream(bridge, client, at: now)
        case .streamClosed(let bridge):
            if let stream = streamByBridge[bridge] { closeStream(stream, at: now) }
        case .shutdown: shutDown(at: now)
        }
    }

    private mutating func configure(_ configuration: Configuration, at now: Instant) {
        let old = self.configuration
        self.configuration = configuration
        rules = PeerRules(configuration)
        ports.change(to: configuration.ports, besides: configuration.port)
        let gone = IPFamily.allCases.filter {
            old.publicAddress($0) != configuration.publicAddress($0)
        }
        for number in 0..<allocations.end where details[Int(number)] != nil {
            if gone.contains(where: allocations[number].has) {
                end(number, .addressGone, at: now)
            } else {
                removeRefusedPeers(of: number, at: now)
            }
        }
    }

    // MARK: Streams

    private mutating func openStream(_ bridge: Endpoint, _ client: Endpoint, at now: Instant) {
        if let known = streamByBridge[bridge] { closeStream(known, at: now) }
        guard !isStopping, let stream = streams.insert(Stream(bridge: bridge, client: client))
        else {
            endedStreams.append(bridge)
            return
        }
        streamByBridge[bridge] = stream
        streamTimers[stream] = now.advanced(by: Limits.streamPatience)
    }

    /// A connection is over: its allocation ends with it (RFC 8656 3.1).
    private mutating func closeStream(_ stream: UInt32, at now: Instant) {
        let allocation = streams[stream].allocation
        if allocation != Allocation.none { end(allocation, .streamClosed, at: now) }
        streamByBridge[streams[stream].bridge] = nil
        streams[stream].isOpen = false
        streamTimers[stream] = nil
        streams.remove(stream)
    }

    /// A connection that had no allocation for long.
    private mutating func dropIdleStream(_ stream: UInt32, at now: Instant) {
        endedStreams.append(streams[stream].bridge)
        closeStream(stream, at: now)
    }

    private mutating func shutDown(at now: Instant) {
        guard !isStopping else { return }
        isStopping = true
        for number in 0..<allocations.end where details[Int(number)] != nil {
            let (port, isOpen) = (allocations[number].port, allocations[number].isOpen)
            end(number, .shutdown, at: now)
            if !isOpen { portRequests.append(.close(port)) }
        }
        for stream in 0..<streams.end where streams[stream].isOpen {
            dropIdleStream(stream, at: now)
        }
        reservations.removeAll()
        let end = Instant(nanoseconds: .max)
        while let credential = credentialTimers.popNumber(dueAt: end) {
            forgetCredential(credential)
        }
    }
}

// MARK: - Time

extension Relay {
    public mutating func advance(to now: Instant, into outbox: inout Outbox) {
        while let number = allocationTimers.popNumber(dueAt: now) {
            if allocations[number].isOpen {
                end(number, .expired, at: now)
            } else {
                refuse(number, at: now, into: &outbox)
            }
        }
        while let channel = channelTimers.popNumber(dueAt: now) { removeChannel(channel, at: now) }
        while let permission = permissionTimers.popNumber(dueAt: now) {
            expirePermission(permission)
        }
        while let stream = streamTimers.popNumber(dueAt: now) { dropIdleStream(stream, at: now) }
        while let credential = credentialTimers.popNumber(dueAt: now) {
            forgetCredential(credential)
        }
        while let first = reservations.first, first.end <= now {
            ports.free(first.port)
            reservations.removeFirst()
        }
    }

    /// The earliest of all that depends on time; now when anything is queued.
    public var nextDeadline: Instant? {
        let isQueued =
            !portRequests.isEmpty || !endedStreams.isEmpty || !events.isEmpty
            || (isStopping && !hasFinished)
        guard !isQueued else { return Instant(nanoseconds: 0) }
        let all = [
            allocationTimers.next, channelTimers.next, permissionTimers.next, streamTimers.next,
            credentialTimers.next, reservations.first?.end,
        ]
        return all.compactMap { $0 }.min()
    }
}
