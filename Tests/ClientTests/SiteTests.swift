import Bytes
import Control
import DNS
import IP
import Peering
import SansIO
import Testing

@testable import Client

extension ClientWorld {
    /// A query of the host for other records than addresses.
    fileprivate func ask(_ name: String, _ type: RecordType = .txt) {
        guard let sentinel = sentinels.first else { return }
        let query = Message(query: Question(Name(name) ?? .root, type), id: 77).wire()
        let ip = IPHeader(from: Self.own, to: sentinel, transportProtocol: .udp)
        send(ip.packet(UDPHeader(sourcePort: 5353, destinationPort: 53), payload: query))
    }

    /// The same on a connection.
    fileprivate func askByStream(_ name: String) {
        guard let sentinel = sentinels.first else { return }
        let query = Message(query: Question(Name(name) ?? .root, .txt), id: 78).wire()
        handle(.streamQuery(id: 9, sentinel: sentinel, bytes: query))
    }

    /// What the host is to ask of gateways.
    fileprivate var questions: [(at: Instant, query: UpstreamQuery)] {
        outputs.compactMap { put in
            guard case .forward(let query) = put.output, query.isInTunnel else { return nil }
            return (put.at, query)
        }
    }

    /// Answers the question with `token`, as a gateway does.
    fileprivate func answer(
        _ query: UpstreamQuery?,
        change: (inout Message) -> Void = { _ in }
    ) {
        guard let query, var message = try? Message(query.bytes.rawSpan) else { return }
        message.header.isResponse = true
        message.answers = message.questions.map {
            Record($0.name, timeToLive: 5, .txt([Array("site".utf8)]))
        }
        change(&message)
        handle(.exchangeAnswered(token: query.token, bytes: message.wire()))
    }

    fileprivate func fail(_ query: UpstreamQuery?) {
        guard let query else { return }
        handle(.exchangeAnswered(token: query.token, bytes: nil))
    }

    /// The answers that the host got from its sentinel.
    fileprivate var answers: [Message] {
        delivered.compactMap { packet in
            guard let header = try? PacketHeader(packet.bytes.rawSpan), header.isUDP,
                header.sourcePort == 53, header.destinationPort == 5353
            else { return nil }
            let range = header.payloadOffset..<header.totalByteCount
            return try? Message(packet.bytes.rawSpan.extracting(range))
        }
    }

    fileprivate var last: Message? { answers.last }
    fileprivate var lastErrors: [UInt16] { last?.edns?.extendedErrors.map(\.code) ?? [] }
}

extension Message {
    /// What a gateway says to a query for a name without a live lease there.
    fileprivate mutating func refuse() {
        answers = []
        responseCode = .refused
        edns = EDNS(options: [ExtendedError.prohibited.option])
    }
}

@Suite("Questions for sites")
struct SiteTests {
    static let gatewayAddress = Endpoint(IPAddress(ipv4: 0x6440_0100), port: 53)

    static func world(served: Bool = true, filters: [Filter] = []) -> ClientWorld {
        let world = ClientWorld()
        if served { world.served = ["git": [0, 1]] }
        world.start([ClientWorld.name("git", "*.example.com", filters)])
        return world
    }

    @Test("a question is a first packet: a lease, a path, then the gateway's own address")
    func firstPacket() throws {
        let world = Self.world(filters: [Filter(.tcp, ports: 443...443)])
        world.ask("git.example.com")
        #expect(world.requests.count == 1)
        #expect(world.questions.isEmpty)
        let start = world.now
        world.run(for: .milliseconds(200))
        let question = try #require(world.questions.first)
        #expect(world.questions.count == 1)
        #expect(question.query.upstream == Upstream(Self.gatewayAddress))
        #expect(question.query.transport == .datagram)
        // One round trip to the portal and one on the path.
        #expect(start.duration(to: question.at) == .milliseconds(40))
        world.answer(question.query)
        #expect(world.last?.header.id == 77)
        #expect(world.last?.answers.count == 1)
        // The next one goes straight there.
        world.ask("other.example.com", .mx)
        #expect(world.questions.count == 2)
        #expect(world.requests.count == 1)
    }

