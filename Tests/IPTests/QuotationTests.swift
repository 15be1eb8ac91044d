import Bytes
import IP
import SansIO
import Testing

@Suite("MutablePacket: the packet that an ICMP error quotes")
struct QuotationTests {
    /// An error about `packet`, which went from the client to the server, back to the client.
    static func error(about packet: [UInt8], _ family: IPFamily) throws -> [UInt8] {
        try Refusal.hostUnreachable.answer(to: packet.rawSpan, from: Sample.server(family))
    }

    @Test(
        "RFC 5508 4: inner and outer checksums follow the inner rewrite",
        arguments: IPFamily.allCases
    )
    func rewrites(_ family: IPFamily) throws {
        var random = RandomSource(seed: 5508)
        for seed in 0..<300 {
            let payload = random.bytes(Int.random(in: 0...1500, using: &random))
            for packet in [
                Sample.udp(family, payload: payload), Sample.tcp(family, payload: payload),
            ] {
                let original = try Self.error(about: packet, family)
                let port = UInt16(truncatingIfNeeded: random.next())
                let rewritten = try rewriting(original) { bytes in
                    var error = try MutablePacket(bytes)
                    let source = error.setQuotedSource(Sample.other(family), port: port)
                    let destination = error.setQuotedDestination(Sample.client(family), port: 99)
                    #expect(source && destination)
                }
                #expect(try SlowChecksum.accepts(rewritten), "\(seed)")
                let inner = try Self.inner(rewritten)
                #expect(inner.sourceEndpoint == Endpoint(Sample.other(family), port: port))
                #expect(inner.destinationEndpoint == Endpoint(Sample.client(family), port: 99))
                let start = try PacketHeader(rewritten.rawSpan).payloadOffset
                let quoted = Array(rewritten[start...])
                guard quoted.count == packet.count else { continue }
                #expect(try SlowChecksum.accepts(quoted), "the quoted packet is whole: \(seed)")
            }
        }
    }

    @Test("eight bytes of TCP are enough, whose checksum is not there (RFC 792)")
    func shortTCP() throws {
        let packet = Array(Sample.tcp(.ipv4).prefix(28))
        let original = IPHeader(from: Sample.server4, to: Sample.client4)
            .packet(ICMPHeader(type: 3, code: 1), body: packet)
        let rewritten = try rewriting(original) { bytes in
            var error = try MutablePacket(bytes)
            let isRewritten = error.setQuotedSource(Sample.other4, port: 77)
            #expect(isRewritten)
        }
        #expect(try SlowChecksum.accepts(rewritten))
        #expect(try Self.inner(rewritten).sourceEndpoint == Endpoint(Sample.other4, port: 77))
    }

    @Test("a quoted echo request changes its identifier", arguments: IPFamily.allCases)
    func echo(_ family: IPFamily) throws {
        let original = try Self.error(about: Sample.echo(family), family)
        let rewritten = try rewriting(original) { bytes in
            var error = try MutablePacket(bytes)
            error.setQuotedSource(Sample.other(family), port: 0x4321)
        }
        #expect(try SlowChecksum.accepts(rewritten))
        #expect(try Self.inner(rewritten).sourcePort == 0x4321)
    }

    @Test("outer and inner can be rewritten in turn", arguments: IPFamily.allCases)
    func outerToo(_ family: IPFamily) throws {
        let original = try Self.error(about: Sample.udp(family), family)
        let rewritten = try rewriting(original) { bytes in
            var error = try MutablePacket(bytes)
            error.setSource(Sample.other(family))
            error.setQuotedDestination(Sample.other(family))
            _ = error.decrementHopLimit()
        }
        #expect(try SlowChecksum.accepts(rewritten))
    }

    @Test(
        "what is no error, or quotes nothing readable, is left alone",
        arguments: IPFamily.allCases
    )
    func nothingQuoted(_ family: IPFamily) throws {
        let other: IPFamily = family == .ipv4 ? .ipv6 : .ipv4
        let error = ICMPHeader(type: ICMPType.unreachable(family))
        let cases = [
            Sample.echo(family), Sample.udp(family),
            Sample.header(family).packet(error, body: [1, 2, 3]),
            Sample.header(family).packet(error, body: Sample.udp(other)),
        ]
        for original in cases {
            let rewritten = try rewriting(original) { bytes in
                var packet = try MutablePacket(bytes)
                let hasQuotation = packet.quoted != nil
                let isRewritten = packet.setQuotedSource(Sample.other(family), port: 1)
                #expect(!hasQuotation && !isRewritten)
            }
            #expect(rewritten == original)
        }
    }

    @Test("RFC 4884 4: extensions behind the quoted packet are not part of it")
    func extensions() throws {
        let body = [UInt8](repeating: 7, count: 200)
        let cases: [(IPFamily, UInt8, UInt32)] = [
            (.ipv4, ICMPType.timeExceeded(.ipv4), 32 << 16),
            (.ipv4, ICMPType.unreachable(.ipv4), 32 << 16),
            (.ipv4, ICMPType.parameterProblem(.ipv4), 32 << 16),
            (.ipv6, ICMPType.timeExceeded(.ipv6), 16 << 24),
            (.ipv6, ICMPType.unreachable(.ipv6), 16 << 24),
        ]
        for (family, type, word) in cases {
            let packet = Sample.header(family).packet(
                ICMPHeader(type: type, word: word),
                body: body
            )
            let header = try PacketHeader(packet.rawSpan)
            let message = try ICMPMessage(
                packet.rawSpan.extracting(droppingFirst: header.transportOffset)
            )
            #expect(message.quotation(family).byteCount == 128)
        }
    }

    static func inner(_ packet: [UInt8]) throws -> PacketHeader {
        let header = try PacketHeader(packet.rawSpan)
        return try PacketHeader(
            embedded: packet.rawSpan.extracting(droppingFirst: header.payloadOffset)
        )
    }
}
