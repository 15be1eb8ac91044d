import Bytes
import DNS
import IP
import Testing

@Suite struct MessageTests {
    /// One record of each kind that is read, for a message that holds them all.
    static func everyKind() throws -> [RecordData] {
        let host = try name("host.example.com")
        return [
            .a(try #require(IPAddress("192.0.2.1"))), .aaaa(try #require(IPAddress("2001:db8::1"))),
            .cname(host), .ns(host), .ptr(host), .mx(preference: 10, host),
            .txt([Array("one".utf8), [], Array(repeating: 120, count: 255)]),
            .srv(priority: 1, weight: 2, port: 443, host),
            .soa(
                StartOfAuthority(
                    server: host,
                    mailbox: try name("hostmaster.example.com"),
                    serial: 1,
                    refresh: 2,
                    retry: 3,
                    expire: 4,
                    minimum: 5
                )
            ),
            .caa(flags: 128, tag: Array("issue".utf8), value: Array("ca.example".utf8)),
            .svcb(priority: 0, target: host, []),
            .https(priority: 1, target: .root, [ServiceParameter(key: 1, value: [2, 104, 50])]),
            .hinfo(processor: Array("RFC8482".utf8), system: []),
            .other(RecordType(rawValue: 65280), [1, 2, 3]),
        ]
    }

    @Test func `a message with every kind of record reads back as it was written`() throws {
        let owner = try name("www.example.com")
        var message = Message(query: Question(owner, .any), id: 0x1234)
        message.header.isResponse = true
        message.answers = try Self.everyKind().map { Record(owner, timeToLive: 300, $0) }
        message.authorities = [message.answers[3]]
        message.additionals = [message.answers[0], message.answers[1]]
        message.edns = EDNS(isDNSSECWanted: true, options: [ExtendedError.prohibited.option])
        let wire = message.wire()
        var again = try Message(wire.rawSpan)
        #expect(again.header.answerCount == 14)
        again.header = message.header
        #expect(again == message)
        let view = try MessageView(wire.rawSpan)
        #expect(view.question == message.questions.first)
        #expect(view.edns == message.edns)
    }

    @Test func `RFC 1035 4.1.4: names that stand already become pointers`() throws {
        let owner = try name("a.a.example.com")
        var message = Message(query: Question(owner, .cname), id: 0, edns: nil)
        message.answers = [
            Record(owner, timeToLive: 1, .cname(try name("b.example.com"))),
            Record(try name("b.EXAMPLE.com"), timeToLive: 1, .cname(owner)),
        ]
        let wire = message.wire()
        // Header 12, question 17 + 4; owner 2 + 10 + (2 + 2); owner 2 + 8 + 2 + 10 + 2.
        #expect(wire.count == 12 + 21 + 16 + 24)
        #expect(Array(wire[33..<35]) == [0xc0, 12])
        #expect(try Message(wire.rawSpan).answers[1].name.description == "b.EXAMPLE.com")
    }

    @Test func `RFC 3597 4: a target of SRV is read compressed and written whole`() throws {
        let wire = bytes(
            "00 00 80 00 00 01 00 01 00 00 00 00 01 'x' 00 00 21 00 01"
                + " c0 0c 00 21 00 01 00 00 00 3c 00 08 00 01 00 02 00 35 c0 0c"
        )
        let message = try Message(wire.rawSpan)
        let expected = RecordData.srv(priority: 1, weight: 2, port: 53, try name("x"))
        #expect(message.answers.map(\.data) == [expected])
        #expect(message.wire().count == wire.count + 1)
    }

    @Test func `RFC 3597 4: names in opaque types are decompressed`() throws {
        let wire = bytes(
            "00 00 80 00 00 01 00 01 00 00 00 00 01 'x' 00 00 11 00 01"
                + " c0 0c 00 11 00 01 00 00 00 3c 00 04 c0 0c c0 0c"
        )
        let message = try Message(wire.rawSpan)
        let names = bytes("01 'x' 00 01 'x' 00")
        #expect(message.answers.map(\.data) == [.other(RecordType(rawValue: 17), names)])
    }

    @Test(arguments: [
        ("c0 0c", MessageError.badName(.badPointer(offset: 12)), "to itself"),
        ("c0 10", .badName(.badPointer(offset: 12)), "forwards"),
        ("c0 00", .badName(.badPointer(offset: 12)), "into the header"),
        ("01 'a' c0 0c", .badName(.badPointer(offset: 14)), "to the start of itself"),
        ("01 'a' c0 0e", .badName(.badPointer(offset: 14)), "from the middle to itself"),
        ("40", .badName(.badLabelType(offset: 12)), "of an unknown kind"),
        ("80", .badName(.badLabelType(offset: 12)), "of the other unknown kind"),
        ("3f 'a'", .badName(.truncated(offset: 12)), "past the end"),
        ("c0", .badName(.truncated(offset: 12)), "of one byte"),
    ])
    func `RFC 1035 4.1.4: a label that leads nowhere is refused`(
        text: String,
        error: MessageError,
        what: String
    ) {
        let wire = bytes("00 00 00 00 00 01 00 00 00 00 00 00 " + text)
        #expect(throws: error, "\(what)") { try Message(wire.rawSpan) }
        #expect(throws: error, "\(what)") { _ = try MessageView(wire.rawSpan) }
    }

    @Test func `a chain of pointers that makes a name longer than 255 bytes is refused`() throws {
        // Each name is one label of 60 bytes and a pointer to the name before.
        var wire = bytes("00 00 00 00 00 06 00 00 00 00 00 00")
        var last: Int?
        for _ in 0..<6 {
            let start = wire.count
            wire += [60] + Array(repeating: 97, count: 60)
            wire += last.map { [0xc0 | UInt8($0 >> 8), UInt8($0 & 255)] } ?? [0]
            wire += [0, 1, 0, 1]
            last = start
        }
        #expect(throws: MessageError.badName(.tooLong(byteCount: 306))) {
            try Message(wire.rawSpan)
        }
    }

