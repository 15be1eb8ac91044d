import Bytes
import IP
import Testing

@Suite("Refusal")
struct RefusalTests {
    struct Kind: CustomTestStringConvertible {
        let refusal: Refusal
        let ipv4: (type: UInt8, code: UInt8, word: UInt32)
        let ipv6: (type: UInt8, code: UInt8, word: UInt32)
        var testDescription: String { "\(refusal)" }
    }

    static let kinds = [
        Kind(refusal: .networkUnreachable, ipv4: (3, 0, 0), ipv6: (1, 0, 0)),
        Kind(refusal: .hostUnreachable, ipv4: (3, 1, 0), ipv6: (1, 3, 0)),
        Kind(refusal: .protocolUnreachable, ipv4: (3, 2, 0), ipv6: (1, 4, 0)),
        Kind(refusal: .portUnreachable, ipv4: (3, 3, 0), ipv6: (1, 4, 0)),
        Kind(refusal: .prohibited, ipv4: (3, 13, 0), ipv6: (1, 1, 0)),
        Kind(
            refusal: .packetTooBig(maximumByteCount: 1280),
            ipv4: (3, 4, 1280),
            ipv6: (2, 0, 1280)
        ),
        Kind(refusal: .timeExceeded, ipv4: (11, 0, 0), ipv6: (3, 0, 0)),
    ]

    @Test("RFC 1812 5.2.7, RFC 4443 3: each refusal has its type and code", arguments: kinds)
    func kind(_ kind: Kind) throws {
        for family in IPFamily.allCases {
            let packet = Sample.udp(family)
            let answer = try kind.refusal.answer(to: packet.rawSpan, from: Sample.other(family))
            #expect(try SlowChecksum.accepts(answer))
            let header = try PacketHeader(answer.rawSpan)
            #expect(header.source == Sample.other(family))
            #expect(header.destination == Sample.client(family))
            #expect(header.isICMPError)
            let message = try ICMPMessage(
                answer.rawSpan.extracting(droppingFirst: header.transportOffset)
            )
            let (type, code, word) = (message.type, message.code, message.word)
            #expect((type, code, word) == (family == .ipv4 ? kind.ipv4 : kind.ipv6))
            let body = message.body.array
            #expect(body == packet, "a small packet is quoted whole")
        }
    }

    @Test(
        "RFC 1812 4.3.2.3, RFC 4443 2.4 c: a long packet is quoted up to 576 or 1280 bytes in all"
    )
    func sizes() throws {
        let payload = [UInt8](repeating: 5, count: 2000)
        for (family, size) in [(IPFamily.ipv4, 576), (.ipv6, 1280)] {
            let answer = try Refusal.portUnreachable.answer(
                to: Sample.udp(family, payload: payload).rawSpan,
                from: Sample.other(family)
            )
            #expect(answer.count == size)
            #expect(try SlowChecksum.accepts(answer))
        }
    }

    @Test("trailing bytes are not quoted")
    func trailing() throws {
        let answer = try Refusal.portUnreachable.answer(
            to: (Sample.udp(.ipv4) + [0, 0, 0, 0]).rawSpan,
            from: Sample.other4
        )
        #expect(answer.count == 28 + Sample.udp(.ipv4).count)
    }

