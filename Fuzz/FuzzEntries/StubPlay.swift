internal import Bytes
internal import Client
internal import Control
internal import DNS
internal import IP
internal import SansIO

/// A stub resolver with resources, zones, a cache and nameservers that say anything: any steps in
/// any order. What is asked by TCP is answered exactly once, nothing about a protected name is ever
/// asked of a nameserver, and in the end nobody waits.
struct StubPlay: ~Copyable {
    private static let proxies = ["100.96.0.0/24", "fd00:2021:1111:8000::/107"]
        .compactMap { IPPrefix($0) }
    private static let sentinels = ["100.100.111.0/24"].compactMap { IPPrefix($0) }
    private static let names = [
        "git.a", "a", "x.a", "b", "x.b", "y.x.b", "corp.b", "x.corp.b", "localhost", "p.local",
        "1.0.0.10.in-addr.arpa", "1.0.96.100.in-addr.arpa", "1.111.100.100.in-addr.arpa",
    ].compactMap { Name($0) }
    private static let types = [1, 28, 16, 15, 6, 12, 65, 255, 252, 41, 257]
        .map { RecordType(rawValue: $0) }
    private static let upstreams = ["192.0.2.53", "10.0.0.1", "tls://dns.b", "100.100.111.9"]
        .compactMap { Upstream($0) }
    private static let patterns = ["*.a", "git.a", "x.corp.b", "**", "?.b"]

    private var stub: StubResolver
    private var script: Script
    private var now = Instant(nanoseconds: 1_000_000_000_000)
    private var asked: [(token: UInt64, bytes: [UInt8])] = []
    /// Queries by TCP that wait for their answer.
    private var waiting: Set<UInt64> = []
    private var nextStream: UInt64 = 0

    init(_ script: Script) {
        self.script = script
        stub = StubResolver(
            proxies: ProxyTable(proxies: Self.proxies, sentinels: Self.sentinels),
            sentinels: Sentinels(ranges: Self.sentinels),
            random: RandomSource(seed: 1)
        )
        _ = stub.setUpstreams([Self.upstreams[0]])
        _ = stub.setResource(ProtectedName(id: "git", pattern: Self.pattern("git.a")))
    }

    static func run(_ input: [UInt8]) {
        var play = StubPlay(Script(input))
        for _ in 0..<Script.Limits.steps where !play.script.isAtEnd { play.step() }
        play.end()
    }

    private static func pattern(_ text: String) -> NamePattern {
        guard let pattern = try? NamePattern(text) else {
            preconditionFailure("no pattern: \(text)")
        }
        return pattern
    }

    private mutating func step() {
        switch script.byte() % 12 {
        case 0...3: ask()
        case 4, 5: answer()
        case 6:
            if let token = script.choice(asked.map(\.token)) {
                let error = ExtendedError(code: script.uint16())
                take(stub.refuse(token, error: error, at: now))
            }
        case 7: pass(script.duration())
        case 8: changeResources()
        case 9: changeNameservers()
        case 10: stub.isCacheEnabled = script.flag()
        default: stub.flushCache()
        }
        drain()
    }

    private mutating func ask() {
        guard let name = script.choice(Self.names), let type = script.choice(Self.types) else {
            return
        }
        let flags = script.byte()
        var edns: EDNS?
        if flags & 1 != 0 { edns = EDNS(isDNSSECWanted: flags & 2 != 0) }
        if flags & 4 != 0 { edns?.options = [EDNS.Option(code: script.uint16() & 15, value: [1])] }
        let question = Question(name, type, RecordClass(rawValue: flags & 8 == 0 ? 1 : 255))
        let bytes = Message(query: question, id: script.uint16(), edns: edns).wire()
        let sentinel = stub.sentinels.addresses.first ?? Self.sentinels[0].address
        nextStream += 1
        let source = Endpoint(Self.sentinels[0].address, port: 53)
        let asker = Asker(
            sentinel: sentinel,
            path: flags & 16 == 0 ? .stream(id: nextStream) : .datagram(source: source)
        )
        if case .stream = asker.path { waiting.insert(nextStream) }
        switch stub.resolve(bytes.rawSpan, from: asker, at: now) {
        case .answer(let answer): take(asker, answer)
        case .forward(let query): forward(query)
        case .askSite(let question): asked.append((question.token, question.bytes))
        case .wait: break
        case .drop: waiting.remove(nextStream)
        }
    }

