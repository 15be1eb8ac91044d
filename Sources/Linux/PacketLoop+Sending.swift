internal import Bytes
internal import CLinux
internal import Glibc
internal import IP
internal import SansIO

/// Endpoints that a segmented send does not reach, and until when that is believed.
struct SingleSending {
    enum Limits {
        static var lifetime: Duration { .seconds(600) }
        /// Endpoints that are remembered; more are found out anew each time.
        static var endpoints: Int { 1_024 }
    }

    private var until: [Endpoint: Instant] = [:]

    func contains(_ endpoint: Endpoint, at now: Instant) -> Bool {
        guard !until.isEmpty, let end = until[endpoint] else { return false }
        return now < end
    }

    /// True when the endpoint was not in it.
    mutating func insert(_ endpoint: Endpoint, at now: Instant) -> Bool {
        if until.count >= Limits.endpoints { until = until.filter { now < $0.value } }
        let isNew = !contains(endpoint, at: now)
        if until.count < Limits.endpoints || !isNew {
            until[endpoint] = now.advanced(by: Limits.lifetime)
        }
        return isNew
    }
}

extension PacketLoop where Machine: ~Copyable {
    private func socket(_ family: IPFamily) -> Int32 {
        switch family {
        case .ipv4: sockets?.ipv4?.raw ?? -1
        case .ipv6: sockets?.ipv6?.raw ?? -1
        }
    }

    /// A UDP socket is readable, writable or has an error to report.
    func serve(_ family: IPFamily, _ interest: EventInterest) {
        if interest.contains(.writable) { sendBacklog(family) }
        guard interest != .writable, let port = sockets?.port else { return }
        receiveVectors.receive(
            from: socket(family),
            port: port,
            into: &networkBatch,
            counting: &counters
        )
        deliver(from: .network)
    }

    /// Sends the network side of the outbox, run by run, neighbours of one family in one call.
    func sendRuns() {
        var family = IPFamily.ipv4
        for index in 0..<outbox.runCount {
            let run = outbox.run(index)
            if run.remote.address.family != family || sendVectors.isFull { dispatch(family) }
            family = run.remote.address.family
            let bytes = outbox.bytes(ofRun: index)
            guard run.count > 1, singles.contains(run.remote, at: now) else {
                sendVectors.append(run, bytes: bytes)
                continue
            }
            for datagram in 0..<run.count {
                if sendVectors.isFull { dispatch(family) }
                let (single, range) = run.datagram(datagram)
                sendVectors.append(single, bytes: bytes.extracting(range))
            }
        }
        dispatch(family)
    }

    /// Sends the messages gathered for one family; what its socket does not take waits.
    private func dispatch(_ family: IPFamily) {
        defer { sendVectors.removeAll() }
        guard sendVectors.count > 0 else { return }
        let isBlocked = family == .ipv4 ? !backlog4.isEmpty : !backlog6.isEmpty
        let sent = isBlocked ? 0 : transmit(on: socket(family), family)
        for index in sent..<sendVectors.count {
            postpone(sendVectors.run(index), sendVectors.bytes(index), family)
        }
    }

    /// Sends the gathered messages; returns the first that the socket was too full for.
    private func transmit(on socket: Int32, _ family: IPFamily) -> Int {
        var next = 0
        while next < sendVectors.count {
            switch sendVectors.send(from: next, on: socket) {
            case .success(let sent):
                for index in next..<next + sent { count(sendVectors.run(index)) }
                next += sent
            case .failure(let error):
                let run = sendVectors.run(next)
                switch error.code {
                case EAGAIN: return next
                case EMSGSIZE, EINVAL, EIO:
                    if run.count > 1 {
                        sendSingly(next, on: socket, family)
                    } else {
                        counters.datagramsRefused += 1
                    }
                default: counters.datagramsRefused += UInt64(run.count)
                }
                next += 1
            }
        }
        return next
    }

