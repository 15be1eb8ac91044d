import Bytes
import Control
import DNS
import IP
import Peering
import SansIO
import Testing

@testable import Client

@Suite("What is lost is told again, what works stays")
struct RecoveryTests {
    private static func names(_ world: ClientWorld, _ place: Int = 0) -> [ControlFrame.Names] {
        world.sites[place].frames.compactMap {
            if case .names(let names) = $0.frame { names } else { nil }
        }
    }

    /// An error of a gateway about a packet that the client sent, as a gateway writes it.
    private static func error(_ refusal: IP.Refusal, about packet: [UInt8]) throws -> [UInt8] {
        let header = try PacketHeader(packet.rawSpan)
        return try refusal.answer(to: packet.rawSpan, from: header.destination)
    }

    @Test("an error about a name in use makes the client tell the name again, once a second")
    func errorRetells() throws {
        let (world, address) = try LeaseTests.connected()
        let packet = ClientWorld.udp(to: address)
        let told = Self.names(world).count
        for _ in 0..<5 {
            world.gatewaySends(0, try Self.error(.hostUnreachable, about: packet))
            world.run(for: .milliseconds(20))
        }
        #expect(Self.names(world).count == told + 1)
        #expect(Self.names(world).last?.proxies.contains(address) == true)
        // Packets pass meanwhile, and no lease is asked for.
        world.send(packet)
        world.run(for: .milliseconds(20))
        #expect(world.sites[0].packets.count == 2)
        #expect(world.requests.count == 1)
    }

    @Test("an error that says prohibited makes the client ask for its lease again")
    func prohibitedAsks() throws {
        let (world, address) = try LeaseTests.connected()
        world.gatewaySends(0, try Self.error(.prohibited, about: ClientWorld.udp(to: address)))
        world.run(for: .milliseconds(10))
        #expect(world.requests.count == 2)
        world.run(for: .milliseconds(100))
        world.send(ClientWorld.udp(to: address))
        world.run(for: .milliseconds(20))
        #expect(world.sites[0].packets.count == 2)
    }

    @Test("an error of somebody else's address changes nothing")
    func foreignError() throws {
        let (world, _) = try LeaseTests.connected()
        let told = Self.names(world).count
        let packet = ClientWorld.udp(to: IPAddress(ipv4: 0x0a09_0909))
        world.gatewaySends(0, try Self.error(.hostUnreachable, about: packet))
        world.run(for: .milliseconds(50))
        #expect(Self.names(world).count == told)
        #expect(world.requests.count == 1)
    }

    @Test("a lease that is extended, and a gateway back at the portal, are told the names in use")
    func renewalRetells() throws {
        let (world, _) = try LeaseTests.connected()
        let told = Self.names(world).count
        let lease = try #require(world.client.authorizations["git"]?.lease)
        world.tell(.leaseExtended(ToClient.LeaseExtended(lease: lease.id, lifetimeSeconds: 600)))
        world.run(for: .seconds(2))
        #expect(Self.names(world).count == told + 1)
        world.tell(
            .gatewayCandidates(
                ToClient.GatewayCandidates(
                    gateway: "gateway-0",
                    candidates: world.gateway(0).candidates
                )
            )
        )
        world.run(for: .milliseconds(20))
        #expect(Self.names(world).count == told + 2)
    }

    @Test("silence about a name that is served ends nothing, though its answers are lost for long")
    func silenceEndsNothing() throws {
        let (world, address) = try LeaseTests.connected()
        world.sites[0].status = nil
        world.gatewaySends(
            0,
            try Self.error(.hostUnreachable, about: ClientWorld.udp(to: address))
        )
        let before = world.delivered.count
        for _ in 0..<50 {
            world.send(ClientWorld.tcp(to: address, flags: .ack))
            world.run(for: .milliseconds(200))
        }
        #expect(world.told(since: before).filter { $0 == .reset }.isEmpty)
        #expect(world.sites[0].packets.count == 51)
    }

