import Bytes
import Control
import IP
import Peering
import SansIO

@testable import Client

extension ClientWorld {
    /// Runs from deadline to deadline, and no finer.
    func run(for limit: Duration) {
        let end = now.advanced(by: limit)
        for _ in 0..<100_000 {
            let deadlines =
                [flying.map(\.due).min(), portalInbox.map(\.due).min(), client.nextDeadline]
                + sites.map { $0.pool.nextDeadline }
            guard let next = deadlines.compactMap({ $0 }).min(), next <= end else { break }
            steps += 1
            now = max(now, next)
            client.advance(to: now, into: &outbox)
            settle()
            for place in sites.indices {
                sites[place].pool.advance(to: now, into: &outbox)
                while sites[place].pool.pollEvent() != nil {}
                launch(from: place)
            }
            deliver()
        }
        now = end
    }

    private func deliver() {
        let messages = portalInbox.filter { $0.due <= now }.map(\.message)
        portalInbox.removeAll { $0.due <= now }
        for message in messages { tell(message) }
        let due = flying.filter { $0.due <= now }.sorted { ($0.due, $0.order) < ($1.due, $1.order) }
        flying.removeAll { $0.due <= now }
        for datagram in due {
            if let place = datagram.site { arrive(datagram, at: place) } else { arrive(datagram) }
        }
    }

    private func arrive(_ datagram: Flying) {
        batch.removeAll()
        var room = batch.block.mutableBytes(0..<datagram.bytes.count)
        room.write(datagram.bytes.rawSpan, at: 0)
        batch.append(
            Batch.Packet(
                range: 0..<datagram.bytes.count,
                remote: datagram.source,
                local: clientEndpoint
            )
        )
        _ = client.receive(batch, from: .network, at: now, into: &outbox)
        settle()
    }

    private func arrive(_ datagram: Flying, at place: Int) {
        let site = sites[place]
        let received = site.pool.receive(
            datagram.bytes.rawSpan,
            remote: datagram.source,
            local: datagram.destination,
            ecn: 0,
            at: now,
            into: &outbox
        )
        switch received {
        case .nothing: break
        case .packet(_, let count):
            let bytes = outbox.peekReservedTunnelBytes().extracting(0..<count).array
            site.packets.append((now, bytes))
        case .frame(let peer, let frame):
            site.frames.append((now, frame))
            if case .names(let names) = frame, let status = site.status {
                let answer = ControlFrame.NamesAnswer(
                    epoch: names.epoch,
                    resource: names.resource,
                    name: names.name,
                    status: status,
                    families: site.families
                )
                _ = site.pool.send(.namesAnswer(answer), to: peer, at: now, into: &outbox)
            }
        }
        while site.pool.pollEvent() != nil {}
        launch(from: place)
    }

    /// Puts what a gateway sends on the network.
    func launch(from place: Int) {
        for (run, bytes) in takeRuns() where run.remote == clientEndpoint && !sites[place].isCut {
            order += 1
            flying.append(
                Flying(
                    due: now.advanced(by: delay),
                    order: order,
                    site: nil,
                    source: sites[place].endpoint,
                    destination: run.remote,
                    bytes: bytes
                )
            )
        }
        outbox.removeAll()
    }

    private func takeRuns() -> [(Outbox.Run, [UInt8])] {
        var all: [(Outbox.Run, [UInt8])] = []
        for index in 0..<outbox.runCount {
            let run = outbox.run(index)
            let bytes = outbox.bytes(ofRun: index).array
            for start in stride(from: 0, to: bytes.count, by: max(1, run.segmentByteCount)) {
                let end = min(start + run.segmentByteCount, bytes.count)
                all.append((run, Array(bytes[start..<end])))
            }
        }
        return all
    }

    /// Takes what the client put out: outputs first, then packets, as a host does.
    func settle() {
        while let output = client.pollOutput() {
            outputs.append((now, output))
            switch output {
            case .toPortal(.authorize(let request)):
                if answersPortal { decisions.append(request) }
            case .persist(let record): persisted += record.bytes
            case .replaceNames(let log): persisted = log
            case .toPortal, .exchange, .forward, .port, .configure, .streamAnswer, .event,
                .finished,
                .connectRelay,
                .disconnectRelay:
                break
            }
        }
        for (run, bytes) in takeRuns() {
            guard let place = sites.firstIndex(where: { $0.endpoint == run.remote }),
                !sites[place].isCut
            else { continue }
            order += 1
            flying.append(
                Flying(
                    due: now.advanced(by: delay),
                    order: order,
                    site: place,
                    source: clientEndpoint,
                    destination: run.remote,
                    bytes: bytes
                )
            )
        }
        for index in 0..<outbox.tunnelPacketCount {
            delivered.append((now, outbox.bytes(ofTunnelPacket: index).array))
        }
        outbox.removeAll()
        let requests = decisions
        decisions = []
        for request in requests {
            portalInbox.append((now.advanced(by: portalDelay), decide(request)))
        }
    }
}
