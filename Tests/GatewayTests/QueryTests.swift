import Bytes
import Control
import DNS
import Gateway
import IP
import SansIO
import Testing

/// The bytes of a query of the tests.
private func query(
    _ name: String,
    _ type: RecordType,
    id: UInt16 = 7,
    edns: EDNS? = EDNS(),
    change: (inout DNS.Message) -> Void = { _ in }
) -> [UInt8] {
    var message = DNS.Message(
        query: Question(Name(name) ?? .root, type),
        id: id,
        edns: edns
    )
    change(&message)
    return message.wire()
}

private func texts(_ message: DNS.Message?) -> [String] {
    (message?.answers ?? []).map { record in
        guard case .txt(let parts) = record.data else { return "\(record.type)" }
        return parts.map { String(decoding: $0, as: UTF8.self) }.joined()
    }
}

extension GatewayWorld {
    /// Asks the gateway's own address by a datagram; the last answer.
    fileprivate func ask(
        _ bytes: [UInt8],
        by client: TestClient,
        isIPv6: Bool = false
    ) -> DNS.Message? {
        let before = client.received.count
        let (from, to) =
            isIPv6
            ? (client.address6, Address.of("fd00:2021:1111::1"))
            : (client.address, Address.gateway)
        send(Packet.udp(from: from, to: to, 53, payload: bytes), by: client)
        guard client.received.count > before else { return nil }
        return lastAnswered(client, from: to)
    }

    /// The last answer that came to a client.
    fileprivate func lastAnswered(
        _ client: TestClient,
        from gateway: IPAddress = Address.gateway
    ) -> DNS.Message? {
        guard let header = client.last, let bytes = client.received.last, header.isUDP,
            header.source == gateway, header.sourcePort == 53, header.destinationPort == 40_000
        else { return nil }
        return try? DNS.Message(Array(bytes[header.payloadOffset...]).rawSpan)
    }

    /// What was answered on connections: the numbers, and the messages.
    fileprivate var streamAnswers: [(UInt64, DNS.Message?)] {
        outputs.compactMap { output in
            guard case .streamAnswer(let id, let bytes) = output else { return nil }
            return (id, bytes.flatMap { try? DNS.Message($0.rawSpan) })
        }
    }
}

@Suite struct QueriesForSiteRecords {
    @Test func `every type of a granted name is asked of the site's nameserver`() {
        let world = GatewayWorld()
        let client = world.connectedClient()
        let name = Name("mail.example.com") ?? .root
        let records: [RecordData] = [
            .txt([Array("hello".utf8)]), .mx(preference: 10, name),
            .srv(priority: 1, weight: 2, port: 5060, name), .ns(name),
            .caa(flags: 0, tag: Array("issue".utf8), value: Array("ca".utf8)),
            .other(.naptr, [0, 1, 0, 2, 0, 0, 0, 0]), .other(RecordType(rawValue: 48), [1, 2]),
        ]
        world.zones["app.example.com"] = Zone(records: records)
        for data in records {
            let answer = world.ask(query("app.example.com", data.type), by: client)
            #expect(answer?.answers.map(\.data) == [data])
            #expect(answer?.header.id == 7)
            #expect(answer?.header.isRecursionAvailable == true)
        }
        let over6 = world.ask(query("app.example.com", .txt), by: client, isIPv6: true)
        #expect(texts(over6) == ["hello"])
    }

    @Test func `a name that no lease permits is refused, and asked of nobody`() {
        let world = GatewayWorld()
        let client = world.connectedClient()
        world.zones["secret.example.net"] = Zone(records: [.txt([Array("no".utf8)])])
        _ = world.ask(query("secret.example.net", .txt), by: client)
        // It may have overtaken its grant.
        world.run(for: .milliseconds(900))
        #expect(world.lastAnswered(client) == nil)
        world.run(for: .milliseconds(200))
        let answer = world.lastAnswered(client)
        #expect(answer?.responseCode == .refused)
        #expect(answer?.edns?.extendedErrors.map(\.code) == [18])
        #expect(!world.questions.contains { $0.questions[0].name == Name("secret.example.net") })
        #expect(world.gateway.counters.queriesRefused == 1)
    }

    @Test func `a query that overtook its grant is answered when that comes`() {
        let world = GatewayWorld()
        let client = world.connectedClient()
        world.zones["db.example.net"] = Zone(records: [.txt([Array("db".utf8)])])
        _ = world.ask(query("db.example.net", .txt), by: client)
        world.run(for: .milliseconds(200))
        let resource = ResourceForGateway(id: "db", name: "DB", address: .name("db.example.net"))
        world.order(world.grant(client, resource, lease: "second"))
        #expect(texts(world.lastAnswered(client)) == ["db"])
    }

