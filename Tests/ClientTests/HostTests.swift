import Bytes
import Control
import DNS
import IP
import Peering
import SansIO
import Testing

@testable import Client

@Suite("What the host asks and is told")
struct HostTests {
    @Test("a query over IPv6 is answered over IPv6, its checksum begun")
    func overIPv6() throws {
        let world = ClientWorld()
        let server = try #require(IPAddress("2001:db8::53"))
        world.start([ClientWorld.name("git", "git.example.com")])
        world.handle(.hostResolvers([Endpoint(server, port: 53)]))
        let sentinel = try #require(world.sentinels.first)
        #expect(!sentinel.isIPv4)
        let query = Message(
            query: Question(try Name(text: "git.example.com"), .a),
            id: 9,
            edns: nil
        )
        let ip = IPHeader(from: ClientWorld.ownIPv6, to: sentinel, transportProtocol: .udp)
        world.send(
            ip.packet(UDPHeader(sourcePort: 999, destinationPort: 53), payload: query.wire())
        )
        let answer = try #require(world.delivered.last).bytes
        let header = try PacketHeader(answer.rawSpan)
        #expect(header.source == sentinel)
        #expect(header.destination == ClientWorld.ownIPv6)
        #expect(header.sourcePort == 53 && header.destinationPort == 999)
        let sum = Checksum(
            pseudoHeaderOf: .udp,
            source: header.source,
            destination: header.destination,
            byteCount: answer.count - 40
        )
        #expect(answer.rawSpan.uint16(at: 46) == sum.folded, "the kernel makes the rest")
    }