    @Test(
        "RFC 1812 4.3.2.7, RFC 4443 2.4 e.1: never an answer to an ICMP error",
        arguments: IPFamily.allCases
    )
    func icmpError(_ family: IPFamily) throws {
        let error = try Refusal.hostUnreachable.answer(
            to: Sample.udp(family).rawSpan,
            from: Sample.other(family)
        )
        #expect(throws: RefusalError.answersNothing) {
            try Refusal.timeExceeded.answer(to: error.rawSpan, from: Sample.other(family))
        }
        #expect(throws: Never.self) {
            try Refusal.timeExceeded.answer(
                to: Sample.echo(family).rawSpan,
                from: Sample.other(family)
            )
        }
    }

    @Test("RFC 1812 4.3.2.7: never an answer to a fragment other than the first")
    func fragment() throws {
        var packet = Sample.udp(.ipv4)
        packet[6] = 0x20
        #expect(throws: Never.self) {
            try Refusal.portUnreachable.answer(to: packet.rawSpan, from: Sample.other4)
        }
        packet[7] = 1
        #expect(throws: RefusalError.fragment) {
            try Refusal.portUnreachable.answer(to: packet.rawSpan, from: Sample.other4)
        }
    }

    @Test("RFC 1812 4.3.2.7, RFC 4443 2.4 e: never to many, never to who is not one host")
    func notUnicast() throws {
        let udp = UDPHeader(sourcePort: 1, destinationPort: 2)
        let cases: [(String, String)] = [
            ("0.0.0.0", "192.0.2.1"), ("127.0.0.1", "192.0.2.1"), ("224.0.0.1", "192.0.2.1"),
            ("255.255.255.255", "192.0.2.1"), ("240.0.0.1", "192.0.2.1"),
            ("192.0.2.1", "224.0.0.251"), ("192.0.2.1", "255.255.255.255"),
            ("::", "2001:db8::1"), ("ff02::1", "2001:db8::1"), ("2001:db8::1", "ff02::fb"),
        ]
        for (source, destination) in cases {
            let ip = IPHeader(
                from: try #require(IPAddress(source)),
                to: try #require(IPAddress(destination))
            )
            #expect(throws: RefusalError.notUnicast, "\(source) \(destination)") {
                try Refusal.portUnreachable.answer(
                    to: ip.packet(udp).rawSpan,
                    from: Sample.other(ip.family)
                )
            }
        }
    }

    @Test("RFC 4443 2.4 e.3: packet too big answers multicast, in IPv6 alone")
    func packetTooBigToMulticast() throws {
        let udp = UDPHeader(sourcePort: 1, destinationPort: 2)
        let tooBig = Refusal.packetTooBig(maximumByteCount: 1280)
        let ipv6 = IPHeader(from: Sample.client6, to: IPAddress(high: 0xff02 << 48, low: 0xfb))
        #expect(throws: Never.self) {
            try tooBig.answer(to: ipv6.packet(udp).rawSpan, from: Sample.other6)
        }
        let ipv4 = IPHeader(from: Sample.client4, to: IPAddress(ipv4: 0xe000_00fb))
        #expect(throws: RefusalError.notUnicast) {
            try tooBig.answer(to: ipv4.packet(udp).rawSpan, from: Sample.other4)
        }
    }

    @Test("a source of the other family, or too little room, is an error")
    func wrongUse() throws {
        #expect(throws: RefusalError.wrongFamily) {
            try Refusal.portUnreachable.answer(to: Sample.udp(.ipv4).rawSpan, from: Sample.other6)
        }
        let packet = Sample.udp(.ipv4)
        var block = Block(byteCount: 100)
        #expect(throws: RefusalError.noRoom(need: 28 + packet.count)) {
            var room = block.mutableBytes(0..<27 + packet.count)
            _ = try Refusal.portUnreachable.write(
                answering: packet.rawSpan,
                from: Sample.other4,
                into: &room
            )
        }
        #expect(throws: RefusalError.packet(.badVersion(0))) {
            try Refusal.reset.answer(to: [0].rawSpan, from: Sample.other4)
        }
    }

    @Test("the longest answer fits the room that Limits names")
    func room() throws {
        let payload = [UInt8](repeating: 1, count: 60_000)
        for family in IPFamily.allCases {
            for refusal in Self.kinds.map(\.refusal) {
                let answer = try refusal.answer(
                    to: Sample.udp(family, payload: payload).rawSpan,
                    from: Sample.other(family)
                )
                #expect(answer.count <= Refusal.Limits.byteCount)
            }
        }
    }
}

@Suite("Refusal: TCP reset")
struct ResetTests {
    struct Case: CustomTestStringConvertible {
        let flags: TCPFlags
        let payload: [UInt8]
        let answer: (flags: TCPFlags, sequence: UInt32, acknowledgment: UInt32)
        var testDescription: String { "\(flags) with \(payload.count) bytes" }
    }

    /// The packet's sequence number is 1000, its acknowledgment number 2000.
    static let cases = [
        Case(flags: .syn, payload: [], answer: ([.rst, .ack], 0, 1001)),
        Case(flags: [.syn, .fin], payload: [1, 2], answer: ([.rst, .ack], 0, 1004)),
        Case(flags: [], payload: [1, 2, 3], answer: ([.rst, .ack], 0, 1003)),
        Case(flags: .ack, payload: [1, 2, 3], answer: (.rst, 2000, 0)),
        Case(flags: [.syn, .ack], payload: [], answer: (.rst, 2000, 0)),
        Case(flags: [.fin, .ack], payload: [], answer: (.rst, 2000, 0)),
    ]

    @Test("RFC 9293 3.10.7.1: a reset has the numbers that its receiver accepts", arguments: cases)
    func numbers(_ test: Case) throws {
        for family in IPFamily.allCases {
            let packet = Sample.tcp(family, flags: test.flags, payload: test.payload)
            let answer = try Refusal.reset.answer(to: packet.rawSpan, from: Sample.other(family))
            #expect(try SlowChecksum.accepts(answer))
            let header = try PacketHeader(answer.rawSpan)
            #expect(header.sourceEndpoint == Endpoint(Sample.server(family), port: 443))
            #expect(header.destinationEndpoint == Endpoint(Sample.client(family), port: 5000))
            #expect(header.tcpFlags == test.answer.flags)
            #expect(header.sequence == test.answer.sequence)
            #expect(header.acknowledgment == test.answer.acknowledgment)
            #expect(header.payloadByteCount == 0)
        }
    }

    @Test("no reset answers a reset, a fragment, or what is not TCP")
    func none() throws {
        func answer(_ packet: [UInt8]) throws {
            _ = try Refusal.reset.answer(to: packet.rawSpan, from: Sample.other4)
        }
        #expect(throws: RefusalError.answersNothing) { try answer(Sample.tcp(.ipv4, flags: .rst)) }
        #expect(throws: RefusalError.notTCP) { try answer(Sample.udp(.ipv4)) }
        var fragment = Sample.tcp(.ipv4)
        fragment[6] = 0x20
        #expect(throws: RefusalError.fragment) { try answer(fragment) }
    }
}
