internal import Bytes
internal import Client
internal import Control
internal import DNS
internal import IP
internal import SansIO

/// Any bytes as what the DNS side of a client meets: the first byte chooses between a message, a
/// query to the stub resolver with its upstream's answer, texts of names and patterns, the log of
/// names, and a play of the stub resolver. Nothing may trap, and what can be read must mean the
/// same when it was written again.
enum DNSEntry {
    static func run(_ input: [UInt8]) {
        guard let choice = input.first else { return }
        let rest = Array(input.dropFirst())
        if choice & 4 != 0 { return StubPlay.run(rest) }
        switch choice & 3 {
        case 0: readMessage(rest)
        case 1: resolve(rest)
        case 2: readTexts(String(decoding: rest, as: UTF8.self))
        default: readLog(rest)
        }
    }

    private static func readMessage(_ bytes: [UInt8]) {
        let isFramed = (try? MessageView(bytes.rawSpan).header) != nil
        guard let message = try? Message(bytes.rawSpan) else { return }
        precondition(isFramed, "read whole, but not as a frame")
        _ = message.addresses()
        guard var again = try? Message(message.wire(byteCountMax: .max).rawSpan) else {
            preconditionFailure("what was written cannot be read")
        }
        again.header = message.header
        precondition(again == message, "written, it means something else")
    }

    private static let proxies = ["100.96.0.0/24", "fd00:2021:1111:8000::/107"].compactMap {
        IPPrefix($0)
    }
    private static let sentinels = ["100.100.111.0/24"].compactMap { IPPrefix($0) }

    /// The first byte is the length of a query, which follows; then comes what the upstream says.
    private static func resolve(_ input: [UInt8]) {
        guard let length = input.first, let sentinel = IPAddress("100.100.111.1"),
            let upstream = Endpoint("192.0.2.53:53"), let pattern = try? NamePattern("*.a")
        else { return }
        var stub = StubResolver(
            proxies: ProxyTable(proxies: proxies, sentinels: sentinels),
            sentinels: Sentinels(ranges: sentinels),
            random: RandomSource(seed: 1)
        )
        _ = stub.setUpstreams([Upstream(upstream)])
        _ = stub.setResources([ProtectedName(id: "r", pattern: pattern)])
        let now = Instant(nanoseconds: 1_000_000_000)
        let query = Array(input.dropFirst().prefix(Int(length)))
        let asker = Asker(
            sentinel: sentinel,
            path: length & 1 == 0 ? .stream(id: 1) : .datagram(source: upstream)
        )
        for _ in 0..<2 {
            switch stub.resolve(query.rawSpan, from: asker, at: now) {
            case .answer(let answer): checkAnswer(answer, to: query)
            case .forward(let exchange):
                precondition(
                    exchange.bytes.count == query.count
                        && zip(exchange.bytes, query).count { $0 != $1 } <= 4,
                    "more than ID and size are changed on the way"
                )
                let answer = Array(exchange.bytes.prefix(2) + input.dropFirst(1 + query.count))
                if let reply = stub.finish(exchange.token, with: answer, at: now) {
                    precondition(reply.bytes.prefix(2) == query.prefix(2), "another ID")
                }
            case .askSite(let question):
                let answer = Array(question.bytes.prefix(2) + input.dropFirst(1 + query.count))
                if let reply = stub.finish(question.token, with: answer, at: now) {
                    checkAnswer(reply.bytes, to: query)
                }
            case .wait, .drop: break
            }
        }
        stub.advance(to: now.advanced(by: .seconds(10)))
        while let reply = stub.popReply() { checkAnswer(reply.bytes, to: query) }
        precondition(stub.nextDeadline == nil, "something waits for nothing")
    }

    private static func checkAnswer(_ answer: [UInt8], to query: [UInt8]) {
        guard let message = try? Message(answer.rawSpan) else {
            preconditionFailure("an answer that cannot be read")
        }
        precondition(message.header.isResponse, "an answer that is none")
        precondition(answer.prefix(2) == query.prefix(2), "another ID")
    }

    private static func readTexts(_ text: String) {
        if let name = try? Name(text: text) {
            precondition((try? Name(text: name.description))?.wire == name.wire, "another name")
            if let address = name.reverseAddress { precondition(Name(reverse: address) == name) }
        }
        let parts = text.split(separator: " ", maxSplits: 1).map(String.init)
        guard let pattern = try? NamePattern(parts.first ?? "") else { return }
        var index = PatternIndex<Int>()
        index.insert(pattern, 1)
        if parts.count > 1, let name = try? Name(text: parts[1]) {
            precondition(
                index.hasMatch(of: name) == pattern.matches(name),
                "index and pattern differ"
            )
        }
        if pattern.isLiteral { precondition(pattern.matches(pattern.literalSuffix)) }
        index.remove(pattern, 1)
        precondition(index.count == 0)
    }

    private static func readLog(_ log: [UInt8]) {
        let now = Instant(nanoseconds: 1)
        func read(_ log: [UInt8]) -> ProxyTable {
            ProxyTable(reading: log.rawSpan, proxies: proxies, sentinels: sentinels, at: now)
        }
        // The log's own head, so that what follows counts.
        var fresh = ProxyTable(proxies: proxies, sentinels: sentinels)
        let table = read((fresh.popRecord()?.bytes ?? []) + log)
        precondition(read(table.write()).count == table.count, "names got lost")
    }
}