    @Test func `a permission that ended meanwhile permits no answer`() {
        let world = GatewayWorld()
        let client = world.connectedClient()
        world.order(world.grant(client, Resources.network("10.9.0.0/16"), lease: "other"))
        world.zones["app.example.com"] = Zone(isSilent: true)
        _ = world.ask(query("app.example.com", .txt), by: client)
        world.revoke("lease-1")
        world.run(for: .seconds(5))
        #expect(world.lastAnswered(client)?.responseCode == .refused)
    }

    @Test func `filters do not concern queries`() {
        let world = GatewayWorld()
        let client = world.connectedClient()
        let filtered = Resources.app([Filter(.tcp, ports: 443...443)], "*.example.org")
        world.order(world.grant(client, filtered, lease: "filtered"))
        world.zones["x.example.org"] = Zone(records: [.txt([Array("x".utf8)])])
        #expect(texts(world.ask(query("x.example.org", .txt), by: client)) == ["x"])
    }

    @Test func `an alias is turned to the real name and back, in what it leads to, too`() {
        let world = GatewayWorld()
        let client = world.connectedClient()
        let resource = ResourceForGateway(
            id: "berlin",
            name: "Berlin",
            address: .name("*.fritz.box"),
            alias: "*.berlin.example"
        )
        world.order(world.grant(client, resource, lease: "berlin"))
        let target = Name("mail.fritz.box") ?? .root
        let foreign = Name("mx.example.net") ?? .root
        world.zones["wiki.fritz.box"] = Zone(
            records: [.mx(preference: 1, target), .mx(preference: 2, foreign)]
        )
        let answer = world.ask(query("wiki.Berlin.example", .mx), by: client)
        #expect(answer?.questions.first?.name.description == "wiki.Berlin.example")
        #expect(
            answer?.answers.map(\.name.description)
                == Array(repeating: "wiki.Berlin.example", count: 2)
        )
        let mail = Name("mail.berlin.example") ?? .root
        #expect(
            answer?.answers.map(\.data) == [.mx(preference: 1, mail), .mx(preference: 2, foreign)]
        )
    }

    @Test func `nothing is said to be authentic, and what is signed passes as it is`() {
        let world = GatewayWorld()
        let client = world.connectedClient()
        let signature = RecordData.other(RecordType(rawValue: 46), [0, 16, 8, 2, 9, 9])
        var zone = Zone(records: [.txt([Array("signed".utf8)])])
        zone.change = { reply in
            reply.header.isAuthentic = true
            reply.answers.append(Record(reply.questions[0].name, timeToLive: 60, signature))
        }
        world.zones["app.example.com"] = zone
        let bytes = query("app.example.com", .txt, edns: EDNS(isDNSSECWanted: true)) {
            $0.header.isAuthentic = true
            $0.header.isCheckingDisabled = true
        }
        let answer = world.ask(bytes, by: client)
        #expect(answer?.header.isAuthentic == false)
        #expect(answer?.header.isCheckingDisabled == true)
        #expect(answer?.answers.last?.data == signature)
        #expect(answer?.edns?.isDNSSECWanted == true)
        #expect(world.questions.last?.edns?.isDNSSECWanted == true)
    }

    @Test func `the hosts file comes first, for addresses and for their names`() {
        let world = GatewayWorld()
        let client = world.connectedClient()
        let reverse = ResourceForGateway(
            id: "reverse",
            name: "Reverse",
            address: .name("*.1.10.in-addr.arpa")
        )
        world.order(world.grant(client, reverse, lease: "reverse"))
        let hosts = [
            Gateway.HostEntry(name: "app.example.com", addresses: [Address.real1]),
            Gateway.HostEntry(name: "app", addresses: [Address.real1]),
        ]
        world.say(.resolvers([], hosts: hosts))
        let ipv4 = world.ask(query("app.example.com", .a), by: client)
        #expect(ipv4?.answers.map(\.data) == [.a(Address.real1)])
        let ipv6 = world.ask(query("app.example.com", .aaaa), by: client)
        #expect(ipv6?.responseCode == .noError)
        #expect(ipv6?.answers.isEmpty == true)
        let names = world.ask(query("10.0.1.10.in-addr.arpa", .ptr), by: client)
        #expect(names?.answers.count == 2)
        let other = world.ask(query("app.example.com", .txt), by: client)
        #expect(other?.responseCode == .serverFailure)
        #expect(other?.edns?.extendedErrors.map(\.code) == [22])
    }

    @Test func `nobody's answer is SERVFAIL, in time for the client`() {
        let world = GatewayWorld()
        let client = world.connectedClient()
        world.zones["app.example.com"] = Zone(isSilent: true)
        _ = world.ask(query("app.example.com", .txt), by: client)
        world.run(for: .milliseconds(2_900))
        #expect(world.lastAnswered(client) == nil)
        world.run(for: .milliseconds(200))
        #expect(world.lastAnswered(client)?.responseCode == .serverFailure)
        #expect(world.lastAnswered(client)?.edns?.extendedErrors.map(\.code) == [22])
        #expect(world.gateway.counters.queriesUnanswered == 1)
    }

    @Test func `a repeated query joins the look-up that is under way, and both are answered`() {
        let world = GatewayWorld()
        let client = world.connectedClient()
        let other = world.connectedClient(2, proxies: [Address.of("100.96.0.9")])
        world.zones["app.example.com"] = Zone(isSilent: true)
        let before = world.questions.count
        for asker in [client, client, other] {
            _ = world.ask(query("app.example.com", .txt), by: asker)
        }
        #expect(world.questions.count == before + 1)
        _ = world.ask(query("app.example.com", .mx), by: client)
        #expect(world.questions.count == before + 2)
        world.run(for: .milliseconds(3_100))
        let received = [client, other].map { asker in
            asker.headers.count { $0.isUDP && $0.sourcePort == 53 }
        }
        #expect(received == [3, 1])
    }

    @Test(arguments: [ResponseCode.nameError, .refused, .serverFailure])
    func `how the site's server ended is passed on, but that it refuses`(code: ResponseCode) {
        let world = GatewayWorld()
        let client = world.connectedClient()
        world.zones["app.example.com"] = Zone(code: code)
        let answer = world.ask(query("app.example.com", .txt), by: client)
        #expect(answer?.responseCode == (code == .refused ? .serverFailure : code))
    }

    @Test func `a single label is completed by the search list`() {
        let world = GatewayWorld()
        let client = world.connectedClient()
        let wiki = ResourceForGateway(id: "wiki", name: "Wiki", address: .name("wiki"))
        world.order(world.grant(client, wiki, lease: "wiki"))
        world.zones["wiki.corp.example"] = Zone(records: [.txt([Array("wiki".utf8)])])
        let options = ResolverOptions(search: ["corp.example"], words: [])
        let server = Endpoint(Address.of("192.0.2.53"), port: 53)
        world.say(.resolvers([server], hosts: [], options: options))
        let answer = world.ask(query("wiki", .txt), by: client)
        #expect(texts(answer) == ["wiki"])
        #expect(answer?.answers.first?.name == Name("wiki"))
    }
}

