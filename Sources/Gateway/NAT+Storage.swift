public import Bytes
internal import IP
internal import SansIO

/// Why a stored table cannot be read.
public enum NATStorageError: Error, Equatable {
    /// Fewer bytes than the table says it has.
    case truncated
    /// Written by another version.
    case unknownVersion(UInt8)
    /// A field holds what no table writes.
    case malformed
}

// For upgrades in place: the clock that runs through suspend goes on, so instants stay true.
extension NAT {
    private static var version: UInt8 { 1 }

    /// Appends the table: version, count, then each flow, list by list, in the order of last use.
    public func write(to bytes: inout [UInt8]) {
        bytes.append(Self.version)
        bytes.append(bigEndian: UInt32(count))
        for stage in NATFlow.Stage.allCases {
            var index = lists[Int(stage.rawValue)].head
            while index != Self.none {
                Self.write(flows[Int(index)], to: &bytes)
                index = flows[Int(index)].next
            }
        }
    }

    /// Reads what ``write(to:)`` wrote; flows beyond the bound, the least useful, are left out.
    public init(
        reading reader: inout ByteReader,
        flowsMax: Int = Limits.flows
    ) throws(NATStorageError) {
        self.init(flowsMax: flowsMax)
        do {
            let version = try reader.uint8()
            guard version == Self.version else {
                throw NATStorageError.unknownVersion(version)
            }
            let stored = Int(try reader.uint32())
            for index in 0..<stored {
                let flow = try Self.readFlow(&reader)
                guard stored - index <= self.flowsMax else { continue }
                guard hasRoom(for: flow) else { throw NATStorageError.malformed }
                _ = insert(flow)
            }
        } catch let error as NATStorageError {
            throw error
        } catch {
            throw .truncated
        }
    }

    private static func write(_ flow: NATFlow, to bytes: inout [UInt8]) {
        bytes.append(flow.inside.transport.rawValue)
        bytes.append(flow.stage.rawValue)
        bytes.append((flow.finFromInside ? 1 : 0) | (flow.finFromOutside ? 2 : 0))
        for key in [flow.inside, flow.outside] {
            bytes.append(bigEndian: key.sourcePort)
            bytes.append(bigEndian: key.destination.high)
            bytes.append(bigEndian: key.destination.low)
        }
        bytes.append(bigEndian: flow.inside.destinationPort)
        bytes.append(bigEndian: flow.resource)
        bytes.append(bigEndian: flow.opened.nanoseconds)
        bytes.append(bigEndian: flow.lastUsed.nanoseconds)
    }

    private static func readFlow(_ reader: inout ByteReader) throws -> NATFlow {
        guard let transport = FlowKey.Transport(rawValue: try reader.uint8()),
            let stage = NATFlow.Stage(rawValue: try reader.uint8())
        else { throw NATStorageError.malformed }
        let fins = try reader.uint8()
        var keys: [FlowKey] = []
        for _ in 0..<2 {
            let port = try reader.uint16()
            let address = IPAddress(high: try reader.uint64(), low: try reader.uint64())
            keys.append(
                FlowKey(
                    transport: transport,
                    sourcePort: port,
                    destination: address,
                    destinationPort: 0
                )
            )
        }
        let port = try reader.uint16()
        keys[0].destinationPort = port
        keys[1].destinationPort = port
        var flow = NATFlow(
            inside: keys[0],
            outside: keys[1],
            resource: try reader.uint32(),
            opened: Instant(nanoseconds: try reader.uint64()),
            lastUsed: Instant(nanoseconds: try reader.uint64()),
            stage: stage,
            // Rules are numbered anew by each process: the flow is checked again.
            checkedRevision: 0
        )
        flow.answers = stage == .asked || stage == .opening ? 0 : 2
        flow.finFromInside = fins & 1 != 0
        flow.finFromOutside = fins & 2 != 0
        return flow
    }
}
