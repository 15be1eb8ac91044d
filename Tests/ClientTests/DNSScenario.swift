import Bytes
import Client
import Control
import DNS
import IP
import SansIO

/// A DNS case as data: one step a line, in words; `#` begins a comment.
///
/// Given:
///   resource ID PATTERN [both|ipv4|ipv6]     remove ID
///   upstreams ENDPOINT…                      tunnel ADDRESS…
///   families NAME [ipv4] [ipv6]              packet ADDRESS        restart
/// Query, over UDP to the first sentinel unless said otherwise:
///   query NAME TYPE [tcp] [edns=BYTES] [do] [version=N] [class=N] [sentinel=ADDRESS]
///   bytes HEX…
/// What upstreams do with the oldest query that they have:
///   upstream RCODE [RECORD]…                 upstream padding BYTES
///   upstream unreachable
/// What the site does with its oldest question:
///   site RCODE [RECORD]…                     site refused CODE
/// Time passes:
///   after SECONDS
/// Expect, of the last query, or with `later` of the next answer that comes by itself:
///   expect RCODE [RECORD]… [aa] [tc] [edns=BYTES|no-edns] [error=CODE] [soa=ZONE] [count=N]
///   expect forward ENDPOINT udp|tcp          expect wait|drop|silence
///   expect site udp|tcp [ID]…
///   expect sentinels ADDRESS…                expect resources ADDRESS [ID]…
/// A record is TYPE=DATA, an address or a name.
struct DNSScenario {
    /// A step that did not come out.
    struct Failure: Error, CustomStringConvertible {
        let line: Int
        let text: String
        let reason: String
        var description: String { "line \(line): \(text): \(reason)" }
    }

    private let stub: Stub
    private var now = Instant(nanoseconds: 3_600_000_000_000)
    private var resources: [ProtectedName] = []
    private var log: [UInt8] = []
    private var outcome = StubResolver.Outcome.drop
    private var exchanges: [UpstreamQuery] = []
    private var questions: [SiteQuestion] = []
    private var reply: [UInt8]?

    init() throws {
        stub = try makeStub()
    }

    /// Runs all steps; throws at the first that fails.
    static func run(_ text: String) throws {
        var scenario = try DNSScenario()
        var number = 0
        for line in text.split(separator: "\n", omittingEmptySubsequences: false) {
            number += 1
            let step = line.prefix { $0 != "#" }
            let words = step.split(separator: " ").map(String.init)
            guard !words.isEmpty else { continue }
            do {
                try scenario.take(words)
            } catch {
                throw Failure(line: number, text: String(step), reason: "\(error)")
            }
        }
    }

    private struct Wrong: Error, CustomStringConvertible {
        let description: String
        init(_ description: String) { self.description = description }
    }

    private func need<Value>(_ value: Value?, _ what: String) throws -> Value {
        guard let value else { throw Wrong("cannot read \(what)") }
        return value
    }

    private func check(_ isTrue: Bool, _ what: @autoclosure () -> String) throws {
        if !isTrue { throw Wrong(what()) }
    }

    private mutating func take(_ words: [String]) throws {
        let rest = Array(words.dropFirst())
        switch words[0] {
        case "query": try query(rest)
        case "bytes":
            let bytes = try rest.map { try need(UInt8($0, radix: 16), $0) }
            resolve(bytes, from: try asker())
        case "upstream": try upstream(rest)
        case "site": try site(rest)
        case "after":
            now = now.advanced(by: .milliseconds(Int(try need(Double(rest[0]), rest[0]) * 1000)))
            stub.advance(to: now)
        case "expect": try expect(rest)
        default: try given(words[0], rest)
        }
        while let record = stub.proxies.popRecord() { log += record.bytes }
    }
}

// MARK: - Given

