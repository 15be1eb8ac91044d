public import Bytes
public import Control
internal import DNS
internal import IP
public import SansIO

/// A flow that is over, for the flow log: who reached what, how much, when, and why it ended.
public struct FlowRecord: Sendable, Equatable {
    /// Who began it.
    public var client: ClientID
    /// The device's name and its owner's e-mail address; nil when the portal did not say.
    public var device: String?
    public var person: String?
    /// The resource that permitted it.
    public var resource: ResourceID
    public var resourceName: String
    /// The name that its proxy address stood for; nil for an address or network.
    public var name: String?
    /// TCP, UDP, or echo.
    public var transport: FlowKey.Transport
    /// Where the client sent it: a proxy address, or the real one.
    public var proxy: Endpoint
    /// Where it went; port 0 for an echo.
    public var real: Endpoint
    /// The port that the client used, and the one that the gateway gave it.
    public var sourcePort: UInt16
    public var outsidePort: UInt16
    /// From the client, and to it.
    public var bytesOut: UInt64
    public var bytesIn: UInt64
    public var packetsOut: UInt32
    public var packetsIn: UInt32
    /// When the first and the last packet passed.
    public var start: Instant
    public var end: Instant
    /// Why it is over.
    public var why: NATFlow.End

    init(_ ended: NAT.Ended, _ label: FlowLabel?, of client: ClientOnGateway) {
        let flow = ended.flow
        (self.client, device, person) = (client.id, client.device, client.person)
        resource = label?.resource ?? ResourceID("")
        resourceName = label?.resourceName ?? ""
        name = label?.name?.description
        transport = flow.inside.transport
        proxy = Endpoint(flow.inside.destination, port: flow.inside.destinationPort)
        real = Endpoint(flow.real, port: flow.inside.destinationPort)
        (sourcePort, outsidePort) = (flow.inside.sourcePort, flow.outsidePort)
        (bytesOut, bytesIn) = (flow.bytesOut, flow.bytesIn)
        (packetsOut, packetsIn) = (flow.packetsOut, flow.packetsIn)
        (start, end, why) = (flow.opened, flow.lastUsed, ended.why)
    }
}