    @Test("packets to the gateway's own address go to it, and its answers come back")
    func gatewayAddress() {
        let world = Self.world()
        world.ask("git.example.com")
        world.run(for: .milliseconds(200))
        let packet = ClientWorld.udp(to: Self.gatewayAddress.address, port: 53)
        world.send(packet)
        world.run(for: .milliseconds(20))
        #expect(world.sites[0].packets.last?.bytes == packet)
        let ip = IPHeader(
            from: Self.gatewayAddress.address,
            to: ClientWorld.own,
            transportProtocol: .udp
        )
        let answer = ip.packet(UDPHeader(sourcePort: 53, destinationPort: 1000), payload: [1])
        world.gatewaySends(0, answer)
        world.run(for: .milliseconds(20))
        #expect(world.delivered.last?.bytes == answer)
    }

    @Test("a denial is told at once, and believed as for packets")
    func denied() {
        let world = Self.world(served: false)
        world.ask("git.example.com")
        world.run(for: .milliseconds(50))
        #expect(world.last?.responseCode == .serverFailure)
        #expect(world.lastErrors == [18])
        #expect(world.last?.edns?.extendedErrors.first?.text == world.denial.sentence)
        world.ask("git.example.com")
        #expect(world.answers.count == 2)
        #expect(world.requests.count == 1)
        #expect(world.questions.isEmpty)
        #expect(world.client.counters.siteRefused == 2)
    }

    @Test("without a gateway online it is 22, and a broader resource is no way round")
    func offline() {
        let world = ClientWorld()
        world.served = ["git": [], "wide": [0]]
        world.start([
            ClientWorld.name("git", "git.example.com"), ClientWorld.name("wide", "*.example.com"),
        ])
        world.ask("git.example.com")
        world.run(for: .milliseconds(100))
        #expect(world.lastErrors == [22])
        world.ask("git.example.com")
        world.run(for: .milliseconds(100))
        #expect(world.questions.isEmpty)
    }

    @Test("a broader resource is no way round a denial of the more specific one")
    func broader() {
        let world = ClientWorld()
        world.served = ["wide": [0]]
        world.start([
            ClientWorld.name("git", "git.example.com"), ClientWorld.name("wide", "*.example.com"),
        ])
        world.ask("git.example.com")
        world.run(for: .milliseconds(100))
        #expect(world.lastErrors == [18])
        world.ask("git.example.com")
        world.run(for: .milliseconds(100))
        #expect(world.answers.count == 2)
        #expect(world.requests.map(\.resource) == ["git"])
        #expect(world.questions.isEmpty)
    }

    @Test("of resources that share a name by their filters, one that is not denied is enough")
    func shared() {
        let world = ClientWorld()
        world.served = ["web": [0]]
        world.start([
            ClientWorld.name("ssh", "git.example.com", [Filter(.tcp, ports: 22...22)]),
            ClientWorld.name("web", "git.example.com", [Filter(.tcp, ports: 443...443)]),
        ])
        world.ask("git.example.com")
        world.run(for: .milliseconds(200))
        #expect(world.requests.map(\.resource) == ["ssh", "web"])
        #expect(world.questions.count == 1)
        world.answer(world.questions.last?.query)
        #expect(world.last?.answers.count == 1)
        world.ask("git.example.com")
        #expect(world.questions.count == 2)
    }

    @Test("an answer that did not fit is asked for again by TCP; without TCP it is cut")
    func truncated() {
        let world = Self.world()
        world.ask("git.example.com")
        world.run(for: .milliseconds(200))
        world.answer(world.questions.last?.query) { $0.header.isTruncated = true }
        #expect(world.questions.map(\.query.transport) == [.datagram, .stream])
        world.answer(world.questions.last?.query)
        #expect(world.last?.answers.count == 1)
        world.ask("git.example.com")
        world.answer(world.questions.last?.query) {
            $0.header.isTruncated = true
            $0.answers = []
        }
        world.fail(world.questions.last?.query)
        #expect(world.last?.header.isTruncated == true)
        #expect(world.answers.count == 2)
    }

    @Test("what came by TCP is asked by TCP, and by datagram where that is refused")
    func streams() {
        let world = Self.world()
        world.askByStream("git.example.com")
        world.run(for: .milliseconds(200))
        #expect(world.questions.map(\.query.transport) == [.stream])
        world.fail(world.questions.last?.query)
        #expect(world.questions.map(\.query.transport) == [.stream, .datagram])
        world.answer(world.questions.last?.query)
        let answered = world.outputs.compactMap { put -> Message? in
            guard case .streamAnswer(id: 9, bytes: let bytes?) = put.output else { return nil }
            return try? Message(bytes.rawSpan)
        }
        #expect(answered.map(\.header.id) == [78])
        #expect(answered.first?.answers.count == 1)
    }

