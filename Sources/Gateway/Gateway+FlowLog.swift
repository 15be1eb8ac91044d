internal import Control
internal import DNS
internal import SansIO

// Who reached what: ended flows wait for the host, which writes them down off the packets' way.
extension Gateway {
    mutating func setFlowLog(_ isOn: Bool) {
        logsFlows = isOn
        for case let client? in clients { client.nat.logsFlows = isOn }
    }

    /// Flows may have ended, or will: they are collected soon, many at once.
    mutating func expectFlowRecords(at now: Instant) {
        guard logsFlows, flowLogDeadline == nil else { return }
        flowLogDeadline = now.advanced(by: Limits.flowLogInterval)
    }

    /// Hands the flows that ended to the host when it is time; what found no room is counted.
    mutating func handOutFlowRecords(at now: Instant) {
        guard let flowLogDeadline, flowLogDeadline <= now else { return }
        self.flowLogDeadline = nil
        for case let client? in clients { collectFlowRecords(of: client) }
        guard !flowRecords.isEmpty else { return }
        outputs.append(.flows(flowRecords))
        flowRecords.removeAll()
    }

    /// Takes the ended flows of one client while what they are labelled with is known.
    mutating func collectFlowRecords(of client: ClientOnGateway) {
        let ended = client.nat.takeEnded()
        counters.unlogged += ended.missing
        for ended in ended.flows {
            guard flowRecords.count < Limits.flowRecords else {
                counters.unlogged += 1
                continue
            }
            flowRecords.append(FlowRecord(ended, client.labels[ended.flow.label], of: client))
        }
    }

    /// The label's number for a new flow of the client.
    mutating func label(
        _ resource: UInt32,
        _ name: Name?,
        of client: ClientOnGateway
    ) -> UInt32 {
        guard logsFlows, let granted = client.grants.resource(resource)?.resource else { return 0 }
        if client.labels.isFull {
            collectFlowRecords(of: client)
            client.compactLabels()
        }
        let label = FlowLabel(resource: granted.id, resourceName: granted.name, name: name)
        return client.labels.number(of: label)
    }
}

extension ClientOnGateway {
    /// Lets the labels go that no flow has.
    fileprivate func compactLabels() {
        let old = labels
        var new = FlowLabels()
        nat.relabel { number in old[number].map { new.number(of: $0) } ?? 0 }
        labels = new
    }
}
