import Bytes
import DNS
import Gateway
import IP
import SansIO
import Testing

private let one = Endpoint(IPAddress(ipv4: 0xc000_0235), port: 53)
private let two = Endpoint(IPAddress(ipv4: 0xc000_0236), port: 53)
private let app = Name("app.example.com") ?? .root

/// A resolver with a clock, and the questions that it asked.
private struct Bench {
    var site = SiteResolver(random: RandomSource(seed: 7))
    var resolver = NameResolver()
    var now = Instant.at(0)
    var asked: [Exchange] = []

    init(_ servers: [Endpoint] = [one, two]) { site.configure(servers: servers, hosts: []) }

    @discardableResult
    mutating func resolve(_ name: Name = app, isQuery: Bool = false) -> ResolvedName {
        let known = resolver.resolve(name, isQuery: isQuery, at: now, by: &site)
        collect()
        return known
    }

    mutating func collect() {
        while let finding = site.pollFinding() {
            guard case .addresses(let name, let family) = finding.purpose else { continue }
            resolver.take(finding.outcome, of: name, family, at: now)
        }
        while let exchange = site.pollExchange() { asked.append(exchange) }
        while resolver.pollChange() != nil {}
    }

    var nextDeadline: Instant? {
        [site.nextDeadline, resolver.nextDeadline].compactMap { $0 }.min()
    }

    /// Sleeps from deadline to deadline.
    mutating func run(_ seconds: Double) {
        let end = now.advanced(by: .seconds(seconds))
        for _ in 0..<10_000 {
            guard let next = nextDeadline, next <= end else { break }
            now = max(now, next)
            site.advance(to: now)
            resolver.advance(to: now, by: &site)
            collect()
        }
        now = end
    }

    static func question(_ exchange: Exchange) -> DNS.Question? {
        (try? DNS.Message(exchange.bytes.rawSpan))?.questions.first
    }

    mutating func answer(
        _ exchange: Exchange,
        _ records: [(String, UInt32)] = [],
        code: ResponseCode = .noError,
        change: (inout DNS.Message) -> Void = { _ in }
    ) {
        guard var reply = try? DNS.Message(exchange.bytes.rawSpan),
            let question = reply.questions.first
        else { return }
        reply.header.isResponse = true
        reply.responseCode = code
        for (text, seconds) in records {
            let address = Address.of(text)
            guard address.isIPv4 == (question.type == .a) else { continue }
            let data: RecordData = address.isIPv4 ? .a(address) : .aaaa(address)
            reply.answers.append(Record(question.name, timeToLive: seconds, data))
        }
        change(&reply)
        site.answered(exchange.token, with: reply.wire(), at: now)
        collect()
    }

    /// Answers every question that is open.
    mutating func answerAll(_ records: [(String, UInt32)] = [], code: ResponseCode = .noError) {
        let open = asked
        asked = []
        for exchange in open { answer(exchange, records, code: code) }
    }
}

@Suite struct Resolving {
    @Test func `A and AAAA are asked side by side, each with a number of its own`() {
        var bench = Bench()
        #expect(bench.resolve() == ResolvedName())
        #expect(bench.asked.map(\.server) == [one, one])
        #expect(bench.asked.compactMap { Bench.question($0)?.type } == [.a, .aaaa])
        let ids = bench.asked.map { Array($0.bytes[..<2]) }
        #expect(ids[0] != ids[1])
        #expect(bench.asked.allSatisfy { $0.transport == .datagram })
        bench.answerAll([("10.0.0.2", 60), ("10.0.0.1", 60), ("2001:db8::1", 60)])
        let known = bench.resolve()
        #expect(known.ipv4.addresses.map(\.description) == ["10.0.0.1", "10.0.0.2"])
        #expect(known.ipv6.addresses.map(\.description) == ["2001:db8::1"])
        #expect(bench.asked.isEmpty)
    }

    @Test func `a silent server has one second, the next one two, then it is given up`() {
        var bench = Bench()
        bench.resolve()
        bench.run(0.9)
        #expect(bench.asked.count == 2)
        bench.run(0.2)
        #expect(bench.asked.map(\.server) == [one, one, two, two])
        bench.run(2)
        #expect(bench.asked.count == 6)
        bench.run(1)
        #expect(bench.resolve() == ResolvedName(ipv4: .failed, ipv6: .failed))
    }

