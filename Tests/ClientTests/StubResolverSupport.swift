import Bytes
import Client
import Control
import DNS
import IP
import SansIO
import Testing

/// The ranges of an account that chose none.
enum Plan {
    static let proxies = ["100.96.0.0/11", "fd00:2021:1111:8000::/107"].compactMap { IPPrefix($0) }
    static let sentinels = ["100.100.111.0/24", "fd00:2021:1111:8000:100:100:111:0/120"]
        .compactMap { IPPrefix($0) }
}

func address(_ text: String) throws -> IPAddress { try #require(IPAddress(text)) }

func endpoint(_ text: String) throws -> Endpoint { try #require(Endpoint(text)) }

func upstream(_ text: String) throws -> Upstream { try #require(Upstream(text)) }

func at(_ seconds: Double) -> Instant {
    Instant(nanoseconds: UInt64((1_000 + seconds) * 1_000_000_000))
}

/// A resolver with one upstream, and resources given as `id` and pattern.
func makeStub(
    _ resources: [(String, String)] = [],
    families: ServedFamilies = .both,
    table: ProxyTable? = nil
) throws -> Stub {
    let table = table ?? ProxyTable(proxies: Plan.proxies, sentinels: Plan.sentinels)
    var stub = StubResolver(
        proxies: table,
        sentinels: Sentinels(ranges: Plan.sentinels),
        random: RandomSource(seed: 53)
    )
    _ = stub.setUpstreams([try upstream("192.0.2.53:53")])
    _ = try stub.setResources(
        resources.map {
            ProtectedName(
                id: ResourceID($0.0),
                pattern: try NamePattern($0.1),
                families: families
            )
        }
    )
    return Stub(stub)
}

/// The asker on UDP that most tests have.
func asker(port: UInt16 = 40_000) throws -> Asker {
    Asker(
        sentinel: try address("100.100.111.1"),
        path: .datagram(source: Endpoint(try address("100.64.0.1"), port: port))
    )
}

/// The asker on TCP that most tests have.
func streamAsker(_ id: UInt64 = 1) throws -> Asker {
    Asker(sentinel: try address("100.100.111.1"), path: .stream(id: id))
}

func query(
    _ name: String,
    _ type: RecordType,
    id: UInt16 = 0x1234,
    edns: EDNS? = nil
) throws -> [UInt8] {
    Message(query: Question(try Name(text: name), type), id: id, edns: edns).wire()
}

/// A resolver that expectations can look at; they cannot take a value that is not copied.
final class Stub {
    private var resolver: StubResolver

    init(_ resolver: consuming StubResolver) { self.resolver = resolver }

    var proxies: ProxyTable {
        get { resolver.proxies }
        set { resolver.proxies = newValue }
    }
    var sentinels: Sentinels { resolver.sentinels }
    var nextDeadline: Instant? { resolver.nextDeadline }
    var inFlightCount: Int { resolver.inFlightCount }

    func replaceProxies(with table: ProxyTable) { resolver.replaceProxies(with: table) }
    func setUpstreams(_ all: [Upstream]) -> Bool { resolver.setUpstreams(all) }
    var cacheStatus: CacheStatus { resolver.cacheStatus }
    var isCacheEnabled: Bool {
        get { resolver.isCacheEnabled }
        set { resolver.isCacheEnabled = newValue }
    }

    func flushCache() { resolver.flushCache() }
    func setZones(_ all: [ForwardZone]) -> Bool { resolver.setZones(all) }
    func setTunnelUpstreams(_ all: Set<Upstream>) { resolver.setTunnelUpstreams(all) }
    func setConflicts(_ networks: [IPPrefix]) { resolver.setConflicts(networks) }
    func popQuery() -> UpstreamQuery? { resolver.popQuery() }

    func explain(
        _ name: String,
        _ type: RecordType = .a,
        at now: Instant = at(0)
    ) throws -> QueryExplanation {
        resolver.explain(try Name(text: name), type, at: now)
    }

    func setTunnelAddresses(_ all: [IPAddress]) { resolver.setTunnelAddresses(all) }
    func setWithheld(_ names: WithheldNames?) -> Bool { resolver.setWithheld(names) }
    func setResources(_ all: [ProtectedName]) -> Bool { resolver.setResources(all) }
    func setResource(_ resource: ProtectedName) -> Bool { resolver.setResource(resource) }
    func removeResource(_ id: ResourceID) -> Bool { resolver.removeResource(id) }
    func resources(of slot: Int) -> [ResourceID] { resolver.resources(of: slot) }
    func resources(of name: Name) -> [ResourceID] { resolver.resources(of: name) }
    func advance(to now: Instant) { resolver.advance(to: now) }
    func popReply() -> StubResolver.Reply? { resolver.popReply() }

    func resolve(_ bytes: [UInt8], from asker: Asker, at now: Instant) -> StubResolver.Outcome {
        resolver.resolve(bytes.rawSpan, from: asker, at: now)
    }

    func refuse(_ token: UInt64, _ error: ExtendedError, at now: Instant) -> StubResolver.Reply? {
        resolver.refuse(token, error: error, at: now)
    }

    func finish(_ token: UInt64, with bytes: [UInt8]?, at now: Instant) -> StubResolver.Reply? {
        resolver.finish(token, with: bytes, at: now)
    }

    /// Asks, and reads the answer that comes at once; nil when none does.
    func ask(
        _ name: String,
        _ type: RecordType,
        edns: EDNS? = nil,
        at now: Instant = at(0)
    ) throws -> Message? {
        let bytes = try query(name, type, edns: edns)
        guard case .answer(let answer) = resolve(bytes, from: try asker(), at: now) else {
            return nil
        }
        return try Message(answer.rawSpan)
    }

    /// Asks, and gives the exchange that the query became.
    func forwarded(
        _ bytes: [UInt8],
        from asker: Asker,
        at now: Instant = at(0)
    ) throws -> UpstreamQuery {
        guard case .forward(let exchange) = resolve(bytes, from: asker, at: now) else {
            throw NotForwarded()
        }
        return exchange
    }
}

extension Stub {
    /// Asks, and gives what the site is asked then.
    func askedOfSite(
        _ bytes: [UInt8],
        from asker: Asker,
        at now: Instant = at(0)
    ) throws -> SiteQuestion {
        guard case .askSite(let question) = resolve(bytes, from: asker, at: now) else {
            throw NotForwarded()
        }
        return question
    }
}

struct NotForwarded: Error {}

extension Message {
    /// The addresses of the answer section, as text.
    var addressTexts: [String] { answers.compactMap { $0.data.address?.description } }
}

/// An upstream's answer to what it was sent.
func upstreamAnswer(
    to sent: [UInt8],
    _ change: (inout Message) throws -> Void = { _ in }
) throws -> [UInt8] {
    var message = try Message(sent.rawSpan)
    message.header.isResponse = true
    message.header.isRecursionAvailable = true
    message.edns = nil
    let name = try #require(message.questions.first).name
    message.answers = [Record(name, timeToLive: 300, .a(try address("203.0.113.7")))]
    try change(&message)
    return message.wire()
}
