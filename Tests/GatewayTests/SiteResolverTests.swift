import Bytes
import DNS
import Gateway
import IP
import SansIO
import Testing

private let one = Endpoint(Address.of("192.0.2.53"), port: 53)
private let two = Endpoint(Address.of("192.0.2.54"), port: 53)

/// A resolver with a clock, what it asked, and what it found.
private struct Bench {
    var site = SiteResolver(random: RandomSource(seed: 7))
    var now = Instant.at(0)
    var asked: [Exchange] = []
    var found: [SiteResolver.Finding] = []
    private var number: UInt64 = 0

    init(_ servers: [Endpoint] = [one, two], search: [String] = [], options: [String] = []) {
        site.configure(
            servers: servers,
            hosts: [],
            options: ResolverOptions(search: search, words: options)
        )
    }

    @discardableResult
    mutating func begin(_ name: String = "app.example.com", _ type: RecordType = .txt) -> Bool {
        number += 1
        let inquiry = SiteResolver.Inquiry(
            Question(Name(name) ?? .root, type),
            patience: .seconds(4)
        )
        defer { collect() }
        return site.begin(inquiry, for: .query(number), at: now)
    }

    mutating func collect() {
        while let exchange = site.pollExchange() { asked.append(exchange) }
        while let finding = site.pollFinding() { found.append(finding) }
    }

    mutating func run(_ seconds: Double) {
        let end = now.advanced(by: .seconds(seconds))
        for _ in 0..<10_000 {
            guard let next = site.nextDeadline, next <= end else { break }
            now = max(now, next)
            site.advance(to: now)
            collect()
        }
        now = end
    }

    mutating func answer(
        _ exchange: Exchange,
        _ code: ResponseCode = .noError,
        change: (inout DNS.Message) -> Void = { _ in }
    ) {
        guard var reply = try? DNS.Message(exchange.bytes.rawSpan) else { return }
        reply.header.isResponse = true
        reply.responseCode = code
        change(&reply)
        site.answered(exchange.token, with: reply.wire(), at: now)
        collect()
    }

    /// Answers the last question.
    mutating func answerLast(_ code: ResponseCode) {
        if let last = asked.last { answer(last, code) }
    }

    var servers: [Endpoint] { asked.map(\.server) }
    var names: [String] { asked.compactMap { Self.question($0)?.name.description } }

    static func question(_ exchange: Exchange) -> Question? { message(exchange)?.questions.first }

    static func message(_ exchange: Exchange) -> DNS.Message? {
        try? DNS.Message(exchange.bytes.rawSpan)
    }

    /// What the last look-up came to: a code and the name that it is about, or nothing.
    var last: (code: ResponseCode?, name: String?) {
        switch found.last?.outcome {
        case .answer(let message, let name): (message.responseCode, name.description)
        case .failure(let message): (message?.responseCode, nil)
        case nil: (nil, nil)
        }
    }
}

@Suite struct ServerChoice {
    @Test func `a server that kept silent is asked last, until it has rested`() {
        var bench = Bench()
        bench.begin()
        bench.run(1.1)
        #expect(bench.servers == [one, two])
        bench.answerLast(.noError)
        bench.asked = []
        bench.begin()
        #expect(bench.servers == [two])
        bench.answerLast(.noError)
        #expect(bench.found.count == 2)
    }

    @Test func `a rested server gets one question beside the one that is asked anyway`() {
        var bench = Bench()
        bench.begin()
        bench.run(1.1)
        bench.answerLast(.noError)
        bench.run(10)
        bench.asked = []
        bench.begin()
        #expect(bench.servers == [one, two])
        bench.answerLast(.noError)
        #expect(bench.found.count == 2)
        // It still does not answer: it rests again, and nobody waited.
        bench.asked = []
        bench.begin()
        #expect(bench.servers == [two])
        bench.answerLast(.noError)
        bench.run(10)
        bench.asked = []
        bench.begin()
        let trial = bench.asked[0]
        bench.answer(bench.asked[1])
        // Its answer comes after the look-up is over, and counts.
        bench.answer(trial)
        bench.asked = []
        bench.begin()
        #expect(bench.servers == [one])
    }

