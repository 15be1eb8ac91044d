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
    /// A UDP socket is readable, writable or has an error to report.
    ///
    /// What several sockets hold is lent to the machine together.
    func serve(_ slot: Int, _ interest: EventInterest) {
        let descriptor = sockets.descriptor(slot)
        guard descriptor >= 0 else { return }
        if interest.contains(.writable) { sendBacklog(slot) }
        guard interest != .writable else { return }
        if networkBatch.indices.isEmpty { networkBatch.removeAll() }
        receiveVectors.receive(
            from: descriptor,
            port: sockets.port(slot),
            into: &networkBatch,
            counting: &counters
        )
        if receiveVectors.isHalfFull { deliver(from: .network) }
    }

    /// Sends the network side of the outbox, run by run, neighbours of one socket in one call.
    func sendRuns() {
        var slot = -1
        for index in 0..<outbox.runCount {
            let run = outbox.run(index)
            let next = sockets.slot(of: run)
            if next != slot || sendVectors.isFull { dispatch(slot) }
            slot = next
            let bytes = outbox.bytes(ofRun: index)
            guard run.count > 1, singles.contains(run.remote, at: now) else {
                sendVectors.append(run, bytes: bytes)
                continue
            }
            for datagram in 0..<run.count {
                if sendVectors.isFull { dispatch(slot) }
                let (single, range) = run.datagram(datagram)
                sendVectors.append(single, bytes: bytes.extracting(range))
            }
        }
        dispatch(slot)
    }

    /// Sends the messages gathered for one socket; what it does not take waits.
    private func dispatch(_ slot: Int) {
        defer { sendVectors.removeAll() }
        guard sendVectors.count > 0 else { return }
        let sent = sockets.isBlocked(slot) ? 0 : transmit(slot)
        for index in sent..<sendVectors.count {
            postpone(sendVectors.run(index), sendVectors.bytes(index), slot)
        }
    }

    /// Sends the gathered messages; returns the first that the socket was too full for.
    private func transmit(_ slot: Int) -> Int {
        let socket = sockets.descriptor(slot)
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
                        sendSingly(next, slot)
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
    private func sendSingly(_ index: Int, _ slot: Int) {
        let socket = sockets.descriptor(slot)
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
                        postpone(singleVectors.run(index), singleVectors.bytes(index), slot)
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
    private func postpone(_ run: Outbox.Run, _ bytes: RawSpan, _ slot: Int) {
        let wasBlocked = sockets.isBlocked(slot)
        guard sockets.postpone(run, bytes, slot, at: now) else {
            counters.backlogDrops += UInt64(run.count)
            return
        }
        guard !wasBlocked else { return }
        queue.change(sockets.descriptor(slot), .socket(slot), [.readable, .writable])
        guard !isTunnelPaused else { return }
        isTunnelPaused = true
        counters.backPressurePauses += 1
        if let device = tunnel?.descriptor.raw { queue.change(device, .tunnel, []) }
    }

    /// The socket is writable again: what waited goes first.
    private func sendBacklog(_ slot: Int) {
        while let entry = sockets.firstWaiting(slot) {
            sendVectors.removeAll()
            sendVectors.append(entry.run, bytes: entry.bytes.rawSpan)
            let sent = withExtendedLifetime(entry) { transmit(slot) }
            sendVectors.removeAll()
            if sent == 0 { return }
            sockets.removeFirstWaiting(slot, at: now)
        }
        resume(slot)
    }

    /// A socket that takes nothing for too long loses what waits: it would be stale anyway.
    func giveUpBacklogs() {
        guard sockets.isAnyBlocked else { return }
        for slot in sockets.overdue(at: now) {
            counters.backlogDrops += UInt64(sockets.dropBacklog(slot))
            resume(slot)
        }
    }

    private func resume(_ slot: Int) {
        queue.change(sockets.descriptor(slot), .socket(slot), .readable)
        resumeTunnel()
    }

    /// Reads the tunnel device again when no socket is full any more.
    func resumeTunnel() {
        guard isTunnelPaused, !sockets.isAnyBlocked else { return }
        isTunnelPaused = false
        if let device = tunnel?.descriptor.raw { queue.change(device, .tunnel, .readable) }
    }
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
