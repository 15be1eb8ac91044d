import Bytes
import Control
import IP
import Peering
import SansIO
import Testing

@testable import Client

/// Applications that wait for more, and say nothing, when their connection is over.
@Suite struct RunningConnectionTests {
    /// The keep-alive probes delivered since `start`.
    private static func probes(_ world: ClientWorld, since start: Int) -> [PacketHeader] {
        world.delivered[start...].compactMap { packet in
            guard let header = try? PacketHeader(packet.bytes.rawSpan), header.isTCP,
                header.tcpFlags == .ack
            else { return nil }
            return header
        }
    }

    private static func segment(
        to address: IPAddress,
        _ flags: TCPFlags = .ack,
        from port: UInt16 = 40_000
    ) -> [UInt8] {
        let ip = IPHeader(from: ClientWorld.own, to: address, transportProtocol: .tcp)
        var tcp = TCPHeader(sourcePort: port, destinationPort: 443, window: 1000)
        (tcp.flags, tcp.sequence, tcp.acknowledgment) = (flags, 1000, 9000)
        return ip.packet(tcp, payload: [1, 2, 3])
    }

    @Test("a gateway's goodbye makes waiting applications speak, and the next gateway hears them")
    func goodbye() throws {
        let (world, address) = try LeaseTests.connected()
        world.send(Self.segment(to: address))
        world.run(for: .milliseconds(50))
        let start = world.delivered.count
        world.gatewaySends(0, .goodbye(.shutdown))
        world.run(for: .milliseconds(20))
        let probe = try #require(Self.probes(world, since: start).first)
        #expect(probe.source == address && probe.destination == ClientWorld.own)
        #expect(probe.sourcePort == 443 && probe.destinationPort == 40_000)
        // Just before what is expected: any host acknowledges that, and takes it for nothing else.
        #expect(probe.sequence == 8999)
        #expect(probe.acknowledgment == 1003)
        world.send(Self.segment(to: address))
        world.run(for: .milliseconds(300))
        #expect(world.sites[1].packets.count == 1)
        #expect(Self.probes(world, since: start).count == 1)
    }

    @Test("a crash makes them speak as soon as the stand-by serves, and no sooner")
    func crash() throws {
        let (world, address) = try LeaseTests.connected()
        world.send(Self.segment(to: address))
        world.run(for: .milliseconds(50))
        let start = world.delivered.count
        world.sites[0].isCut = true
        #expect(try #require(LeaseTests.timeUntilServed(world, address, by: 1)) < .seconds(3))
        #expect(Self.probes(world, since: start).count == 1)
    }

    @Test("a cut that heals stirs nobody")
    func heals() throws {
        let (world, address) = try LeaseTests.connected()
        world.served = ["git": [0]]
        world.send(Self.segment(to: address))
        world.run(for: .milliseconds(50))
        let start = world.delivered.count
        world.sites[0].isCut = true
        world.run(for: .milliseconds(1500))
        world.sites[0].isCut = false
        world.run(for: .seconds(5))
        #expect(Self.probes(world, since: start).isEmpty)
    }

    @Test("a gateway that started anew does not know them either")
    func restarted() throws {
        let (world, address) = try LeaseTests.connected()
        world.send(Self.segment(to: address))
        world.run(for: .milliseconds(50))
        let start = world.delivered.count
        var told = ToClient.GatewayCandidates(
            gateway: "gateway-0",
            candidates: world.gateway(0).candidates
        )
        told.publicKey = KeyText(bytes: [UInt8](repeating: 7, count: 32))
        world.tell(.gatewayCandidates(told))
        #expect(Self.probes(world, since: start).count == 1)
    }

    @Test("a lease that ends makes them speak; what they say is refused by a reset")
    func revoked() throws {
        let (world, address) = try LeaseTests.connected()
        world.send(Self.segment(to: address))
        world.run(for: .milliseconds(50))
        world.served = [:]
        let start = world.delivered.count
        let lease = try #require(world.client.authorizations["git"]?.lease?.id)
        world.tell(
            .leaseEnded(
                ToClient.LeaseEnded(lease: lease, resource: "git", code: "revoked", sentence: "No.")
            )
        )
        #expect(Self.probes(world, since: start).count == 1)
        world.run(for: .seconds(2))
        world.send(Self.segment(to: address))
        world.run(for: .seconds(3))
        #expect(world.told(since: start).contains(.reset))
    }

    @Test("connections that were reset, or closed long ago, are left alone")
    func over() throws {
        let (world, address) = try LeaseTests.connected()
        world.send(Self.segment(to: address, from: 1))
        world.send(Self.segment(to: address, [.rst, .ack], from: 1))
        world.send(Self.segment(to: address, [.fin, .ack], from: 2))
        world.run(for: .seconds(61))
        world.send(Self.segment(to: address, from: 3))
        world.run(for: .milliseconds(50))
        let start = world.delivered.count
        world.gatewaySends(0, .goodbye(.shutdown))
        world.run(for: .milliseconds(20))
        #expect(Self.probes(world, since: start).map(\.destinationPort) == [3])
    }

    @Test("the reset of a connection that nobody serves any more asks for nothing")
    func resetAsksNothing() throws {
        let (world, address) = try LeaseTests.connected()
        let lease = try #require(world.client.authorizations["git"]?.lease?.id)
        world.tell(
            .leaseEnded(
                ToClient.LeaseEnded(lease: lease, resource: "git", code: "revoked", sentence: "No.")
            )
        )
        world.run(for: .seconds(3))
        let asked = world.requests.count
        world.send(Self.segment(to: address, .rst))
        world.run(for: .seconds(3))
        #expect(world.requests.count == asked)
    }
}