    @Test func `when all are silent they are asked in their order`() {
        var bench = Bench()
        bench.begin()
        bench.run(5)
        bench.asked = []
        bench.begin()
        #expect(bench.servers == [one])
        #expect(bench.found.count == 1)
        #expect(bench.last.code == nil)
    }

    @Test(arguments: [ResponseCode.serverFailure, .refused])
    func `who says that it cannot help is not silent, and the last word is passed on`(
        code: ResponseCode
    ) {
        var bench = Bench()
        bench.begin()
        bench.answerLast(code)
        bench.answerLast(code)
        #expect(bench.servers == [one, two])
        #expect(bench.last.code == code)
        bench.asked = []
        bench.begin()
        #expect(bench.servers == [one])
    }

    @Test func `one that fails at once counts as silent`() {
        var bench = Bench()
        bench.begin()
        bench.site.answered(bench.asked[0].token, with: nil, at: bench.now)
        bench.collect()
        #expect(bench.servers == [one, two])
        bench.answerLast(.noError)
        bench.asked = []
        bench.begin()
        #expect(bench.servers == [two])
    }

    @Test func `rotate begins with each in turn`() {
        var bench = Bench(options: ["rotate"])
        for _ in 0..<4 {
            bench.begin()
            bench.answerLast(.noError)
        }
        #expect(bench.servers == [two, one, two, one])
    }

    @Test func `timeout makes a server's time shorter, attempts ends after so many rounds`() {
        var bench = Bench(options: ["timeout:1", "attempts:1"])
        bench.begin()
        bench.run(1.1)
        #expect(bench.servers == [one, two])
        bench.run(1)
        #expect(bench.servers == [one, two])
        #expect(bench.found.count == 1)
    }

    @Test func `servers that stay keep what is known of them`() {
        var bench = Bench()
        bench.begin()
        bench.run(1.1)
        bench.answerLast(.noError)
        let three = Endpoint(Address.of("192.0.2.55"), port: 53)
        bench.site.configure(servers: [one, three], hosts: [])
        bench.asked = []
        bench.begin()
        #expect(bench.servers == [three])
    }
}

@Suite struct SearchList {
    @Test func `a name with too few dots is completed first, and taken as it is last`() {
        var bench = Bench(search: ["corp.example", "lab.example"])
        bench.begin("wiki")
        bench.answerLast(.nameError)
        bench.answerLast(.nameError)
        #expect(bench.names == ["wiki.corp.example", "wiki.lab.example", "wiki"])
        bench.answerLast(.noError)
        #expect(bench.last.code == .noError)
        #expect(bench.last.name == "wiki")
    }

    @Test func `a name with dots enough is taken as it is first, and completed last`() {
        var bench = Bench(search: ["corp.example"])
        bench.begin("wiki.fritz")
        bench.answerLast(.nameError)
        #expect(bench.names == ["wiki.fritz", "wiki.fritz.corp.example"])
        bench.answerLast(.noError)
        #expect(bench.last.name == "wiki.fritz.corp.example")
    }

    @Test func `ndots says how many dots are enough`() {
        var bench = Bench(search: ["corp.example"], options: ["ndots:2"])
        bench.begin("wiki.fritz")
        #expect(bench.names == ["wiki.fritz.corp.example"])
    }

    @Test func `a name without records of the type ends the search`() {
        var bench = Bench(search: ["corp.example", "lab.example"])
        bench.begin("wiki")
        bench.answerLast(.noError)
        #expect(bench.names == ["wiki.corp.example"])
        #expect(bench.last.name == "wiki.corp.example")
    }