    @Test("a granted name whose answers are all lost goes on being served")
    func grantedSilence() throws {
        let world = ClientWorld()
        world.served = ["git": [0]]
        world.sites[0].status = nil
        world.start([ClientWorld.name("git", "git.example.com")])
        let address = try #require(world.resolve("git.example.com").first)
        let before = world.delivered.count
        for _ in 0..<30 {
            world.send(ClientWorld.tcp(to: address, flags: .ack))
            world.run(for: .milliseconds(200))
        }
        #expect(world.sites[0].packets.count == 30)
        #expect(world.told(since: before).isEmpty)
        // Repeated after 250 ms, 500 ms, 1 s, then each 2 s.
        let start = try #require(world.sites[0].frames.first?.at)
        let times = Self.namesTimes(world).map { start.duration(to: $0) }
        #expect(times == [0, 250, 750, 1750, 3750, 5750].map { .milliseconds($0) })
    }

    private static func namesTimes(_ world: ClientWorld) -> [Instant] {
        world.sites[0].frames.compactMap {
            if case .names = $0.frame { $0.at } else { nil }
        }
    }

    @Test("a cut of three seconds with one gateway in the site ends nothing")
    func cutOfThreeSeconds() throws {
        let (world, address) = try LeaseTests.connected()
        world.served = ["git": [0]]
        let before = world.delivered.count
        let lease = world.client.authorizations["git"]?.lease?.id
        world.sites[0].isCut = true
        for second in 0..<30 {
            world.send(ClientWorld.tcp(to: address, flags: .ack, sequence: UInt32(second)))
            world.run(for: .milliseconds(100))
        }
        world.sites[0].isCut = false
        #expect(try #require(LeaseTests.timeUntilServed(world, address, by: 0)) < .seconds(1))
        #expect(world.told(since: before).isEmpty)
        #expect(world.client.authorizations["git"]?.lease?.id == lease)
    }

    @Test("with nobody else to serve, running connections wait and new flows are told")
    func alone() throws {
        let (world, address) = try LeaseTests.connected()
        world.served = ["git": [0]]
        world.sites[0].isCut = true
        for _ in 0..<12 {
            world.send(ClientWorld.tcp(to: address, flags: .ack))
            world.run(for: .seconds(1))
        }
        let before = world.delivered.count
        world.send(ClientWorld.tcp(to: address, flags: .ack))
        world.send(ClientWorld.tcp(to: address, from: 41_000))
        #expect(world.told(since: before) == [.hostUnreachable])
    }

    @Test("after a pause a gateway that was not heard is tried anew, and packets wait for it")
    func triedAnew() throws {
        let (world, address) = try LeaseTests.connected()
        world.served = ["git": [0]]
        world.sites[0].isCut = true
        for _ in 0..<12 {
            world.send(ClientWorld.udp(to: address))
            world.run(for: .seconds(1))
        }
        world.run(for: .seconds(20))
        world.sites[0].isCut = false
        let before = world.delivered.count
        world.send(ClientWorld.udp(to: address))
        world.run(for: .seconds(4))
        #expect(world.told(since: before).isEmpty)
        #expect(try #require(LeaseTests.timeUntilServed(world, address, by: 0)) < .seconds(1))
    }

    @Test("a stand-by gateway that is not heard either takes nothing from the first one")
    func standbySilent() throws {
        let (world, address) = try LeaseTests.connected()
        for site in world.sites { site.isCut = true }
        for _ in 0..<35 {
            world.send(ClientWorld.udp(to: address))
            world.run(for: .milliseconds(100))
        }
        for site in world.sites { site.isCut = false }
        world.sites[1].isCut = true
        #expect(try #require(LeaseTests.timeUntilServed(world, address, by: 0)) < .seconds(1))
        world.run(for: .seconds(1))
        #expect(world.client.authorizations["git"]?.lease?.gateway == "gateway-0")
        #expect(world.client.authorizations["git"]?.standby == nil)
    }