@Suite struct FormOfQueries {
    @Test func `what does not fit a datagram is cut, and whole over TCP`() {
        let world = GatewayWorld()
        let client = world.connectedClient()
        let long = (0..<16).map { _ in [UInt8](repeating: 120, count: 255) }
        world.zones["app.example.com"] = Zone(needsStream: true, records: [.txt(long)])
        let cut = world.ask(query("app.example.com", .txt), by: client)
        #expect(cut?.header.isTruncated == true)
        #expect(cut?.answers.isEmpty == true)
        #expect(cut?.questions.count == 1)
        #expect(world.streams == 1)
        world.say(
            .streamQuery(id: 5, client: client.address, bytes: query("app.example.com", .txt))
        )
        #expect(world.streamAnswers.map(\.0) == [5])
        #expect(world.streamAnswers.last?.1?.answers.map(\.data) == [.txt(long)])
    }

    @Test func `a query without OPT gets none back, and at most 512 bytes`() {
        let world = GatewayWorld()
        let client = world.connectedClient()
        let long = (0..<3).map { _ in [UInt8](repeating: 120, count: 255) }
        world.zones["app.example.com"] = Zone(records: [.txt(long)])
        let plain = world.ask(query("app.example.com", .txt, edns: nil), by: client)
        #expect(plain?.edns == nil)
        #expect(plain?.header.isTruncated == true)
        let large = world.ask(query("app.example.com", .txt), by: client)
        #expect(large?.answers.count == 1)
    }

    @Test func `errors of form are told, responses and noise are met with silence`() {
        let world = GatewayWorld()
        let client = world.connectedClient()
        let none = world.ask(query("app.example.com", .txt) { $0.questions = [] }, by: client)
        #expect(none?.responseCode == .formatError)
        let two = world.ask(
            query("a.example.com", .txt) { $0.questions += $0.questions },
            by: client
        )
        #expect(two?.responseCode == .formatError)
        let notify = world.ask(
            query("a.example.com", .txt) { $0.header.opcode = Opcode(rawValue: 4) },
            by: client
        )
        #expect(notify?.responseCode == .notImplemented)
        let version = world.ask(query("a.example.com", .txt, edns: EDNS(version: 1)), by: client)
        #expect(version?.responseCode == .badVersion)
        let response = query("a.example.com", .txt) { $0.header.isResponse = true }
        #expect(world.ask(response, by: client) == nil)
        #expect(world.ask([1, 2, 3], by: client)?.responseCode == .formatError)
        #expect(world.ask([1], by: client) == nil)
        #expect(world.ask([], by: client) == nil)
    }

