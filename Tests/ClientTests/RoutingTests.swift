import Bytes
import Control
import DNS
import IP
import Peering
import SansIO
import Testing

@testable import Client

@Suite("Which resource a packet is for")
struct RoutingTests {
    static let inside = IPAddress(ipv4: 0x0a01_0203)

    /// The resource that a packet asks for; nil: it was refused or dropped.
    static func asked(_ world: ClientWorld, _ packet: [UInt8]) -> ResourceID? {
        let before = world.requests.count
        world.send(packet)
        return world.requests.count > before ? world.requests.last?.resource : nil
    }

    @Test("the longer prefix wins, unless its filters refuse what another one permits")
    func prefixes() {
        let world = ClientWorld()
        world.start([
            ClientWorld.prefix("wide", "10.0.0.0/8", [Filter(.tcp, ports: 443...443)]),
            ClientWorld.prefix("host", "10.1.2.3/32", [Filter(.udp)]),
        ])
        #expect(Self.asked(world, ClientWorld.udp(to: Self.inside)) == "host")
        #expect(Self.asked(world, ClientWorld.tcp(to: Self.inside)) == "wide")
        let before = world.delivered.count
        #expect(Self.asked(world, ClientWorld.tcp(to: Self.inside, port: 22)) == nil)
        #expect(world.told(since: before) == [.prohibited])
    }

    @Test("of equal prefixes the lower identifier, whatever the order they came in")
    func identifiers() {
        for ids in [["b", "a"], ["a", "b"]] as [[ResourceID]] {
            let world = ClientWorld()
            world.start(ids.map { ClientWorld.prefix($0, "10.0.0.0/8") })
            #expect(Self.asked(world, ClientWorld.udp(to: Self.inside)) == "a")
        }
    }

    @Test("two resources split one name by port")
    func split() throws {
        let world = ClientWorld()
        world.start([
            ClientWorld.name("web", "*.example.com", [Filter(.tcp, ports: 443...443)]),
            ClientWorld.name("ssh", "git.example.com", [Filter(.tcp, ports: 22...22)]),
        ])
        let address = try #require(world.resolve("git.example.com").first)
        #expect(Self.asked(world, ClientWorld.tcp(to: address)) == "web")
        #expect(Self.asked(world, ClientWorld.tcp(to: address, port: 22)) == "ssh")
        #expect(Self.asked(world, ClientWorld.tcp(to: address, port: 80)) == nil)
    }

    @Test("where two resources split a name, a datagram in fragments goes to one of them")
    func fragments() throws {
        let world = ClientWorld()
        world.start([
            ClientWorld.name("echo", "*.example.com", [Filter(.udp)]),
            ClientWorld.name("ssh", "git.example.com", [Filter(.tcp, ports: 22...22)]),
        ])
        let address = try #require(world.resolve("git.example.com").first)
        var (first, second) = (ClientWorld.udp(to: address), ClientWorld.udp(to: address))
        // More fragments; the offset of a later one.
        (first[6], second[6], second[7]) = (0x20, 0, 100)
        #expect(Self.asked(world, first) == "echo")
        #expect(Self.asked(world, second) == nil)
        // A later one whose first was refused is for nobody else either.
        var (refused, rest) = (ClientWorld.tcp(to: address, port: 80), second)
        (refused[5], rest[5]) = (9, 9)
        (refused[6], rest[9]) = (0x20, refused[9])
        #expect(Self.asked(world, refused) == nil)
        #expect(Self.asked(world, rest) == nil)
    }

    @Test("a proxy address beats a network that covers it, and the internet takes what is left")
    func kinds() throws {
        let world = ClientWorld()
        let everything = ResourceForClient(
            id: "internet",
            name: "Internet",
            address: .internet,
            site: ClientWorld.site
        )
        world.start([
            ClientWorld.name("git", "git.example.com"), ClientWorld.prefix("all", "100.0.0.0/8"),
            everything,
        ])
        let address = try #require(world.resolve("git.example.com").first)
        #expect(Self.asked(world, ClientWorld.tcp(to: address)) == "git")
        let outside = IPAddress(ipv4: 0x0808_0808)
        #expect(Self.asked(world, ClientWorld.udp(to: outside)) == "internet")
        #expect(world.configuration?.routes.contains { $0.bitCount == 0 } == true)
        // Unknown addresses of our own ranges never go there.
        #expect(Self.asked(world, ClientWorld.udp(to: IPAddress(ipv4: 0x6440_0999))) == nil)
        #expect(Self.asked(world, ClientWorld.udp(to: IPAddress(ipv4: 0x6460_9999))) == nil)
        world.handle(.internetResource(isOn: false))
        #expect(world.configuration?.routes.contains { $0.bitCount == 0 } == false)
        #expect(Self.asked(world, ClientWorld.udp(to: IPAddress(ipv4: 0x0909_0909))) == nil)
    }

