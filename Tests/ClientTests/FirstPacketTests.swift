import Bytes
import Control
import DNS
import IP
import Peering
import SansIO
import Testing

@testable import Client

@Suite("First packet")
struct FirstPacketTests {
    /// One protected name, and its first proxy address.
    static func world(
        served: Bool = true,
        filters: [Filter] = []
    ) throws -> (ClientWorld, IPAddress) {
        let world = ClientWorld()
        if served { world.served = ["git": [0, 1]] }
        world.start([ClientWorld.name("git", "git.example.com", filters)])
        return (world, try #require(world.resolve("git.example.com").first))
    }

    @Test("an answer costs no request; the first packet brings one, and arrives after it")
    func connects() throws {
        let (world, address) = try Self.world()
        #expect(world.requests.isEmpty)
        let packet = ClientWorld.tcp(to: address)
        let start = world.now
        world.send(packet)
        #expect(world.requests.map(\.name) == ["git.example.com"])
        #expect(world.requests.first?.proxies.count == 8)
        world.run(for: .milliseconds(200))
        let arrived = try #require(world.sites[0].packets.first)
        #expect(world.sites[0].packets.map(\.bytes) == [packet])
        // One round trip to the portal (20 ms), one on the path (20 ms), and the packet's own way.
        #expect(start.duration(to: arrived.at) == .milliseconds(50))
        // The next one goes straight there.
        let next = ClientWorld.udp(to: address)
        world.send(next)
        world.run(for: .milliseconds(10))
        #expect(world.sites[0].packets.last?.bytes == next)
        #expect(world.requests.count == 1)
    }

    @Test("replies come back; what the gateway does not serve is dropped")
    func replies() throws {
        let (world, address) = try Self.world()
        world.send(ClientWorld.udp(to: address))
        world.run(for: .milliseconds(200))
        let before = world.delivered.count
        func reply(from source: IPAddress, to destination: IPAddress) -> [UInt8] {
            let ip = IPHeader(from: source, to: destination, transportProtocol: .udp)
            return ip.packet(UDPHeader(sourcePort: 2000, destinationPort: 1000), payload: [5])
        }
        let good = reply(from: address, to: ClientWorld.own)
        world.gatewaySends(0, good)
        world.gatewaySends(0, reply(from: address, to: IPAddress(ipv4: 0x0a00_0002)))
        world.gatewaySends(0, reply(from: IPAddress(ipv4: 0x0808_0808), to: ClientWorld.own))
        world.gatewaySends(0, reply(from: IPAddress(ipv4: 0x6460_ffff), to: ClientWorld.own))
        world.run(for: .milliseconds(20))
        #expect(world.delivered[before...].map(\.bytes) == [good])
        #expect(world.client.counters.spoofed == 3)
    }

    @Test("an ICMP error about a packet of ours comes through from whatever router, others do not")
    func errorsComeBack() throws {
        let (world, address) = try Self.world()
        let packet = ClientWorld.udp(to: address)
        world.send(packet)
        world.run(for: .milliseconds(200))
        let before = world.delivered.count
        let router = IPAddress(ipv4: 0x0a63_0001)
        world.gatewaySends(0, try IP.Refusal.timeExceeded.answer(to: packet.rawSpan, from: router))
        let foreign = ClientWorld.udp(to: IPAddress(ipv4: 0x0808_0808))
        world.gatewaySends(0, try IP.Refusal.timeExceeded.answer(to: foreign.rawSpan, from: router))
        world.run(for: .milliseconds(20))
        #expect(world.delivered.count - before == 1)
    }

    @Test("retransmitted SYNs take the place of the first one; one request in 2 s")
    func retransmissions() throws {
        let (world, address) = try Self.world()
        world.answersPortal = false
        for time in 0..<20 {
            world.send(ClientWorld.tcp(to: address))
            world.send(ClientWorld.udp(to: address, mark: UInt8(time)))
            world.run(for: .milliseconds(100))
        }
        let held = try #require(world.client.authorizations["git"]?.held.count)
        #expect(held == 21)
        #expect(world.requests.count <= 2)
    }

    @Test("while packets wait the portal is asked each 2 s; after 5 s their senders are told")
    func portalIsSilent() throws {
        let (world, address) = try Self.world()
        world.answersPortal = false
        let start = world.now
        world.send(ClientWorld.tcp(to: address))
        world.run(for: .seconds(20))
        let times = world.outputs.compactMap { output -> Duration? in
            guard case .toPortal(.authorize) = output.output else { return nil }
            return start.duration(to: output.at)
        }
        #expect(times == [.zero, .seconds(2), .seconds(4)])
        #expect(world.told(since: 1) == [.hostUnreachable])
        let told = try #require(world.delivered.last).at
        #expect(start.duration(to: told) == .seconds(5))
    }

    @Test("the ring keeps 128 packets, the newest")
    func ring() throws {
        let (world, address) = try Self.world()
        world.answersPortal = false
        for mark in 0..<200 { world.send(ClientWorld.udp(to: address, mark: UInt8(mark))) }
        world.answersPortal = true
        world.run(for: .seconds(3))
        let marks = world.sites[0].packets.compactMap(\.bytes.last)
        #expect(marks == (72..<200).map { UInt8($0) })
    }

    @Test("denied: everything that waits is told at once, and so is each new flow, without asking")
    func denied() throws {
        let (world, address) = try Self.world(served: false)
        let before = world.delivered.count
        world.send(ClientWorld.tcp(to: address))
        world.send(ClientWorld.tcp(to: address, from: 40_001, flags: .ack))
        world.send(ClientWorld.udp(to: address))
        world.run(for: .milliseconds(25))
        #expect(world.told(since: before) == [.prohibited, .reset, .prohibited])
        let after = world.delivered.count
        for _ in 0..<5 {
            world.send(ClientWorld.tcp(to: address, from: 40_002))
            world.run(for: .seconds(5))
        }
        #expect(world.told(since: after).count == 5)
        #expect(world.requests.count == 1)
        // After 30 s it is asked again, and at once when something changed.
        world.run(for: .seconds(6))
        world.send(ClientWorld.tcp(to: address, from: 40_003))
        #expect(world.requests.count == 2)
        world.run(for: .seconds(1))
        world.served = ["git": [0]]
        world.tell(.resourceChanged(ToClient.ResourceChanged(resource: "git")))
        world.send(ClientWorld.tcp(to: address, from: 40_004))
        #expect(world.requests.count == 3)
        world.run(for: .milliseconds(100))
        #expect(world.sites[0].packets.count == 1)
    }

    @Test("no gateway online: host unreachable")
    func offline() throws {
        let (world, address) = try Self.world()
        world.served = ["git": []]
        let before = world.delivered.count
        world.send(ClientWorld.tcp(to: address))
        world.run(for: .milliseconds(25))
        #expect(world.told(since: before) == [.hostUnreachable])
    }

    @Test("what the filters refuse is told at once, and asks nobody (IPv6 too)")
    func filtered() throws {
        let (world, address) = try Self.world(filters: [Filter(.tcp, ports: 443...443)])
        let ipv6 = try #require(world.resolve("git.example.com", .aaaa).first)
        let before = world.delivered.count
        world.send(ClientWorld.tcp(to: address, port: 22))
        world.send(ClientWorld.udp(to: address, port: 443))
        world.send(ClientWorld.tcp(to: ipv6, port: 22))
        #expect(world.told(since: before) == [.prohibited, .prohibited, .prohibited])
        #expect(world.requests.isEmpty)
        world.send(ClientWorld.tcp(to: ipv6))
        #expect(world.requests.count == 1)
    }

    @Test("a proxy address that stands for nothing: host unreachable at once")
    func unknownProxy() throws {
        let (world, _) = try Self.world()
        let before = world.delivered.count
        world.send(ClientWorld.tcp(to: IPAddress(ipv4: 0x6460_5555)))
        #expect(world.told(since: before) == [.hostUnreachable])
        #expect(world.requests.isEmpty)
    }

    @Test("a wrong source, many receivers, ourselves: dropped without a word or a request")
    func dropped() throws {
        let (world, address) = try Self.world()
        let before = world.delivered.count
        world.send(ClientWorld.udp(to: address, from: IPAddress(ipv4: 0xc0a8_0105)))
        for text in ["224.0.0.251", "255.255.255.255", "100.64.0.7", "169.254.1.1"] {
            world.send(ClientWorld.udp(to: try #require(IPAddress(text))))
        }
        for text in ["ff02::2", "ff02::16", "fe80::1"] {
            let destination = try #require(IPAddress(text))
            world.send(ClientWorld.udp(to: destination, from: ClientWorld.ownIPv6))
        }
        world.send([0x45, 0, 0])
        #expect(world.delivered.count == before)
        #expect(world.requests.isEmpty)
        #expect(world.client.counters.wrongSource == 1)
        #expect(world.client.counters.multicast == 7)
    }

    @Test("the portal is away: packets are kept, and asked for as soon as it is back")
    func portalAway() throws {
        let (world, address) = try Self.world()
        world.handle(.portalConnected(false))
        world.send(ClientWorld.tcp(to: address))
        #expect(world.requests.isEmpty)
        world.run(for: .seconds(3))
        world.handle(.portalConnected(true))
        world.tell(.welcome(world.welcome([ClientWorld.name("git", "git.example.com")])))
        world.run(for: .milliseconds(100))
        #expect(world.sites[0].packets.count == 1)
        let (other, place) = try Self.world()
        let before = other.delivered.count
        other.handle(.portalConnected(false))
        other.send(ClientWorld.tcp(to: place))
        other.run(for: .seconds(6))
        #expect(other.told(since: before) == [.hostUnreachable])
    }

    @Test("a question that the portal did not answer before it went is asked again by the same id")
    func asksAgain() throws {
        let (world, address) = try Self.world()
        world.answersPortal = false
        world.send(ClientWorld.tcp(to: address))
        world.handle(.portalConnected(false))
        world.handle(.portalConnected(true))
        world.tell(.welcome(world.welcome([ClientWorld.name("git", "git.example.com")])))
        #expect(world.requests.count == 2)
        #expect(Set(world.requests.map(\.id)).count == 1)
    }

    @Test("an authorization that nobody asked for, or for what is gone, is ignored")
    func unasked() throws {
        let (world, address) = try Self.world()
        world.send(ClientWorld.tcp(to: address))
        var answer = world.decide(try #require(world.requests.first))
        if case .authorized(var authorized) = answer {
            authorized.id = "another"
            answer = .authorized(authorized)
        }
        world.answersPortal = false
        let before = world.client.gateways.count
        world.tell(answer)
        #expect(world.client.gateways.count == before)
    }
}
