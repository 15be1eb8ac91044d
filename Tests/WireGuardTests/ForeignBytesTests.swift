internal import Bytes
internal import Ciphers
internal import SansIO
internal import Testing

@testable internal import WireGuard

/// Whatever strangers send in place of any message: a typed error, and the tunnel goes on.
@Suite struct ForeignBytesTests {
    @Test func `any bytes in place of any message are refused with an error`() throws {
        let seed: UInt64 = 20_260
        var random = RandomSource(seed: seed)
        var pair = try Pair()
        try pair.connect()
        var checker = CookieChecker(random: random.fork(), messagesPerSecondMax: 100)
        let samples = try samples(&pair)
        var errors: Set<String> = []
        for step in 0..<20_000 {
            let now = at(10 + Double(step) / 1_000)
            let datagram = mutate(samples[step % samples.count], using: &random)
            errors.formUnion(
                feed(datagram, to: &pair.gateway, &checker, at: now)
            )
            errors.formUnion(feed(datagram, to: &pair.client, &checker, at: now))
        }
        // Each kind of refusal was seen, so the mutations reach everywhere.
        for label in ["malformed", "wrong_mac1", "not_authentic", "unknown_index", "unexpected"] {
            #expect(errors.contains(label), "seed \(seed)")
        }
        try pair.connect(at: at(60))
        try pair.exchange(at: at(61))
    }

    /// One valid message of each kind.
    private func samples(_ pair: inout Pair) throws -> [[UInt8]] {
        var all: [[UInt8]] = []
        let initiation = try pair.client.initiate(at: at(5))
        all.append(initiation)
        all.append(try pair.gateway.respond(to: initiation, at: at(5)))
        var busy = CookieChecker(random: RandomSource(seed: 1), messagesPerSecondMax: 0)
        let verdict = try busy.check(
            initiation.rawSpan,
            from: .unspecified,
            as: pair.gateway.identity,
            at: at(5)
        )
        if case .challenged(let reply) = verdict { all.append(reply) }
        all.append(pair.client.seal(counting(40), at: at(5)) ?? [])
        all.append(pair.gateway.seal(counting(40), at: at(5)) ?? [])
        all.append(pair.client.seal([], at: at(5)) ?? [])
        return all
    }

    private func mutate(_ sample: [UInt8], using random: inout RandomSource) -> [UInt8] {
        var bytes = sample
        switch Int.random(in: 0..<8, using: &random) {
        case 0: bytes = random.bytes(Int.random(in: 0...300, using: &random))
        case 1: bytes.removeLast(Int.random(in: 0...bytes.count, using: &random))
        case 2: bytes += random.bytes(Int.random(in: 1...40, using: &random))
        case 3: bytes.replaceSubrange(4..<bytes.count, with: random.bytes(bytes.count - 4))
        default:
            for _ in 0..<Int.random(in: 1...4, using: &random) {
                let index = Int.random(in: 0..<bytes.count, using: &random)
                bytes[index] ^= UInt8.random(in: 1...255, using: &random)
            }
        }
        if Bool.random(using: &random) { sign(&bytes, using: &random) }
        return bytes
    }

    /// A right first code, so that what is behind it is reached.
    private func sign(_ bytes: inout [UInt8], using random: inout RandomSource) {
        guard bytes.count == 148 || bytes.count == 92 else { return }
        let first = bytes.count == 148 ? 33 : 1
        let identity = Identity(privateKey: Secret(copying: counting(32, from: first).rawSpan))
        let (mac1, mac2) = (bytes.count - 32, bytes.count - 16)
        let code = BLAKE2s.mac(
            bytes.rawSpan.extracting(first: mac1),
            key: identity.messageKeys.mac1.rawSpan
        )
        bytes.replaceSubrange(mac1..<mac2, with: code.rawSpan.array)
    }

    /// To each entry point; the labels of what was thrown.
    private func feed(
        _ datagram: [UInt8],
        to end: inout End,
        _ checker: inout CookieChecker,
        at now: Instant
    ) -> Set<String> {
        var labels: Set<String> = []
        _ = MessageKind(of: datagram.rawSpan)
        do {
            _ = try checker.check(
                datagram.rawSpan,
                from: Endpoint(high: 0, low: UInt64(datagram.count), port: 1),
                as: end.identity,
                at: now
            )
        } catch { labels.insert(error.rawValue) }
        do { _ = try end.respond(to: datagram, at: now) } catch { labels.insert(error.rawValue) }
        do { try end.finish(with: datagram, at: now) } catch { labels.insert(error.rawValue) }
        do {
            _ = try end.tunnel.cookie(from: datagram.rawSpan, at: now)
        } catch { labels.insert(error.rawValue) }
        do { _ = try end.open(datagram, at: now) } catch { labels.insert(error.rawValue) }
        return labels
    }
}
