import Bytes
import Control
import Gateway
import IP
import SansIO
import Testing

extension GatewayWorld {
    /// The flows that the host was told of.
    fileprivate var flows: [FlowRecord] {
        var all: [FlowRecord] = []
        for case .flows(let records) in outputs { all += records }
        return all
    }
}

@Suite struct FlowLog {
    @Test func `a flow that ended is told once, with who, what, how much and why`() throws {
        let world = GatewayWorld()
        world.say(.logsFlows(true))
        let client = world.connectedClient()
        let start = world.now
        let asked = Packet.udp(from: client.address, 1_234, to: Address.proxy1)
        world.send(asked, by: client)
        world.resourceSends(Packet.udp(from: Address.real1, 53, to: client.address, 1_234))
        world.resourceSends(Packet.udp(from: Address.real1, 53, to: client.address, 1_234))
        world.run(for: .seconds(400))
        let flow = try #require(world.flows.first)
        #expect(world.flows.count == 1)
        #expect(flow.client == client.id)
        #expect(flow.resource == "app")
        #expect(flow.resourceName == "App")
        #expect(flow.name == "app.example.com")
        #expect(flow.transport == .udp)
        #expect(flow.proxy == Endpoint(Address.proxy1, port: 53))
        #expect(flow.real == Endpoint(Address.real1, port: 53))
        #expect((flow.packetsOut, flow.packetsIn) == (1, 2))
        #expect(flow.bytesOut == UInt64(asked.count))
        #expect((flow.start, flow.end) == (start, start))
        #expect(flow.why == .idle)
    }

    @Test func `what ends by revocation is told with the name of what is gone`() throws {
        let world = GatewayWorld()
        world.say(.logsFlows(true))
        let client = world.connectedClient()
        world.order(world.grant(client, Resources.network("10.9.0.0/16"), lease: "network"))
        world.send(Packet.udp(from: client.address, 1_234, to: Address.proxy1), by: client)
        world.revoke("lease-1")
        world.resourceSends(Packet.udp(from: Address.real1, 53, to: client.address, 1_234))
        world.run(for: .seconds(2))
        let flow = try #require(world.flows.first)
        #expect(flow.why == .revoked)
        #expect(flow.name == "app.example.com")
        #expect(flow.resourceName == "App")
    }

    @Test func `flows of a client that goes, and of a gateway that stops, are told`() {
        let world = GatewayWorld()
        world.say(.logsFlows(true))
        let client = world.connectedClient()
        world.send(Packet.udp(from: client.address, 1_234, to: Address.proxy1), by: client)
        world.say(.shutdown)
        #expect(world.flows.map(\.why) == [.left])
        #expect(world.outputs.last == .finished)
    }

    @Test func `without a flow log nothing is kept`() {
        let world = GatewayWorld()
        let client = world.connectedClient()
        world.send(Packet.udp(from: client.address, 1_234, to: Address.proxy1), by: client)
        world.run(for: .seconds(400))
        #expect(world.flows.isEmpty)
    }

    @Test func `of more flows than find room the rest is counted`() {
        let world = GatewayWorld()
        world.say(.logsFlows(true))
        let client = world.connectedClient()
        for port in 0..<UInt16(NAT.Limits.ended + 10) {
            let packet = Packet.udp(from: client.address, 1_000 + port, to: Address.proxy1)
            world.send(packet, by: client)
        }
        world.say(.shutdown)
        #expect(world.flows.count == NAT.Limits.ended)
        #expect(world.gateway.counters.unlogged == 10)
    }
}