    @Test func `what exists nowhere does not exist, as the name that was asked`() {
        var bench = Bench(search: ["corp.example"])
        for name in ["wiki", "wiki.fritz"] {
            bench.begin(name)
            bench.answerLast(.nameError)
            bench.answerLast(.nameError)
            #expect(bench.last.code == .nameError)
            #expect(bench.last.name == name)
        }
    }

    @Test func `a failure on the way leaves open whether the name exists`() {
        var bench = Bench([one], search: ["corp.example"])
        bench.begin("wiki")
        bench.answerLast(.serverFailure)
        bench.answerLast(.nameError)
        #expect(bench.names == ["wiki.corp.example", "wiki"])
        #expect(bench.last.code == .serverFailure)
        bench.begin("wiki.fritz")
        bench.answerLast(.nameError)
        bench.answerLast(.serverFailure)
        #expect(bench.last.code == .nameError)
        #expect(bench.last.name == "wiki.fritz")
    }

    @Test func `a second server's word counts more than the failure of the first`() {
        var bench = Bench()
        bench.begin()
        bench.answerLast(.serverFailure)
        bench.answerLast(.nameError)
        #expect(bench.last.code == .nameError)
    }

    @Test func `silence about one name is not waited for again with the next`() {
        var bench = Bench([one], search: ["corp.example"])
        bench.begin("wiki")
        bench.run(5)
        #expect(Set(bench.names) == ["wiki.corp.example"])
        #expect(bench.found.count == 1)
    }

    @Test func `names of addresses are never completed`() {
        var bench = Bench(search: ["corp.example"])
        bench.begin("1.2.0.192.in-addr.arpa", .ptr)
        bench.answerLast(.nameError)
        #expect(bench.names == ["1.2.0.192.in-addr.arpa"])
        #expect(bench.found.count == 1)
    }
}

@Suite struct SiteQuestions {
    @Test func `DO and CD travel, cookies and client-subnet of nobody do`() {
        var bench = Bench()
        var inquiry = SiteResolver.Inquiry(
            Question(Name("app.example.com") ?? .root, .mx),
            patience: .seconds(3)
        )
        inquiry.isDNSSECWanted = true
        inquiry.isCheckingDisabled = true
        let begun = bench.site.begin(inquiry, for: .query(1), at: bench.now)
        #expect(begun)
        bench.collect()
        let sent = Bench.message(bench.asked[0])
        #expect(sent?.edns == EDNS(isDNSSECWanted: true))
        #expect(sent?.header.isCheckingDisabled == true)
        #expect(sent?.header.isRecursionDesired == true)
        #expect(sent?.questions == [inquiry.question])
    }

    @Test func `what is truncated over TCP, too, is of no use`() {
        var bench = Bench([one])
        bench.begin()
        bench.answer(bench.asked[0]) { $0.header.isTruncated = true }
        #expect(bench.asked.map(\.transport) == [.datagram, .stream])
        bench.answer(bench.asked[1]) { $0.header.isTruncated = true }
        #expect(bench.found.count == 1)
        #expect(bench.last.code == nil)
    }

    @Test func `a server without EDNS that echoes no question is asked again without`() {
        var bench = Bench([one])
        bench.begin()
        bench.answer(bench.asked[0], .formatError) {
            $0.questions = []
            $0.edns = nil
        }
        #expect(bench.asked.count == 2)
        #expect(Bench.message(bench.asked[1])?.edns == nil)
    }

    @Test func `without servers nothing begins, and look-ups have a bound`() {
        var none = Bench([])
        let begun = none.begin()
        #expect(!begun)
        var bench = Bench()
        for _ in 0..<SiteResolver.Limits.lookups { bench.begin() }
        let further = bench.begin()
        #expect(!further)
        #expect(bench.site.counters.refused == 1)
        bench.run(5)
        #expect(bench.site.count == 0)
        #expect(bench.found.count == SiteResolver.Limits.lookups)
        #expect(bench.site.nextDeadline == nil)
    }
}
