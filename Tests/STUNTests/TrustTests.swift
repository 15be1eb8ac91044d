internal import Bytes
internal import IP
internal import SansIO
internal import STUN
internal import Testing

/// What somebody on the way may say, and what comes of it.
@Suite struct TrustTests {
    private let codes: [STUNErrorCode] = [
        .badRequest, .forbidden, .unknownAttribute, .allocationMismatch, .wrongCredentials,
        .allocationQuotaReached, .serverError, .insufficientCapacity, .tryAlternate,
    ]

    @Test func `an error that nobody signed ends no allocation`() {
        for code in codes {
            var play = Play.standing()
            play.client.bind(endpoint("198.51.100.1:1"), at: play.now)
            play.relay.rules[.refresh] = [.unsignedError(code)]
            play.relay.rules[.channelBind] = [.unsignedError(code)]
            play.relay.rules[.createPermission] = [.unsignedError(code)]
            play.client.renew(at: play.now)
            play.run(.seconds(2))
            #expect(play.takeEvents().isEmpty, "\(code.rawValue)")
            #expect(play.client.framing(to: endpoint("198.51.100.1:1")) == .channel(0x4000))
            // The request went on, and was answered the second time.
            #expect(play.takeLog().filter { $0 == "refresh" }.count == 1)
        }
    }

    @Test func `success that nobody signed is none`() {
        var play = Play()
        play.relay.rules[.allocate] = Array(repeating: .unsignedSuccess, count: 3)
        play.run(.milliseconds(200))
        #expect(!play.client.isAllocated)
        #expect(play.client.counters.unverified == 1)
    }

    @Test func `a signature with another key is none`() {
        var play = Play()
        play.run(.milliseconds(50))
        // The request is signed with the right password, the answer with another one.
        var writer: STUNWriter?
        for _ in 0..<10 {
            guard case .send(let bytes, _)? = play.client.pollOutput() else { break }
            guard let message = try? STUNMessage(bytes.rawSpan) else { continue }
            writer = STUNWriter(answering: message, .success)
        }
        guard var writer else { return }
        writer.append(.xorRelayedAddress, endpoint("198.51.100.66:6"))
        writer.seal(.sha1, key: Array("other".utf8).rawSpan)
        _ = play.client.receive(writer.bytes.rawSpan, from: Play.ipv4, at: play.now)
        #expect(!play.client.isAllocated)
    }

    @Test func `an error that nobody signed counts when nothing else ever comes`() {
        var play = Play()
        let many = Array(
            repeating: ScriptedRelay.Rule.unsignedError(.allocationQuotaReached),
            count: 9
        )
        play.relay.rules[.allocate] = many
        play.run(.seconds(8))
        #expect(play.takeEvents().contains(.failed(.quota)))
    }

    @Test func `answers to nothing, or from elsewhere, are dropped`() {
        var play = Play.standing([Play.ipv4, Play.ipv6])
        var writer = STUNWriter(.success, .binding, TransactionID(high: 1, low: 2))
        writer.append(.xorMappedAddress, endpoint("203.0.113.66:6"))
        #expect(
            play.client.receive(writer.bytes.rawSpan, from: Play.ipv4, at: play.now) == .handled
        )
        #expect(play.client.counters.unexpected == 1)
        // The right transaction from the other endpoint of the relay.
        play.client.renew(at: play.now)
        var transaction: TransactionID?
        while let output = play.client.pollOutput() {
            guard case .send(let bytes, Play.ipv4) = output,
                let message = try? STUNMessage(bytes.rawSpan), message.method == .binding
            else { continue }
            transaction = message.transaction
        }
        var stolen = STUNWriter(.success, .binding, transaction ?? TransactionID(high: 0, low: 0))
        stolen.append(.xorMappedAddress, endpoint("203.0.113.66:6"))
        _ = play.client.receive(stolen.bytes.rawSpan, from: Play.ipv6, at: play.now)
        #expect(play.client.counters.unexpected == 2)
        #expect(!play.client.mappedAddresses.contains(endpoint("203.0.113.66:6")))
    }

    @Test func `a forged challenge costs a request, not the allocation`() {
        var play = Play.standing()
        play.relay.rules[.refresh] = [.unsignedError(.unauthenticated)]
        play.relay.nonce = "nonce-1"
        play.client.renew(at: play.now)
        play.run(.seconds(2))
        #expect(play.client.isAllocated)
        #expect(!play.takeEvents().contains(.lost(.mismatch)))
        play.run(.seconds(700))
        #expect(play.client.isAllocated)
    }

    @Test func `the old nonce and a new one after 401 is tried once more`() {
        var play = Play.standing()
        play.relay.rules[.refresh] = [.unsignedError(.unauthenticated)]
        play.relay.nonce = "nonce-2"
        play.client.renew(at: play.now)
        play.run(.seconds(2))
        #expect(play.takeLog().filter { $0.hasPrefix("refresh") }.last == "refresh")
        #expect(play.takeEvents().isEmpty)
    }

    @Test func `any bytes from the relay end in silence`() {
        var random = RandomSource(seed: 7)
        var play = Play.standing()
        play.client.bind(endpoint("198.51.100.1:1"), at: play.now)
        play.run(.seconds(1))
        var sample = STUNWriter(.indication, .data, TransactionID(high: 1, low: 1))
        sample.append(.xorPeerAddress, endpoint("198.51.100.1:1"))
        sample.append(.data, [1, 2, 3, 4])
        for round in 0..<20_000 {
            var bytes = round % 2 == 0 ? sample.bytes : random.bytes(Int(random.next() % 64))
            for _ in 0..<Int(random.next() % 4) where !bytes.isEmpty {
                bytes[Int(random.next() % UInt64(bytes.count))] = UInt8(
                    truncatingIfNeeded: random.next()
                )
            }
            let got = play.client.receive(bytes.rawSpan, from: Play.ipv4, at: play.now)
            if case .data(_, let range) = got { #expect(range.upperBound <= bytes.count) }
        }
        play.run(.seconds(1))
        #expect(play.client.isAllocated)
    }

    /// RFC 8656 says nothing of lost datagrams; this is what networks do.
    @Test(arguments: [UInt64](1...20))
    func `loss, and time passing, lead to an allocation in the end`(seed: UInt64) {
        var random = RandomSource(seed: seed)
        var play = Play([Play.ipv4, Play.ipv6], seed: seed)
        play.client.bind(endpoint("198.51.100.1:1"), at: play.now)
        for _ in 0..<60 {
            play.cut = [Play.ipv4, Play.ipv6].filter { _ in random.next() % 3 == 0 }
            switch random.next() % 6 {
            case 0: play.client.renew(at: play.now)
            case 1: play.relay.isAllocated = false
            case 2: play.relay.nonce = "nonce-\(random.next())"
            case 3: play.client.useStream(random.next() % 2 == 0 ? nil : Play.bridge, at: play.now)
            default: break
            }
            play.run(.milliseconds(Int(random.next() % 20_000)))
        }
        play.cut = []
        play.relay.isAllocated = false
        play.run(.seconds(700))
        #expect(play.client.isAllocated)
        #expect(play.client.framing(to: endpoint("198.51.100.1:1")) == .channel(0x4000))
    }
}