    @Test("a lease that stood by until the first one ended is not given back as a stand-by")
    func standbyServes() throws {
        let (world, address) = try LeaseTests.connected()
        world.keepsLeases = true
        let first = try #require(world.client.authorizations["git"]?.lease?.id)
        func flow(for count: Int) {
            for _ in 0..<count {
                world.send(ClientWorld.udp(to: address))
                world.run(for: .milliseconds(100))
            }
        }
        for site in world.sites { site.isCut = true }
        flow(for: 10)
        let standby = try #require(world.client.authorizations["git"]?.standby?.id)
        world.served = ["git": [1]]
        world.tell(
            .leaseEnded(
                ToClient.LeaseEnded(lease: first, resource: "git", code: "expired", sentence: "")
            )
        )
        flow(for: 30)
        #expect(world.client.authorizations["git"]?.lease?.id == standby)
        #expect(world.client.authorizations["git"]?.standby == nil)
        world.sites[1].isCut = false
        #expect(LeaseTests.timeUntilServed(world, address, by: 1) != nil)
        world.sites[1].isCut = true
        flow(for: 5)
        world.sites[1].isCut = false
        #expect(LeaseTests.timeUntilServed(world, address, by: 1) != nil)
        #expect(world.client.authorizations["git"]?.lease?.id == standby)
        let released = world.outputs.flatMap { entry -> [LeaseID] in
            if case .toPortal(.release(let release)) = entry.output { release.leases } else { [] }
        }
        #expect(!released.contains(standby))
    }

    @Test("a gateway that says goodbye while another one stands by: its lease is given back")
    func goodbyeWithStandby() throws {
        let (world, address) = try LeaseTests.connected()
        let first = try #require(world.client.authorizations["git"]?.lease?.id)
        world.sites[0].isCut = true
        for _ in 0..<10 {
            world.send(ClientWorld.udp(to: address))
            world.run(for: .milliseconds(100))
        }
        let standby = try #require(world.client.authorizations["git"]?.standby?.id)
        world.sites[0].isCut = false
        world.gatewaySends(0, .goodbye(.shutdown))
        world.run(for: .milliseconds(100))
        #expect(world.client.authorizations["git"]?.lease?.id == standby)
        let released = world.outputs.flatMap { entry -> [LeaseID] in
            if case .toPortal(.release(let release)) = entry.output { release.leases } else { [] }
        }
        #expect(released == [first])
    }

    @Test("distress asks for a punch and for a stand-by lease at the same moment")
    func distress() throws {
        let (world, address) = try LeaseTests.connected()
        world.sites[0].isCut = true
        for _ in 0..<20 {
            world.send(ClientWorld.udp(to: address))
            world.run(for: .milliseconds(50))
        }
        let punches = world.outputs.compactMap { entry -> Instant? in
            guard case .toPortal(.punch(let punch)) = entry.output else { return nil }
            #expect(punch.gateway == "gateway-0")
            let candidates = world.client.candidates
            #expect(punch.candidates == candidates)
            return entry.at
        }
        let standbys = world.outputs.compactMap { entry -> Instant? in
            guard case .toPortal(.authorize(let request)) = entry.output,
                request.standBy == true
            else { return nil }
            #expect(request.withoutGateway == ["gateway-0"])
            return entry.at
        }
        #expect(punches.count == 1)
        #expect(punches == standbys)
    }

    @Test("what the stand-by took over, and what it did not, is given back to the portal")
    func released() throws {
        let (world, address) = try LeaseTests.connected()
        let first = try #require(world.client.authorizations["git"]?.lease?.id)
        world.sites[0].isCut = true
        #expect(LeaseTests.timeUntilServed(world, address, by: 1) != nil)
        let released = world.outputs.compactMap { entry in
            if case .toPortal(.release(let release)) = entry.output { release.leases } else { nil }
        }
        #expect(released == [[first]])
    }