    @Test("the host's own errors about a flow ask for nothing; other protocols are refused")
    func protocols() throws {
        let world = ClientWorld()
        world.start([ClientWorld.prefix("net", "10.0.0.0/8")])
        let reply = IPHeader(from: Self.inside, to: ClientWorld.own, transportProtocol: .udp)
            .packet(UDPHeader(sourcePort: 1, destinationPort: 2), payload: [1])
        let error = try IP.Refusal.portUnreachable.answer(to: reply.rawSpan, from: ClientWorld.own)
        #expect(Self.asked(world, error) == nil)
        let before = world.delivered.count
        let gre = IPHeader(
            from: ClientWorld.own,
            to: Self.inside,
            transportProtocol: TransportProtocol(rawValue: 47)
        )
        #expect(Self.asked(world, gre.packet(payload: [1, 2, 3, 4])) == nil)
        #expect(world.told(since: before) == [.other("3/2")])
    }

    @Test("a welcome that says nothing new leaves flows alone")
    func welcomeAgain() throws {
        let (world, address) = try LeaseTests.connected()
        world.handle(.portalConnected(false))
        world.handle(.portalConnected(true))
        world.tell(.welcome(world.welcome([ClientWorld.name("git", "git.example.com")])))
        world.send(ClientWorld.udp(to: address))
        world.run(for: .milliseconds(20))
        #expect(world.sites[0].packets.count == 2)
        #expect(world.requests.count == 1)
        let configurations = world.outputs.filter {
            if case .configure = $0.output { true } else { false }
        }
        #expect(configurations.count == 1)
    }

    @Test("filters that changed take effect on running flows; another address ends the lease")
    func changedResource() throws {
        let (world, address) = try LeaseTests.connected()
        let narrow = ClientWorld.name("git", "git.example.com", [Filter(.tcp, ports: 22...22)])
        world.tell(.changes(ToClient.Changes(revision: 2, changes: [.resource(narrow)])))
        let before = world.delivered.count
        world.send(ClientWorld.udp(to: address))
        #expect(world.told(since: before) == [.prohibited])
        world.send(ClientWorld.tcp(to: address, port: 22))
        world.run(for: .milliseconds(20))
        #expect(world.sites[0].packets.count == 2)
        let moved = ClientWorld.name("git", "*.example.com")
        world.tell(.changes(ToClient.Changes(revision: 3, changes: [.resource(moved)])))
        #expect(world.client.authorizations["git"]?.lease == nil)
        #expect(Self.asked(world, ClientWorld.udp(to: address)) == "git")
    }

    @Test("a gap in the revisions asks for everything; what was missed is not guessed")
    func gap() {
        let world = ClientWorld()
        world.start([ClientWorld.prefix("net", "10.0.0.0/8")])
        world.tell(.changes(ToClient.Changes(revision: 5, changes: [.resourceRemoved("net")])))
        let resyncs = world.outputs.filter {
            if case .toPortal(.resync) = $0.output { true } else { false }
        }
        #expect(resyncs.count == 1)
        #expect(world.client.router.count == 1)
    }

    @Test("a gateway's own address is reached while it is connected, another client's never")
    func tunnelAddresses() throws {
        let (world, _) = try LeaseTests.connected()
        let before = world.delivered.count
        world.send(ClientWorld.udp(to: world.sites[0].tunnel[0], port: 53))
        world.send(ClientWorld.udp(to: IPAddress(ipv4: 0x6440_0055)))
        world.run(for: .milliseconds(20))
        #expect(world.sites[0].packets.count == 2)
        #expect(world.told(since: before) == [.hostUnreachable])
    }

    @Test("a name withheld from this client asks the portal, which says why not")
    func withheld() throws {
        let world = ClientWorld()
        world.start([])
        let id = WithheldNames.resource("abc")
        let header = try PacketHeader(ClientWorld.udp(to: Self.inside).rawSpan)
        #expect(world.client.router.choose(among: [id], for: header) == .resource(id))
    }
}

@Suite("Names withheld from a client")
struct WithheldTests {
    @Test("a name that is protected for others: its first packet is refused in the portal's words")
    func refused() throws {
        let world = ClientWorld()
        let salt = try #require(KeyText(bytes: [UInt8](repeating: 3, count: 32)))
        let print = WithheldNames.fingerprint(of: "hr.example.com", isSuffix: false, salt: salt)
        world.start([ClientWorld.name("git", "git.example.com")])
        let names = WithheldNames(salt: salt, fingerprints: [print])
        world.tell(.changes(ToClient.Changes(revision: 2, changes: [.withheld(names)])))
        let address = try #require(world.resolve("hr.example.com").first)
        let before = world.delivered.count
        world.send(ClientWorld.tcp(to: address))
        world.run(for: .milliseconds(50))
        #expect(world.requests.map(\.resource) == [WithheldNames.resource(print)])
        #expect(world.told(since: before) == [.prohibited])
        let explanation = world.client.explain("hr.example.com:443", at: world.now)
        #expect(explanation.verdict == .denied)
        #expect(explanation.sentences.contains { $0.contains("No policy permits it.") })
        // Made known later, it is a resource like any other.
        world.served = ["hr": [0]]
        let changes: [ChangeForClient] = [
            .withheld(WithheldNames(salt: salt, fingerprints: [])),
            .resource(ClientWorld.name("hr", "hr.example.com")),
        ]
        world.tell(.changes(ToClient.Changes(revision: 3, changes: changes)))
        world.send(ClientWorld.tcp(to: address))
        world.run(for: .milliseconds(100))
        #expect(world.sites[0].packets.count == 1)
    }
}
