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
    private static var version: UInt8 { 2 }

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
        flowsMax: Int = Limits.flows,
        seed: UInt64
    ) throws(NATStorageError) {
        self.init(flowsMax: flowsMax, seed: seed)
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
        bytes.append(bigEndian: flow.inside.sourcePort)
        bytes.append(bigEndian: flow.inside.destinationPort)
        bytes.append(bigEndian: flow.outsidePort)
        for address in [flow.inside.destination, flow.real] {
            bytes.append(bigEndian: address.high)
            bytes.append(bigEndian: address.low)
        }
        bytes.append(bigEndian: flow.resource)
        let words = [
            flow.opened.nanoseconds, flow.lastUsed.nanoseconds, flow.bytesOut, flow.bytesIn,
        ]
        for word in words { bytes.append(bigEndian: word) }
        bytes.append(bigEndian: flow.packetsOut)
        bytes.append(bigEndian: flow.packetsIn)
    }

    private static func readFlow(_ reader: inout ByteReader) throws -> NATFlow {
        guard let transport = FlowKey.Transport(rawValue: try reader.uint8()),
            let stage = NATFlow.Stage(rawValue: try reader.uint8())
        else { throw NATStorageError.malformed }
        let fins = try reader.uint8()
        let (port, destinationPort) = (try reader.uint16(), try reader.uint16())
        let outsidePort = try reader.uint16()
        let destination = try readAddress(&reader)
        var flow = NATFlow(
            inside: FlowKey(
                transport: transport,
                sourcePort: port,
                destination: destination,
                destinationPort: destinationPort
            ),
            outsidePort: outsidePort,
            real: try readAddress(&reader),
            opened: Instant(nanoseconds: 0),
            resource: try reader.uint32(),
            // Rules are numbered anew by each process: the flow is checked again.
            revision: 0,
            label: 0,
            stage: stage
        )
        flow.opened = Instant(nanoseconds: try reader.uint64())
        flow.lastUsed = Instant(nanoseconds: try reader.uint64())
        (flow.bytesOut, flow.bytesIn) = (try reader.uint64(), try reader.uint64())
        (flow.packetsOut, flow.packetsIn) = (try reader.uint32(), try reader.uint32())
        flow.finFromInside = fins & 1 != 0
        flow.finFromOutside = fins & 2 != 0
        return flow
    }

    private static func readAddress(_ reader: inout ByteReader) throws -> IPAddress {
        IPAddress(high: try reader.uint64(), low: try reader.uint64())
    }
}