    @Test func `ANY is answered shortly, transfers and other classes not at all`() {
        let world = GatewayWorld()
        let client = world.connectedClient()
        let before = world.questions.count
        let any = world.ask(query("app.example.com", .any), by: client)
        #expect(any?.answers.map(\.type) == [.hinfo])
        let transfer = RecordType(rawValue: 252)
        let axfr = world.ask(query("app.example.com", transfer), by: client)
        #expect(axfr?.responseCode == .refused)
        let chaos = query("version.bind", .txt) { $0.questions[0].recordClass = .chaos }
        #expect(world.ask(chaos, by: client)?.responseCode == .refused)
        #expect(world.questions.count == before)
    }

    @Test func `one client's queries have a bound, whatever comes of them`() {
        let world = GatewayWorld()
        let client = world.connectedClient()
        let other = world.connectedClient(2, proxies: [Address.of("100.96.0.9")])
        for number in 0..<200 {
            world.zones["n\(number).example.com"] = Zone(isSilent: true)
            _ = world.ask(query("n\(number).example.com", .txt), by: client)
        }
        #expect(world.gateway.counters.queriesLimited == 72)
        #expect(world.lastAnswered(client)?.responseCode == .serverFailure)
        world.zones["app.example.com"] = Zone(records: [.txt([Array("app".utf8)])])
        #expect(texts(world.ask(query("app.example.com", .txt), by: other)) == ["app"])
        world.run(for: .seconds(4))
        #expect(texts(world.ask(query("app.example.com", .txt), by: client)) == ["app"])
        for _ in 0..<2_000 { _ = world.ask(query("app.example.com", .txt), by: client) }
        #expect(world.gateway.counters.queriesLimited > 72 + 1_000)
    }
}

@Suite struct QueriesOnConnections {
    @Test func `TCP to the service is reset while nobody serves it, else it passes as it is`() {
        let world = GatewayWorld()
        let client = world.connectedClient()
        let syn = Packet.tcp(from: client.address, to: Address.gateway, 53)
        world.send(syn, by: client)
        #expect(world.forwarded.isEmpty)
        world.say(.servesStreams(true))
        world.send(syn, by: client)
        #expect(world.forwarded == [syn])
        world.send(Packet.tcp(from: client.address, to: Address.gateway, 22), by: client)
        #expect(world.forwarded == [syn])
        let other = Packet.tcp(from: client.address6, to: Address.of("fd00:2021:1111::1"), 53)
        world.send(other, by: client)
        #expect(world.forwarded == [syn, other])
    }

    @Test func `what the service says goes to its client, but it opens no connection`() {
        let world = GatewayWorld()
        let client = world.connectedClient()
        world.forget()
        let answer = Packet.tcp(
            from: Address.gateway,
            53,
            to: client.address,
            40_000,
            [.syn, .ack]
        )
        world.resourceSends(answer)
        #expect(client.received.isEmpty)
        world.say(.servesStreams(true))
        world.resourceSends(answer)
        #expect(client.received == [answer])
        world.resourceSends(Packet.tcp(from: Address.gateway, 53, to: client.address, 40_000))
        world.resourceSends(Packet.tcp(from: Address.gateway, 22, to: client.address, 1, [.ack]))
        world.resourceSends(Packet.tcp(from: Address.real1, 53, to: client.address, 1, [.ack]))
        #expect(client.received == [answer])
    }

    @Test func `a query of nobody's address closes its connection, so does a client that goes`() {
        let world = GatewayWorld()
        let client = world.connectedClient()
        let bytes = query("app.example.com", .txt)
        world.say(.streamQuery(id: 1, client: Address.of("100.64.0.200"), bytes: bytes))
        world.say(.streamQuery(id: 2, client: client.address, bytes: [1]))
        #expect(world.streamAnswers.map(\.0) == [1, 2])
        #expect(world.streamAnswers.allSatisfy { $0.1 == nil })
        world.zones["app.example.com"] = Zone(isSilent: true)
        world.say(.streamQuery(id: 3, client: client.address, bytes: bytes))
        world.say(
            .streamQuery(id: 4, client: client.address, bytes: query("other.example.net", .txt))
        )
        world.revoke("lease-1")
        world.run(for: .seconds(4))
        #expect(Set(world.streamAnswers.map(\.0)) == [1, 2, 3, 4])
        #expect(world.streamAnswers.allSatisfy { $0.1 == nil })
    }

    @Test func `another tunnel address is served by nobody, until the host says so`() {
        let world = GatewayWorld()
        let client = world.connectedClient()
        world.say(.servesStreams(true))
        world.welcome([world.grant(client, Resources.app())])
        let syn = Packet.tcp(from: client.address, to: Address.gateway, 53)
        world.send(syn, by: client)
        #expect(world.forwarded == [syn])
    }
}
