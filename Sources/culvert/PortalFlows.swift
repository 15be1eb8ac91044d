internal import Bytes
internal import Control
internal import Gateway
internal import IP
internal import SansIO
internal import Synchronization

/// The flow log that goes to the portal: so many messages a second at most, and none while the
/// channel has no room. What is left out is counted, and the portal is told how much that was.
final class PortalFlows: Sendable {
    /// Bounds of what is sent.
    enum Limits {
        /// Messages for one batch of records; those come once a second.
        static let messages = 4
    }

    private let missing = Mutex<UInt64>(0)

    /// Sends as many of `records` as there is room for.
    ///
    /// - Parameters:
    ///   - records: Flows that ended.
    ///   - clock: Turns their instants into times of day.
    ///   - tell: Says a message to the portal; false means that there is no room.
    func send(_ records: [FlowRecord], _ clock: WallTime, tell: (FromRole) -> Bool) {
        var rest = records[...]
        for _ in 0..<Limits.messages where !rest.isEmpty {
            let part = rest.prefix(EndedFlow.Limits.count)
            let lost = missing.withLock { $0 }
            let flows = part.map { EndedFlow($0, clock) }
            guard tell(.flows(FromRole.Flows(flows: flows, missing: lost == 0 ? nil : lost)))
            else { break }
            missing.withLock { $0 -= lost }
            rest = rest.dropFirst(part.count)
        }
        let left = UInt64(rest.count)
        missing.withLock { $0 += left }
    }
}

extension EndedFlow {
    /// A gateway's record as it travels.
    init(_ record: FlowRecord, _ clock: WallTime) {
        self.init(
            client: record.client,
            device: record.device,
            person: record.person,
            resource: record.resource,
            resourceName: record.resourceName,
            name: record.name,
            transport: "\(record.transport)",
            real: record.real,
            bytesOut: record.bytesOut,
            bytesIn: record.bytesIn,
            packetsOut: UInt64(record.packetsOut),
            packetsIn: UInt64(record.packetsIn),
            startMilliseconds: clock.milliseconds(record.start),
            endMilliseconds: clock.milliseconds(record.end),
            why: record.why.rawValue
        )
    }
}