    @Test("a goodbye just after a request is not held up by the interval between requests")
    func goodbyeAtOnce() throws {
        let world = ClientWorld()
        world.served = ["git": [0, 1]]
        world.start([ClientWorld.name("git", "git.example.com")])
        let address = try #require(world.resolve("git.example.com").first)
        world.send(ClientWorld.tcp(to: address))
        world.run(for: .milliseconds(300))
        world.gatewaySends(0, .goodbye(.shutdown))
        world.sites[0].isCut = true
        world.run(for: .milliseconds(20))
        #expect(
            try #require(LeaseTests.timeUntilServed(world, address, by: 1)) <= .milliseconds(120)
        )
    }

    @Test("when nobody is heard the fault is ours: the first that answers serves, the old one here")
    func faultIsOurs() throws {
        let world = ClientWorld()
        world.served = ["a": [0, 1], "b": [1]]
        world.start([
            ClientWorld.prefix("a", "10.1.0.0/16"), ClientWorld.prefix("b", "10.2.0.0/16"),
        ])
        let address = IPAddress(ipv4: 0x0a01_0001)
        world.send(ClientWorld.udp(to: address))
        world.send(ClientWorld.udp(to: IPAddress(ipv4: 0x0a02_0001)))
        world.run(for: .seconds(1))
        for site in world.sites { site.isCut = true }
        for _ in 0..<30 {
            world.send(ClientWorld.udp(to: address))
            world.run(for: .milliseconds(100))
        }
        #expect(world.client.authorizations["a"]?.lease?.gateway == "gateway-0")
        world.sites[0].isCut = false
        #expect(try #require(LeaseTests.timeUntilServed(world, address, by: 0)) < .seconds(1))
        #expect(world.client.authorizations["a"]?.lease?.gateway == "gateway-0")
    }

    @Test("when the other gateway is heard first, it serves")
    func otherIsHeard() throws {
        let world = ClientWorld()
        world.served = ["a": [0, 1], "b": [1]]
        world.start([
            ClientWorld.prefix("a", "10.1.0.0/16"), ClientWorld.prefix("b", "10.2.0.0/16"),
        ])
        let address = IPAddress(ipv4: 0x0a01_0001)
        world.send(ClientWorld.udp(to: address))
        world.send(ClientWorld.udp(to: IPAddress(ipv4: 0x0a02_0001)))
        world.run(for: .seconds(1))
        for site in world.sites { site.isCut = true }
        for _ in 0..<30 {
            world.send(ClientWorld.udp(to: address))
            world.run(for: .milliseconds(100))
        }
        world.sites[1].isCut = false
        #expect(try #require(LeaseTests.timeUntilServed(world, address, by: 1)) < .seconds(1))
    }

    @Test("when nobody was heard, the first gateway has a moment more than the stand-by")
    func headStart() throws {
        let world = ClientWorld()
        world.served = ["a": [0, 1], "b": [1]]
        world.start([
            ClientWorld.prefix("a", "10.1.0.0/16"), ClientWorld.prefix("b", "10.2.0.0/16"),
        ])
        let address = IPAddress(ipv4: 0x0a01_0001)
        world.send(ClientWorld.udp(to: address))
        world.send(ClientWorld.udp(to: IPAddress(ipv4: 0x0a02_0001)))
        world.run(for: .seconds(1))
        for site in world.sites { site.isCut = true }
        let before = world.delivered.count
        func flow(for count: Int) {
            for _ in 0..<count {
                world.send(ClientWorld.tcp(to: address, flags: .ack))
                world.run(for: .milliseconds(100))
            }
        }
        flow(for: 40)
        world.sites[1].isCut = false
        flow(for: 3)
        world.sites[0].isCut = false
        flow(for: 5)
        #expect(world.client.authorizations["a"]?.lease?.gateway == "gateway-0")
        #expect(try #require(LeaseTests.timeUntilServed(world, address, by: 0)) < .seconds(1))
        #expect(world.told(since: before).isEmpty)
    }

    @Test("a gateway that the portal lost is asked at once: the next packet goes to another")
    func offlineIsAsked() throws {
        let (world, address) = try LeaseTests.connected()
        world.run(for: .seconds(40))
        world.sites[0].isCut = true
        world.tell(.gatewayOffline(ToClient.GatewayOffline(gateway: "gateway-0")))
        world.run(for: .seconds(3))
        #expect(
            try #require(LeaseTests.timeUntilServed(world, address, by: 1)) < .milliseconds(200)
        )
    }

    @Test("a gateway that the portal lost and that answers goes on serving")
    func offlineAnswers() throws {
        let (world, address) = try LeaseTests.connected()
        world.run(for: .seconds(40))
        world.tell(.gatewayOffline(ToClient.GatewayOffline(gateway: "gateway-0")))
        world.run(for: .seconds(3))
        #expect(
            try #require(LeaseTests.timeUntilServed(world, address, by: 0)) < .milliseconds(100)
        )
        #expect(world.requests.count == 1)
    }

    @Test("a gateway that is not there yet is told no names, and wakes nobody for them")
    func namesWait() throws {
        let world = ClientWorld()
        world.served = ["git": [0]]
        world.sites[0].isCut = true
        world.start([ClientWorld.name("git", "git.example.com")])
        let address = try #require(world.resolve("git.example.com").first)
        world.send(ClientWorld.udp(to: address))
        world.run(for: .seconds(30))
        #expect(world.client.names.count == 1)
        #expect(world.client.names.values.allSatisfy { $0.telling?.nextSend == nil })
        world.sites[0].isCut = false
        #expect(try #require(LeaseTests.timeUntilServed(world, address, by: 0)) < .seconds(1))
    }

    @Test("a gateway that does not answer at first is asked for through the portal")
    func firstAnswerMissing() throws {
        let world = ClientWorld()
        world.served = ["git": [0]]
        world.sites[0].isCut = true
        world.start([ClientWorld.name("git", "git.example.com")])
        let address = try #require(world.resolve("git.example.com").first)
        let start = world.now
        world.send(ClientWorld.udp(to: address))
        world.run(for: .seconds(2))
        let punches = world.outputs.compactMap { entry -> Duration? in
            guard case .toPortal(.punch) = entry.output else { return nil }
            return start.duration(to: entry.at)
        }
        #expect(punches.prefix(2) == [.milliseconds(420), .milliseconds(1420)])
    }

    @Test("a name that lost its addresses refuses new connections, and lets running ones be")
    func addressesGone() throws {
        let (world, address) = try LeaseTests.connected()
        world.sites[0].status = .noAddresses
        let lease = try #require(world.client.authorizations["git"]?.lease)
        world.tell(.leaseExtended(ToClient.LeaseExtended(lease: lease.id, lifetimeSeconds: 600)))
        world.run(for: .milliseconds(100))
        let (before, packets) = (world.delivered.count, world.sites[0].packets.count)
        world.send(ClientWorld.tcp(to: address, from: 41_000))
        #expect(world.told(since: before) == [.hostUnreachable])
        world.send(ClientWorld.tcp(to: address, flags: .ack))
        world.run(for: .milliseconds(20))
        #expect(world.told(since: before).count == 1)
        #expect(world.sites[0].packets.count == packets + 1)
        // A query makes the name be tried again, in vain.
        _ = world.resolve("git.example.com")
        let asked = world.delivered.count
        world.send(ClientWorld.tcp(to: address, from: 41_001))
        world.run(for: .milliseconds(100))
        #expect(world.told(since: asked) == [.hostUnreachable])
        world.send(ClientWorld.tcp(to: address, flags: .ack))
        world.run(for: .milliseconds(20))
        #expect(world.told(since: asked).count == 1)
        #expect(world.sites[0].packets.count == packets + 2)
    }

    @Test("a name without addresses after a restart: the gateway judges connections of before")
    func addressesGoneBefore() throws {
        let world = ClientWorld()
        world.served = ["git": [0]]
        world.sites[0].status = .noAddresses
        world.start([ClientWorld.name("git", "git.example.com")])
        let address = try #require(world.resolve("git.example.com").first)
        // Told by the portal, the name is asked for without waiting; then its answer is known.
        world.send(ClientWorld.tcp(to: address, from: 41_000))
        world.run(for: .milliseconds(200))
        let (before, packets) = (world.delivered.count, world.sites[0].packets.count)
        world.send(ClientWorld.tcp(to: address, from: 41_001))
        #expect(world.told(since: before) == [.hostUnreachable])
        world.send(ClientWorld.tcp(to: address, flags: .ack))
        world.run(for: .milliseconds(20))
        #expect(world.told(since: before).count == 1)
        #expect(world.sites[0].packets.count == packets + 1)
    }

    @Test("that nobody is there but whom we left out is believed for two seconds only")
    func leftOut() throws {
        let (world, address) = try LeaseTests.connected()
        world.served = ["git": [0]]
        world.gatewaySends(0, .goodbye(.shutdown))
        world.run(for: .milliseconds(100))
        let before = world.delivered.count
        world.send(ClientWorld.tcp(to: address, from: 41_000))
        #expect(world.told(since: before) == [.hostUnreachable])
        world.run(for: .seconds(2))
        #expect(
            try #require(LeaseTests.timeUntilServed(world, address, by: 0)) <= .milliseconds(200)
        )
    }
}