    @Test func `RFC 2181 9: what does not fit leaves the question, OPT and TC`() throws {
        let owner = try name("big.example")
        var message = Message(query: Question(owner, .txt), id: 7)
        let text = Array(repeating: UInt8(120), count: 200)
        message.answers = (0..<3).map { _ in Record(owner, timeToLive: 1, .txt([text])) }
        let whole = message.wire()
        #expect(message.wire(byteCountMax: whole.count) == whole)
        let cut = try Message(message.wire(byteCountMax: whole.count - 1).rawSpan)
        #expect(cut.header.isTruncated)
        #expect(cut.questions == message.questions)
        #expect(cut.answers.isEmpty)
        #expect(cut.edns == message.edns)
        #expect(cut.header.answerCount == 0)
    }

    @Test func `RFC 6891 6.1.1: a second OPT, one of a name or one in another section is refused`()
        throws
    {
        let header = "00 00 00 00 00 00 00 00 00 00 00 02"
        let opt = "00 00 29 04 d0 00 00 00 00 00 00"
        for wire in [
            bytes("\(header) \(opt) \(opt)"),
            bytes("\(header) 01 'a' \(opt)"),
            bytes("00 00 00 00 00 00 00 01 00 00 00 00 \(opt)"),
            bytes("00 00 00 00 00 00 00 00 00 01 00 00 \(opt)"),
            bytes("00 00 00 00 00 00 00 00 00 00 00 01 00 00 29 04 d0 00 00 00 00 00 03 00 0a 00"),
            bytes(
                "00 00 00 00 00 00 00 00 00 00 00 01 00 00 29 04 d0 00 00 00 00 00 04 00 0a 00 01"
            ),
        ] {
            #expect(throws: MessageError.self) { try Message(wire.rawSpan) }
            #expect(throws: MessageError.self) { _ = try MessageView(wire.rawSpan) }
        }
    }

    @Test func `RFC 6891 6.1.3: the response code has twelve bits`() throws {
        var message = Message(edns: EDNS())
        message.responseCode = .badVersion
        let again = try Message(message.wire().rawSpan)
        #expect(again.responseCode == .badVersion)
        #expect(again.header.responseCodeBits == 0)
        #expect(again.edns?.extendedResponseCode == 1)
    }

    @Test func `RFC 8914 2: an extended error travels with its text`() throws {
        let error = ExtendedError(code: 22, text: "no gateway")
        let message = Message(edns: EDNS(options: [error.option]))
        #expect(try Message(message.wire().rawSpan).edns?.extendedErrors == [error])
    }

    @Test func `a record whose data do not have its type's form is refused`() throws {
        let header = "00 00 80 00 00 00 00 01 00 00 00 00 00"
        for (type, data) in [
            ("00 01", "00 03 01 02 03"), ("00 01", "00 05 01 02 03 04 05"),
            ("00 1c", "00 04 1 2 3 4"),
            ("00 10", "00 02 05 61"), ("00 05", "00 02 00 00"), ("00 06", "00 02 00 00"),
            ("00 0f", "00 01 00"), ("00 41", "00 05 00 01 00 00 01"), ("01 01", "00 01 00"),
        ] {
            let wire = bytes("\(header) \(type) 00 01 00 00 00 00 \(data) ff ff ff ff ff ff")
            #expect(throws: MessageError.self, "\(type)") { try Message(wire.rawSpan) }
        }
    }

    @Test func `aliases are followed to the addresses, and a round of them ends`() throws {
        let (first, second, third) = (try name("a"), try name("B"), try name("c"))
        let address = try #require(IPAddress("192.0.2.1"))
        var message = Message(query: Question(first, .a), id: 0)
        message.answers = [
            Record(try name("b"), timeToLive: 1, .cname(third)),
            Record(first, timeToLive: 1, .cname(second)),
            Record(third, timeToLive: 1, .a(address)),
        ]
        #expect(message.addresses()?.name == third)
        #expect(message.addresses()?.records.compactMap(\.data.address) == [address])
        message.answers[2] = Record(third, timeToLive: 1, .cname(first))
        #expect(message.addresses()?.records.isEmpty == true)
    }
}