    @Test("other names go to the sentinel's upstream; the answer comes back to who asked")
    func forwards() throws {
        let world = ClientWorld()
        world.start([ClientWorld.name("git", "git.example.com")])
        #expect(world.resolve("www.example.org").isEmpty)
        let exchange = try #require(
            world.outputs.compactMap { Client.exchange(of: $0.output) }.first
        )
        #expect(exchange.server == Endpoint("10.0.0.1:53"))
        var message = try Message(exchange.bytes.rawSpan)
        message.header.isResponse = true
        message.answers = [
            Record(message.questions[0].name, timeToLive: 60, .a(IPAddress(ipv4: 0x0101_0101)))
        ]
        let command = try #require(
            Client.command(answering: exchange.token, with: message.wire())
        )
        let before = world.delivered.count
        world.handle(command)
        let answer = try #require(world.delivered[before...].first).bytes
        let header = try PacketHeader(answer.rawSpan)
        let read = try Message(answer.rawSpan.extracting(header.payloadOffset..<answer.count))
        #expect(read.header.id == 77)
        #expect(read.answers.count == 1)
        #expect(header.destinationPort == 5353)
    }

    @Test("a question over TCP is answered on its connection; one to no sentinel closes it")
    func streams() throws {
        let world = ClientWorld()
        world.start([ClientWorld.name("git", "git.example.com")])
        let query = Message(
            query: Question(try Name(text: "git.example.com"), .a),
            id: 9,
            edns: nil
        )
        let sentinel = try #require(world.sentinels.first)
        world.handle(.streamQuery(id: 4, sentinel: sentinel, bytes: query.wire()))
        guard case .streamAnswer(4, let bytes?)? = world.outputs.last?.output else {
            Issue.record("no answer")
            return
        }
        #expect(try Message(bytes.rawSpan).answers.count == 4)
        let unused = sentinel.advanced(by: 50)
        world.handle(.streamQuery(id: 5, sentinel: unused, bytes: query.wire()))
        #expect(world.outputs.last?.output == .streamAnswer(id: 5, bytes: nil))
    }

    @Test("a sentinel serves DNS over UDP only; one that is not in use is silent")
    func sentinelPorts() throws {
        let world = ClientWorld()
        world.start([])
        let sentinel = try #require(world.sentinels.first)
        world.send(ClientWorld.udp(to: sentinel, port: 5000))
        world.send(ClientWorld.tcp(to: sentinel, port: 53))
        #expect(world.told() == [.portUnreachable, .reset])
        let before = world.delivered.count
        world.send(ClientWorld.udp(to: sentinel.advanced(by: 50), port: 53))
        #expect(world.delivered.count == before)
    }

    @Test("the host is set up once, and again when something is other than before")
    func configures() throws {
        let world = ClientWorld()
        world.start(
            [
                ClientWorld.name("git", "git.example.com"),
                ClientWorld.name("all", "*.example.com"),
                ClientWorld.name("chat", "*.slack.com"), ClientWorld.prefix("net", "10.1.0.0/16"),
            ],
            dns: DNSSettings(search: "example.com")
        )
        let first = try #require(world.configuration)
        #expect(first.tunnel == [ClientWorld.own, ClientWorld.ownIPv6])
        #expect(first.routes.map(\.description).contains("10.1.0.0/16"))
        #expect(first.routes.map(\.description).contains("100.96.0.0/11"))
        #expect(Set(first.domains) == ["example.com", "slack.com"])
        #expect(first.search == "example.com")
        #expect(first.sentinels.count == 1)
        let before = world.outputs.count
        world.handle(.hostResolvers([Endpoint(IPAddress(ipv4: 0x0a00_0001), port: 53)]))
        #expect(world.outputs.count == before)
        world.handle(.hostResolvers([Endpoint(IPAddress(ipv4: 0x0a00_0002), port: 53)]))
        #expect(world.configuration?.sentinels != first.sentinels)
        world.handle(.flushNames)
        #expect(world.configuration?.flushesCaches == true)
    }

    @Test("the admin's nameservers replace the host's")
    func adminsUpstreams() {
        let world = ClientWorld()
        world.start([], dns: DNSSettings(upstreams: ["9.9.9.9", "[2620:fe::fe]:53"]))
        #expect(
            world.client.status(at: world.now).nameservers.map(\.upstream) == [
                "9.9.9.9", "2620:fe::fe",
            ]
        )
    }

    @Test("our own addresses are told to the portal when they change, ours of the tunnel never")
    func candidates() {
        let world = ClientWorld()
        world.start([])
        let before = world.outputs.count
        let addresses = [IPAddress(ipv4: 0xc0a8_0105), ClientWorld.own]
        world.handle(.localAddresses(addresses, port: 5000))
        world.handle(.localAddresses(addresses, port: 5000))
        let told = world.outputs[before...].compactMap { output -> [Control.Candidate]? in
            guard case .toPortal(.candidates(let changed)) = output.output else { return nil }
            return changed.candidates
        }
        #expect(told.map { $0.map(\.endpoint.description) } == [["192.168.1.5:5000"]])
        let hello = world.client.hello(name: "laptop", software: "1.1.0", os: "linux")
        #expect(hello.instance == "portal-1" && hello.revision == 1)
        #expect(hello.candidates.count == 1)
    }

    @Test("anything that waits to be done is due at once, and a client at rest sleeps long")
    func deadlines() throws {
        let (world, _) = try LeaseTests.connected()
        world.run(for: .seconds(60))
        let before = world.steps
        world.run(for: .seconds(600))
        #expect(world.steps - before < 2000)
        world.client.handle(.flushNames, at: world.now, into: &world.outbox)
        let queued = world.client.nextDeadline
        #expect(try #require(queued) <= world.now)
        world.run(for: .milliseconds(1))
        let next = world.client.nextDeadline
        #expect(try #require(next) > world.now)
    }

    @Test("an outbox without room takes no packet and loses none")
    func noRoom() throws {
        let (world, address) = try LeaseTests.connected()
        world.outbox = Outbox(byteCount: 4096)
        var sent = 0
        for mark in 0..<50 {
            let packet = ClientWorld.udp(to: address, mark: UInt8(mark))
            // The host sends what is there, then offers the packet again.
            if !world.send(packet) { #expect(world.send(packet)) }
            sent += 1
        }
        world.run(for: .milliseconds(50))
        #expect(world.sites[0].packets.count - 1 == sent)
    }
}

@Suite("Status and explanations")
struct StatusTests {
    @Test("the status tells who, what and through which path")
    func status() throws {
        let (world, address) = try LeaseTests.connected()
        world.send(ClientWorld.udp(to: address))
        world.run(for: .seconds(1))
        let status = world.client.status(at: world.now)
        #expect(status.actor == "ada@example.com")
        #expect(status.isPortalConnected)
        let resource = try #require(status.resources.first)
        #expect(resource.state == .leased && resource.gateway == "gateway-0")
        let gateway = try #require(status.gateways.first)
        #expect(gateway.state == .connected)
        #expect(gateway.remote == "203.0.113.1:51830")
        #expect(gateway.roundTripMicroseconds == 20_000)
        #expect(gateway.bytesIn > 0 && gateway.bytesOut > 0)
    }