    /// A segmented send was refused as a whole: each of its datagrams goes once by itself.
    private func sendSingly(_ index: Int, on socket: Int32, _ family: IPFamily) {
        let run = sendVectors.run(index)
        singleVectors.removeAll()
        for datagram in 0..<run.count {
            let (single, range) = run.datagram(datagram)
            singleVectors.append(single, bytes: sendVectors.bytes(index).extracting(range))
        }
        var (next, hasPassed) = (0, false)
        while next < singleVectors.count {
            switch singleVectors.send(from: next, on: socket) {
            case .success(let sent):
                for index in next..<next + sent { count(singleVectors.run(index)) }
                next += sent
                hasPassed = true
            case .failure(let error):
                if error.code == EAGAIN {
                    for index in next..<singleVectors.count {
                        postpone(singleVectors.run(index), singleVectors.bytes(index), family)
                    }
                    next = singleVectors.count
                } else if hasPassed {
                    counters.datagramsRefused += 1
                    next += 1
                } else {
                    // Not the segmentation was refused: the destination or our address is.
                    counters.datagramsRefused += UInt64(run.count)
                    return
                }
            }
        }
        counters.segmentedSendsRefused += 1
        if hasPassed, singles.insert(run.remote, at: now) { onNote(.sendsSingly(run.remote)) }
    }

    private func count(_ run: Outbox.Run) {
        counters.networkSends += 1
        counters.datagramsSent += UInt64(run.count)
        counters.networkBytesSent += UInt64(run.range.count)
    }
}

// MARK: - Back-pressure

extension PacketLoop where Machine: ~Copyable {
    /// Keeps a run for a full socket, and stops reading the tunnel device.
    private func postpone(_ run: Outbox.Run, _ bytes: RawSpan, _ family: IPFamily) {
        let wasEmpty = family == .ipv4 ? backlog4.isEmpty : backlog6.isEmpty
        let isKept =
            family == .ipv4
            ? backlog4.append(run, bytes, at: now) : backlog6.append(run, bytes, at: now)
        if !isKept { counters.backlogDrops += UInt64(run.count) }
        guard wasEmpty, isKept else { return }
        queue.change(socket(family), family.key, [.readable, .writable])
        guard !isTunnelPaused else { return }
        isTunnelPaused = true
        counters.backPressurePauses += 1
        if let device = tunnel?.descriptor.raw { queue.change(device, .tunnel, []) }
    }

    /// The socket is writable again: what waited goes first.
    private func sendBacklog(_ family: IPFamily) {
        while let entry = family == .ipv4 ? backlog4.first : backlog6.first {
            sendVectors.removeAll()
            sendVectors.append(entry.run, bytes: entry.bytes.rawSpan)
            let sent = withExtendedLifetime(entry) { transmit(on: socket(family), family) }
            sendVectors.removeAll()
            if sent == 0 { return }
            if family == .ipv4 {
                backlog4.removeFirst(at: now)
            } else {
                backlog6.removeFirst(at: now)
            }
        }
        resume(family)
    }

    /// A socket that takes nothing for too long loses what waits: it would be stale anyway.
    func giveUpBacklogs() {
        if let deadline = backlog4.deadline, deadline <= now {
            counters.backlogDrops += UInt64(backlog4.removeAll())
            resume(.ipv4)
        }
        if let deadline = backlog6.deadline, deadline <= now {
            counters.backlogDrops += UInt64(backlog6.removeAll())
            resume(.ipv6)
        }
    }

    private func resume(_ family: IPFamily) {
        queue.change(socket(family), family.key, .readable)
        guard isTunnelPaused, backlog4.isEmpty, backlog6.isEmpty else { return }
        isTunnelPaused = false
        if let device = tunnel?.descriptor.raw { queue.change(device, .tunnel, .readable) }
    }
}

extension IPFamily {
    fileprivate var key: EventKey { self == .ipv4 ? .socket4 : .socket6 }
}

extension Outbox.Run {
    /// Datagram `index` of the run as a run of its own, and where it lies in the run's bytes.
    fileprivate func datagram(_ index: Int) -> (Outbox.Run, Range<Int>) {
        let start = index * segmentByteCount
        let relative = start..<min(start + segmentByteCount, range.count)
        var single = self
        single.range =
            range.lowerBound + relative.lowerBound..<range.lowerBound
            + relative.upperBound
        single.segmentByteCount = relative.count
        single.count = 1
        return (single, relative)
    }
}