    @Test func `a late answer of the first server still counts`() {
        var bench = Bench()
        bench.resolve()
        let first = bench.asked
        bench.run(1.5)
        bench.answer(first[0], [("10.0.0.1", 60)])
        #expect(bench.resolve().ipv4.addresses.count == 1)
    }

    @Test(arguments: [ResponseCode.serverFailure, .refused])
    func `a server that will not help makes the next one asked at once`(code: ResponseCode) {
        var bench = Bench()
        bench.resolve()
        bench.answerAll(code: code)
        #expect(bench.asked.map(\.server) == [two, two])
        bench.answerAll(code: code)
        #expect(bench.resolve() == ResolvedName(ipv4: .failed, ipv6: .failed))
    }

    @Test func `an exchange that fails at once makes the next server asked at once`() {
        var bench = Bench()
        bench.resolve()
        bench.site.answered(bench.asked[0].token, with: nil, at: bench.now)
        bench.collect()
        #expect(bench.asked.map(\.server) == [one, one, two])
    }

    @Test func `a truncated answer is asked for again over TCP at the same server`() {
        var bench = Bench()
        bench.resolve()
        let first = bench.asked[0]
        bench.answer(first) { $0.header.isTruncated = true }
        #expect(bench.asked.last?.transport == .stream)
        #expect(bench.asked.last?.server == one)
        bench.answer(bench.asked[2], [("10.0.0.1", 60)])
        #expect(bench.resolve().ipv4.addresses.count == 1)
    }

    @Test func `a server that does not understand EDNS is asked again without`() {
        var bench = Bench()
        bench.resolve()
        bench.answer(bench.asked[0], code: .formatError)
        let bytes = bench.asked.last?.bytes ?? []
        let again = try? DNS.Message(bytes.rawSpan)
        #expect(again?.edns == nil)
        #expect(bench.asked.last?.server == one)
    }

    @Test func `aliases are followed inside the answer`() {
        var bench = Bench()
        bench.resolve()
        let target = Name("real.example.net") ?? .root
        bench.answer(bench.asked[0]) { reply in
            reply.answers = [
                Record(app, timeToLive: 5, .cname(target)),
                Record(target, timeToLive: 60, .a(Address.real1)),
            ]
        }
        #expect(bench.resolve().ipv4 == .addresses([Address.real1]))
        bench.answer(bench.asked[1])
        bench.run(5.1)
        #expect(bench.asked.count == 3)
    }

    @Test(arguments: ["number", "name", "type", "a query", "not DNS"])
    func `a message that answers another question is passed over`(what: String) {
        var bench = Bench()
        bench.resolve()
        let first = bench.asked[0]
        if what == "not DNS" {
            bench.site.answered(first.token, with: [1, 2, 3], at: bench.now)
        } else {
            bench.answer(first, [("10.0.0.1", 60)]) { reply in
                switch what {
                case "number": reply.header.id &+= 1
                case "name": reply.questions[0].name = Name("evil.example.com") ?? .root
                case "type": reply.questions[0].type = .txt
                default: reply.header.isResponse = false
                }
            }
        }
        #expect(bench.resolve().ipv4 == .pending)
        bench.answer(first, [("10.0.0.1", 60)])
        #expect(bench.resolve().ipv4 == .addresses([Address.of("10.0.0.1")]))
    }

    @Test func `an answer for a token that was never given is harmless`() {
        var bench = Bench()
        bench.site.answered(99, with: [], at: bench.now)
        #expect(bench.site.counters.unrelated == 1)
    }

    @Test func `without nameservers a name fails at once`() {
        var bench = Bench([])
        #expect(bench.resolve() == ResolvedName(ipv4: .failed, ipv6: .failed))
    }

    @Test func `the hosts file comes first`() {
        var bench = Bench()
        bench.site.configure(
            servers: [one],
            hosts: [
                Gateway.HostEntry(name: "APP.example.com", addresses: [Address.real1]),
                Gateway.HostEntry(name: "localhost", addresses: [Address.of("127.0.0.1")]),
            ]
        )
        #expect(bench.resolve() == ResolvedName(ipv4: .addresses([Address.real1]), ipv6: .absent))
        let local = bench.resolve(Name("localhost") ?? .root)
        #expect(local == ResolvedName(ipv4: .absent, ipv6: .absent))
        #expect(bench.asked.isEmpty)
    }
}