    @Test("explains the chain to a name that works")
    func works() throws {
        let (world, _) = try LeaseTests.connected()
        let explanation = world.client.explain("git.example.com:443", at: world.now)
        #expect(explanation.verdict == .works)
        #expect(explanation.resource == "git")
        #expect(explanation.sentences.count == 6)
        #expect(explanation.sentences.last == "The gateway serves the name.")
    }

    @Test("explains a denial in the portal's words, and each condition that failed")
    func denied() throws {
        let (world, address) = try FirstPacketTests.world(served: false)
        world.send(ClientWorld.tcp(to: address))
        world.run(for: .milliseconds(50))
        for text in ["git.example.com", "\(address)", "\(address):443"] {
            let explanation = world.client.explain(text, at: world.now)
            #expect(explanation.verdict == .denied)
            #expect(explanation.sentences.contains { $0.contains("No policy permits it.") })
        }
        #expect(world.client.status(at: world.now).resources.first?.state == .denied)
    }

    @Test(
        "explains what is not protected, not reachable, filtered or not readable",
        arguments: [
            ("www.example.org", Client.Explanation.Verdict.notProtected),
            ("8.8.8.8", .notProtected), ("git.example.com:80", .denied), ("10.1.2.3:22", .ready),
            ("100.96.50.50", .unreachable), ("a:b:c", .unreadable), ("", .unreadable),
            ("git.example.com:443", .ready), ("100.64.9.9", .notProtected),
        ]
    )
    func others(text: String, verdict: Client.Explanation.Verdict) {
        let world = ClientWorld()
        world.start([
            ClientWorld.name("git", "git.example.com", [Filter(.tcp, ports: 443...443)]),
            ClientWorld.prefix("net", "10.0.0.0/8"),
        ])
        #expect(world.client.explain(text, at: world.now).verdict == verdict)
    }
}

@Suite("Client under random input")
struct RandomInputTests {
    @Test("random packets, datagrams, messages and times never trap, and it serves afterwards")
    func random() throws {
        for seed in 1...8 {
            var random = RandomSource(seed: UInt64(seed))
            let (world, address) = try LeaseTests.connected()
            for round in 0..<1500 {
                switch round % 5 {
                case 0: world.send(random.bytes(Int.random(in: 0..<120, using: &random)))
                case 1:
                    var packet = ClientWorld.tcp(to: address)
                    let place = Int.random(in: 0..<packet.count, using: &random)
                    packet[place] = UInt8(truncatingIfNeeded: random.next())
                    world.send(packet)
                case 2:
                    let offload = Offload(
                        segmentation: Offload.Segmentation(
                            rawValue: UInt8.random(in: 0..<4, using: &random)
                        ) ?? .none,
                        needsChecksum: Bool.random(using: &random),
                        checksumStart: Int.random(in: -5..<100, using: &random),
                        checksumOffset: Int.random(in: -5..<100, using: &random),
                        headerByteCount: Int.random(in: -5..<100, using: &random),
                        segmentByteCount: Int.random(in: -5..<100, using: &random)
                    )
                    world.send(ClientWorld.tcp(to: address), offload)
                case 3:
                    let ports = UInt16(truncatingIfNeeded: random.next())
                    var query = random.bytes(40)
                    query[2] &= 0x7f
                    let ip = IPHeader(
                        from: ClientWorld.own,
                        to: world.sentinels.first ?? ClientWorld.own,
                        transportProtocol: .udp
                    )
                    let udp = UDPHeader(sourcePort: ports, destinationPort: 53)
                    world.send(ip.packet(udp, payload: query))
                default:
                    let place = Int.random(in: 0..<2, using: &random)
                    world.gatewaySends(place, random.bytes(60))
                    world.run(for: .milliseconds(Int.random(in: 0..<40, using: &random)))
                }
            }
            let before = world.sites[0].packets.count
            world.run(for: .seconds(10))
            world.send(ClientWorld.tcp(to: address, from: 999))
            world.run(for: .seconds(3))
            #expect(world.sites[0].packets.count > before, "seed \(seed)")
        }
    }
}