extension DNSScenario {
    private mutating func given(_ word: String, _ rest: [String]) throws {
        switch word {
        case "resource":
            let families = rest.count > 2 ? ServedFamilies(rawValue: rest[2]) : .both
            let resource = ProtectedName(
                id: ResourceID(rest[0]),
                pattern: try NamePattern(rest[1]),
                families: try need(families, "families")
            )
            resources.removeAll { $0.id == resource.id }
            resources.append(resource)
            _ = stub.setResources(resources)
        case "remove":
            resources.removeAll { $0.id.text == rest[0] }
            _ = stub.setResources(resources)
        case "upstreams": _ = stub.setUpstreams(try rest.map { try need(Upstream($0), $0) })
        case "tunnel": stub.setTunnelAddresses(try rest.map { try need(IPAddress($0), $0) })
        case "families":
            let slot = try need(stub.proxies.slot(of: try Name(text: rest[0])), "a known name")
            let (ipv4, ipv6) = (rest.contains("ipv4"), rest.contains("ipv6"))
            stub.proxies.setFamilies(of: slot, ipv4: ipv4, ipv6: ipv6)
        case "packet":
            let address = try need(IPAddress(rest[0]), rest[0])
            let place = try need(stub.proxies.place(of: address), "a proxy address")
            stub.proxies.notePacket(place.slot, at: now)
        case "restart":
            let table = ProxyTable(
                reading: log.rawSpan,
                proxies: Plan.proxies,
                sentinels: Plan.sentinels,
                at: now
            )
            stub.replaceProxies(with: table)
        default: throw Wrong("no such step")
        }
    }

    private func asker(_ words: [String] = []) throws -> Asker {
        var sentinel = stub.sentinels.addresses.first
        for word in words where word.hasPrefix("sentinel=") {
            sentinel = IPAddress(String(word.dropFirst(9)))
        }
        let source = Endpoint(try need(IPAddress("100.64.0.1"), "source"), port: 5_353)
        return Asker(
            sentinel: try need(sentinel, "sentinel"),
            path: words.contains("tcp") ? .stream(id: 1) : .datagram(source: source)
        )
    }

    private mutating func query(_ words: [String]) throws {
        var question = Question(
            try Name(text: words[0]),
            try need(RecordType(words[1]), words[1])
        )
        var edns: EDNS?
        for word in words.dropFirst(2) {
            let parts = word.split(separator: "=").map(String.init)
            let number = parts.count > 1 ? UInt16(parts[1]) : nil
            switch parts[0] {
            case "edns": edns = EDNS(udpByteCount: try need(number, word))
            case "do": edns?.isDNSSECWanted = true
            case "version": edns?.version = UInt8(clamping: try need(number, word))
            case "class": question.recordClass = RecordClass(rawValue: try need(number, word))
            case "tcp", "sentinel": break
            default: throw Wrong("cannot read \(word)")
            }
        }
        let message = Message(query: question, id: 0x5353, edns: edns)
        resolve(message.wire(), from: try asker(words))
    }

    private mutating func resolve(_ bytes: [UInt8], from asker: Asker) {
        outcome = stub.resolve(bytes, from: asker, at: now)
        if case .forward(let exchange) = outcome { exchanges.append(exchange) }
        if case .askSite(let question) = outcome { questions.append(question) }
    }

    private mutating func upstream(_ words: [String]) throws {
        try check(!exchanges.isEmpty, "no upstream was asked")
        let exchange = exchanges.removeFirst()
        let isReachable = words[0] != "unreachable"
        let answer = isReachable ? try self.answer(to: exchange.bytes, words) : nil
        let reply = stub.finish(exchange.token, with: answer, at: now)
        outcome = reply.map { .answer($0.bytes) } ?? .drop
    }

    private mutating func site(_ words: [String]) throws {
        try check(!questions.isEmpty, "no site was asked")
        let question = questions.removeFirst()
        let reply: StubResolver.Reply?
        if words[0] == "refused" {
            let error = ExtendedError(code: try need(UInt16(words[1]), words[1]))
            reply = stub.refuse(question.token, error, at: now)
        } else {
            let answer = try self.answer(to: question.bytes, words)
            reply = stub.finish(question.token, with: answer, at: now)
        }
        outcome = reply.map { .answer($0.bytes) } ?? .drop
    }

    private func answer(to query: [UInt8], _ words: [String]) throws -> [UInt8] {
        var message = try Message(query.rawSpan)
        let name = message.questions[0].name
        message.header.isResponse = true
        if words[0] == "padding" {
            let size = try need(Int(words[1]), words[1])
            let data = RecordData.other(
                RecordType(rawValue: 65_280),
                Array(repeating: 0, count: size)
            )
            message.answers = [Record(name, timeToLive: 60, data)]
        } else {
            message.responseCode = try need(ResponseCode(words[0]), words[0])
            message.answers = try words.dropFirst().map { try record($0, name, 60) }
        }
        return message.wire()
    }