    @Test("a lost datagram is sent again each second, thrice in all; after four seconds it is over")
    func silence() {
        let world = Self.world()
        world.ask("git.example.com")
        world.run(for: .milliseconds(3_900))
        #expect(world.questions.count == 3)
        #expect(world.answers.isEmpty)
        let first = world.questions.first?.query
        world.run(for: .milliseconds(200))
        #expect(world.last?.responseCode == .serverFailure)
        #expect(world.lastErrors == [22])
        world.answer(first)
        #expect(world.answers.count == 1)
    }

    @Test("the answer to an earlier datagram counts")
    func late() {
        let world = Self.world()
        world.ask("git.example.com")
        world.run(for: .milliseconds(1_500))
        #expect(world.questions.count == 2)
        world.answer(world.questions.first?.query)
        #expect(world.last?.answers.count == 1)
        world.run(for: .seconds(5))
        #expect(world.questions.count == 2)
        #expect(world.answers.count == 1)
    }

    @Test("a gateway that is never reached is told of as 23, once its datagrams are used up")
    func unreached() {
        let world = Self.world()
        world.ask("git.example.com")
        world.run(for: .milliseconds(100))
        for _ in 0..<3 {
            world.fail(world.questions.last?.query)
            world.run(for: .seconds(1))
        }
        #expect(world.lastErrors == [23])
        #expect(world.questions.count == 3)
    }

    @Test("a gateway that lost the lease is given it again, once")
    func lostLease() {
        let world = Self.world()
        world.ask("git.example.com")
        world.run(for: .milliseconds(2_100))
        world.answer(world.questions.last?.query) { $0.refuse() }
        #expect(world.requests.count == 2)
        #expect(world.answers.isEmpty)
        world.run(for: .milliseconds(100))
        #expect(world.questions.count == 4)
        world.answer(world.questions.last?.query)
        #expect(world.last?.answers.count == 1)
        world.ask("git.example.com")
        world.answer(world.questions.last?.query) { $0.refuse() }
        world.run(for: .milliseconds(2_100))
        world.answer(world.questions.last?.query) { $0.refuse() }
        #expect(world.last?.responseCode == .serverFailure)
        #expect(world.lastErrors == [18])
    }

    @Test("a gateway that goes away hands its questions to the next one")
    func anotherGateway() {
        let world = Self.world()
        world.ask("git.example.com")
        world.run(for: .milliseconds(200))
        world.gatewaySends(0, .goodbye(.shutdown))
        world.run(for: .milliseconds(200))
        let next = world.questions.last?.query
        #expect(next?.upstream.address == world.sites[1].tunnel.first)
        world.answer(next)
        #expect(world.last?.answers.count == 1)
    }

    @Test("while the portal is away a question waits, and is asked when it is back")
    func portalAway() {
        let world = Self.world()
        world.handle(.portalConnected(false))
        world.ask("git.example.com")
        world.run(for: .seconds(1))
        #expect(world.requests.isEmpty)
        world.handle(.portalConnected(true))
        world.handle(
            .portal(.welcome(world.welcome([ClientWorld.name("git", "*.example.com")])))
        )
        world.run(for: .milliseconds(200))
        #expect(world.questions.count == 1)
    }

    @Test("a resource that is taken away takes its questions along")
    func removed() {
        let world = Self.world()
        world.answersPortal = false
        world.ask("git.example.com")
        world.tell(.changes(ToClient.Changes(revision: 2, changes: [.resourceRemoved("git")])))
        #expect(world.lastErrors == [18])
    }

    @Test("questions have a bound; one more is refused at once")
    func bound() {
        let world = Self.world()
        world.answersPortal = false
        for number in 0..<SiteQuestions.Limits.count { world.ask("n\(number).example.com") }
        #expect(world.answers.isEmpty)
        world.ask("more.example.com")
        #expect(!world.answers.isEmpty)
        world.run(for: .seconds(5))
        #expect(world.answers.count == SiteQuestions.Limits.count + 1)
        #expect(world.client.siteQuestions.isEmpty)
    }

    @Test("an answer for nobody is harmless")
    func unknown() {
        let world = Self.world()
        world.handle(.exchangeAnswered(token: 1 << 63 | 5, bytes: [1]))
        world.handle(.exchangeAnswered(token: .max, bytes: nil))
        #expect(world.answers.isEmpty)
    }
}