    private mutating func forward(_ query: UpstreamQuery) {
        guard let question = (try? MessageView(query.bytes.rawSpan))?.question else {
            preconditionFailure("a question that cannot be read is asked of a nameserver")
        }
        precondition(
            stub.resources(of: question.name).isEmpty,
            "a protected name is asked of a nameserver"
        )
        asked.append((query.token, query.bytes))
    }

    /// A nameserver or a site says something, sensible or not.
    private mutating func answer() {
        guard let (token, query) = script.choice(asked) else { return }
        let kind = script.byte()
        guard kind & 7 != 7 else { return take(stub.finish(token, with: nil, at: now)) }
        guard kind & 7 != 6, var message = try? Message(query.rawSpan) else {
            return take(stub.finish(token, with: query.prefix(2) + script.chunk(), at: now))
        }
        message.header.isResponse = true
        message.header.responseCodeBits = kind >> 4 & 3
        message.header.isTruncated = kind & 8 != 0
        let name = message.questions[0].name
        let data = RecordData.a(IPAddress(ipv4: script.uint32()))
        message.answers = [Record(name, timeToLive: UInt32(script.byte()), data)]
        take(stub.finish(token, with: message.wire(), at: now))
    }

    private mutating func changeResources() {
        let id = ResourceID("r\(script.byte() & 3)")
        if script.flag() {
            _ = stub.removeResource(id)
        } else if let text = script.choice(Self.patterns) {
            _ = stub.setResource(ProtectedName(id: id, pattern: Self.pattern(text)))
        }
    }

    private mutating func changeNameservers() {
        let chosen = (0..<Int(script.byte() & 3)).compactMap { _ in script.choice(Self.upstreams) }
        switch script.byte() & 3 {
        case 0: _ = stub.setUpstreams(chosen)
        case 1:
            let name = script.choice(Self.names) ?? .root
            let zone = ForwardZone(name: name, upstreams: chosen, isHosts: script.flag())
            _ = stub.setZones([zone])
        case 2: stub.setTunnelUpstreams(Set(chosen))
        default: stub.setConflicts([IPPrefix(script.address(), bitCount: 24)].compactMap(\.self))
        }
    }

    private mutating func pass(_ duration: Duration) {
        now = now.advanced(by: duration)
        stub.advance(to: now)
    }

    private mutating func drain() {
        while let query = stub.popQuery() { forward(query) }
        while let reply = stub.popReply() { take(reply) }
        while stub.proxies.popRecord() != nil {}
        while stub.proxies.popRelease() != nil {}
    }

    private mutating func take(_ reply: StubResolver.Reply?) {
        if let reply { take(reply.asker, reply.bytes) }
    }

    private mutating func take(_ asker: Asker, _ bytes: [UInt8]) {
        if case .stream(let id) = asker.path {
            precondition(waiting.remove(id) != nil, "answered twice, or not asked")
        }
        // A nameserver's answer may hold records that cannot be read.
        guard let header = try? Header(bytes.rawSpan) else {
            preconditionFailure("an answer without header")
        }
        precondition(header.isResponse, "an answer that is none")
    }

    /// After the longest wait everybody has an answer.
    private mutating func end() {
        for _ in 0..<8 {
            pass(.seconds(5))
            drain()
        }
        precondition(waiting.isEmpty, "somebody waits for ever")
        precondition(stub.inFlightCount == 0, "something waits for nothing")
    }
}