    private func record(_ word: String, _ name: Name, _ timeToLive: UInt32) throws -> Record {
        let parts = word.split(separator: "=", maxSplits: 1).map(String.init)
        try check(parts.count == 2, "cannot read \(word)")
        let data: RecordData? =
            switch parts[0] {
            case "A": IPAddress(parts[1]).map { .a($0) }
            case "AAAA": IPAddress(parts[1]).map { .aaaa($0) }
            case "PTR": Name(parts[1]).map { .ptr($0) }
            case "CNAME": Name(parts[1]).map { .cname($0) }
            case "NS": Name(parts[1]).map { .ns($0) }
            case "HINFO": .hinfo(processor: Array(parts[1].utf8), system: [])
            default: nil
            }
        return Record(name, timeToLive: timeToLive, try need(data, word))
    }
}

// MARK: - Expect

extension DNSScenario {
    private mutating func expect(_ words: [String]) throws {
        var words = words
        if words[0] == "later" {
            words.removeFirst()
            outcome = stub.popReply().map { .answer($0.bytes) } ?? .drop
        }
        switch words[0] {
        case "forward":
            guard case .forward(let exchange) = outcome else { throw Wrong("not forwarded") }
            let transport: Exchange.Transport = words[2] == "tcp" ? .stream : .datagram
            try check(exchange.upstream == Upstream(words[1]), "to \(exchange.upstream)")
            try check(exchange.transport == transport, "by \(exchange.transport)")
        case "site":
            guard case .askSite(let question) = outcome else { throw Wrong("not for a site") }
            try check(question.isStream == (words[1] == "tcp"), "by another transport")
            let ids = question.resources.map(\.text)
            try check(ids == Array(words.dropFirst(2)), "\(ids)")
        case "wait": try check(outcome == .wait, "\(outcome)")
        case "drop", "silence": try check(outcome == .drop, "\(outcome)")
        case "sentinels":
            let all = stub.sentinels.addresses.map(\.description)
            try check(all == Array(words.dropFirst()), "\(all)")
        case "resources":
            let address = try need(IPAddress(words[1]), words[1])
            let place = stub.proxies.place(of: address)
            let all = place.map { stub.resources(of: $0.slot).map(\.text) } ?? []
            try check(all == Array(words.dropFirst(2)), "\(all)")
        default: try expectAnswer(words)
        }
    }

    private func expectAnswer(_ words: [String]) throws {
        guard case .answer(let bytes) = outcome else { throw Wrong("no answer: \(outcome)") }
        let message = try Message(bytes.rawSpan)
        let code = try need(ResponseCode(words[0]), words[0])
        try check(message.responseCode == code, "\(message.responseCode)")
        var count: Int?
        var (flags, records) = (Set<String>(), [String]())
        for word in words.dropFirst() {
            let parts = word.split(separator: "=", maxSplits: 1).map(String.init)
            switch parts[0] {
            case "aa", "tc": flags.insert(word)
            case "no-edns": try check(message.edns == nil, "OPT is there")
            case "edns":
                try check(message.edns.map { "\($0.udpByteCount)" } == parts[1], "\(message)")
            case "error":
                let errors = (message.edns?.extendedErrors ?? []).map { "\($0.code)" }
                try check(errors == [parts[1]], "extended errors \(errors)")
            case "soa":
                let zones = message.authorities.map { "\($0.type) \($0.name)" }
                try check(zones == ["SOA \(parts[1])"], "\(zones)")
            case "count": count = Int(parts[1])
            default: records.append(word)
            }
        }
        try check(message.header.isAuthoritative == flags.contains("aa"), "AA")
        try check(message.header.isTruncated == flags.contains("tc"), "TC")
        try expectRecords(message, records, count)
    }

    private func expectRecords(_ message: Message, _ words: [String], _ count: Int?) throws {
        if let count {
            try check(message.answers.count == count, "\(message.answers.count) answers")
        }
        guard count == nil || !words.isEmpty else { return }
        let name = message.questions.first?.name ?? .root
        let expected = try words.map { try record($0, name, 0).data }
        let found = message.answers.map(\.data)
        try check(found.allSatisfy { expected.contains($0) || count != nil }, "\(found)")
        try check(expected.allSatisfy { found.contains($0) }, "\(found)")
        try check(count != nil || found.count == expected.count, "\(found)")
    }
}