@Suite struct RememberingNames {
    @Test func `a name in use is asked for again when its time is over, the old answer serves`() {
        var bench = Bench()
        bench.resolve()
        bench.answerAll([("10.0.0.1", 10)])
        bench.resolve()
        bench.run(10.5)
        #expect(bench.asked.count == 1)
        #expect(bench.resolve().ipv4 == .addresses([Address.of("10.0.0.1")]))
        bench.answerAll([("10.0.0.2", 10)])
        #expect(bench.resolve().ipv4 == .addresses([Address.of("10.0.0.2")]))
    }

    @Test func `a name that nobody uses is forgotten`() {
        var bench = Bench()
        bench.resolve()
        bench.answerAll([("10.0.0.1", 10)])
        bench.run(60)
        #expect(bench.resolver.count == 0)
        #expect(bench.asked.isEmpty)
        #expect(bench.nextDeadline == nil)
    }

    @Test func `a failed refresh leaves the addresses that were known`() {
        var bench = Bench()
        bench.resolve()
        bench.answerAll([("10.0.0.1", 10)])
        bench.resolve()
        bench.run(15)
        #expect(bench.resolve().ipv4 == .addresses([Address.of("10.0.0.1")]))
        #expect(bench.resolver.counters.failures > 0)
    }

    @Test func `a name that ceased to exist is gone when its time is over`() {
        var bench = Bench()
        bench.resolve()
        bench.answerAll([("10.0.0.1", 10)])
        bench.resolve()
        bench.run(11)
        bench.answerAll(code: .nameError)
        #expect(bench.resolve().ipv4 == .absent)
    }

    @Test(arguments: [(0, 1.0), (86_400, 3_600)] as [(UInt32, Double)])
    func `answers are kept between one second and one hour`(seconds: UInt32, kept: Double) {
        var bench = Bench()
        bench.resolve()
        bench.answerAll([("10.0.0.1", seconds), ("2001:db8::1", seconds)])
        bench.resolve()
        bench.run(kept - 0.1)
        #expect(bench.asked.isEmpty)
        bench.run(0.2)
        #expect(bench.asked.count == 2)
    }

    @Test func `absence is kept as long as the zone says, and a query asks again after a second`() {
        var bench = Bench()
        bench.resolve()
        for exchange in bench.asked {
            bench.answer(exchange, code: .nameError) { reply in
                let start = StartOfAuthority(
                    server: app,
                    mailbox: app,
                    serial: 1,
                    refresh: 1,
                    retry: 1,
                    expire: 1,
                    minimum: 20
                )
                reply.authorities = [Record(app, timeToLive: 600, .soa(start))]
            }
        }
        bench.asked = []
        bench.run(0.5)
        bench.resolve(isQuery: true)
        #expect(bench.asked.isEmpty)
        bench.run(0.6)
        bench.resolve()
        #expect(bench.asked.isEmpty)
        bench.resolve(isQuery: true)
        #expect(bench.asked.count == 2)
    }

    @Test func `names and look-ups have bounds`() {
        var bench = Bench()
        for number in 0..<600 { bench.resolve(Name("n\(number).example.com") ?? .root) }
        #expect(bench.asked.count == SiteResolver.Limits.lookups)
        #expect(bench.site.counters.refused == 176)
    }

    @Test func `anything queued means a deadline of now`() {
        var bench = Bench()
        _ = bench.resolver.resolve(app, isQuery: false, at: bench.now, by: &bench.site)
        #expect(bench.nextDeadline == Instant(nanoseconds: 0))
        bench.collect()
        #expect(bench.nextDeadline == .at(1))
    }

    @Test func `once it is answered, nothing is due before the answer's time is over`() {
        var bench = Bench()
        bench.resolve()
        bench.answerAll([("10.0.0.1", 60), ("2001:db8::1", 90)])
        #expect(bench.nextDeadline == .at(60))
        bench.run(200)
        #expect(bench.nextDeadline == nil)
        #expect(bench.resolver.count == 0)
        // A name of later takes the number of one that was forgotten.
        bench.resolve(Name("other.example.com") ?? .root)
        bench.answerAll([("10.0.0.2", 60)])
        #expect(bench.nextDeadline == .at(230))
    }
}
