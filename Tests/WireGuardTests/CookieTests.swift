internal import Bytes
internal import SansIO
internal import Testing
internal import WireGuard

@Suite struct CookieTests {
    private let source = Endpoint(high: 0, low: 0xffff_c000_0201, port: 4_000)

    /// A gateway's checker that one message a second is load for.
    private func checker(perSecond: Int = 0) -> CookieChecker {
        CookieChecker(random: RandomSource(seed: 5), messagesPerSecondMax: perSecond)
    }

    @Test func `few messages are accepted as they are`() throws {
        var pair = try Pair()
        var checker = checker(perSecond: 3)
        let initiation = try pair.client.initiate(at: at(0))
        for _ in 0..<3 {
            let verdict = try check(&checker, initiation, pair.gateway, at: at(0.5))
            #expect(verdict == .accepted)
        }
        let verdict = try check(&checker, initiation, pair.gateway, at: at(0.5))
        #expect(verdict != .accepted)
        let isUnderLoad = [0.5, 1.499, 1.5].map { checker.isUnderLoad(at: at($0)) }
        #expect(isUnderLoad == [true, true, false])
        let calm = try check(&checker, initiation, pair.gateway, at: at(1.6))
        #expect(calm == .accepted)
    }

    @Test func `under load a sender who shows the cookie is let in`() throws {
        var pair = try Pair()
        var checker = checker()
        var initiation = try pair.client.initiate(at: at(0))
        let reply = try challenge(&checker, initiation, pair.gateway, at: at(0))
        let cookie = try pair.client.tunnel.cookie(from: reply.rawSpan, at: at(0))
        let isDone = cookie.authenticate(&initiation, at: at(0))
        #expect(isDone)
        let verdict = try check(&checker, initiation, pair.gateway, at: at(0))
        #expect(verdict == .accepted)
        let response = try pair.gateway.respond(to: initiation, at: at(0))
        try pair.client.finish(with: response, at: at(0))
    }

    @Test func `a cookie is good for one address and port`() throws {
        var pair = try Pair()
        var checker = checker()
        var initiation = try pair.client.initiate(at: at(0))
        let reply = try challenge(&checker, initiation, pair.gateway, at: at(0))
        let cookie = try pair.client.tunnel.cookie(from: reply.rawSpan, at: at(0))
        _ = cookie.authenticate(&initiation, at: at(0))
        for other in [
            Endpoint(high: 0, low: source.low, port: 4_001),
            Endpoint(high: 0, low: source.low + 1, port: 4_000),
            Endpoint(high: 1, low: source.low, port: 4_000),
        ] {
            let verdict = try checker.check(
                initiation.rawSpan,
                from: other,
                as: pair.gateway.identity,
                at: at(0)
            )
            #expect(verdict != .accepted)
        }
    }

    @Test func `a cookie lasts 115 s at the client and 120 s at the gateway`() throws {
        var pair = try Pair()
        var checker = checker()
        var initiation = try pair.client.initiate(at: at(0))
        let reply = try challenge(&checker, initiation, pair.gateway, at: at(0))
        let cookie = try pair.client.tunnel.cookie(from: reply.rawSpan, at: at(0))
        let isLate = cookie.authenticate(&initiation, at: at(115))
        let isInTime = cookie.authenticate(&initiation, at: at(114.999))
        #expect([isLate, isInTime] == [false, true])
        let before = try check(&checker, initiation, pair.gateway, at: at(119.999))
        let after = try check(&checker, initiation, pair.gateway, at: at(120))
        #expect(before == .accepted)
        #expect(after != .accepted)
    }

    @Test func `a cookie reply is good for the message that it answers`() throws {
        var pair = try Pair()
        var checker = checker()
        let first = try pair.client.initiate(at: at(0))
        let reply = try challenge(&checker, first, pair.gateway, at: at(0))
        _ = try pair.client.initiate(at: at(5))
        expect(.unexpected) { () throws(HandshakeError) in
            _ = try pair.client.tunnel.cookie(from: reply.rawSpan, at: at(5))
        }
        let second = try challenge(
            &checker,
            try pair.client.initiate(at: at(9)),
            pair.gateway,
            at: at(9)
        )
        for offset in [8, 31, 32, 63] {
            var changed = second
            changed[offset] ^= 1
            expect(.notAuthentic) { () throws(HandshakeError) in
                _ = try pair.client.tunnel.cookie(from: changed.rawSpan, at: at(9))
            }
        }
        _ = try pair.client.tunnel.cookie(from: second.rawSpan, at: at(9))
    }

    @Test func `a response can be challenged, too`() throws {
        var pair = try Pair()
        var checker = checker()
        var response = try pair.gateway.respond(to: try pair.client.initiate(at: at(0)), at: at(0))
        let reply = try challenge(&checker, response, pair.client, at: at(0))
        let cookie = try pair.gateway.tunnel.cookie(from: reply.rawSpan, at: at(0))
        _ = cookie.authenticate(&response, at: at(0))
        let verdict = try check(&checker, response, pair.client, at: at(0))
        #expect(verdict == .accepted)
        try pair.client.finish(with: response, at: at(0))
    }

    @Test func `under load one source gets twenty messages a second`() throws {
        var pair = try Pair()
        var checker = checker()
        var initiation = try pair.client.initiate(at: at(0))
        let reply = try challenge(&checker, initiation, pair.gateway, at: at(0))
        let cookie = try pair.client.tunnel.cookie(from: reply.rawSpan, at: at(0))
        _ = cookie.authenticate(&initiation, at: at(0))
        var verdicts: [CookieChecker.Verdict] = []
        for _ in 0..<25 {
            verdicts.append(try check(&checker, initiation, pair.gateway, at: at(0.5)))
        }
        #expect(verdicts.filter { $0 == .accepted }.count == 20)
        #expect(verdicts.filter { $0 == .limited }.count == 5)
        let next = try check(&checker, initiation, pair.gateway, at: at(2))
        #expect(next == .accepted)
    }

    @Test func `who does not know the public key gets no answer and makes no load`() throws {
        var pair = try Pair()
        var checker = checker(perSecond: 1)
        var initiation = try pair.client.initiate(at: at(0))
        initiation[120] ^= 1
        for _ in 0..<50 {
            expect(.wrongMac1) { () throws(HandshakeError) in
                _ = try check(&checker, initiation, pair.gateway, at: at(0))
            }
        }
        let isUnderLoad = checker.isUnderLoad(at: at(0))
        #expect(!isUnderLoad)
    }

    private func check(
        _ checker: inout CookieChecker,
        _ message: [UInt8],
        _ end: borrowing End,
        at now: Instant
    ) throws(HandshakeError) -> CookieChecker.Verdict {
        try checker.check(message.rawSpan, from: source, as: end.identity, at: now)
    }

    private func challenge(
        _ checker: inout CookieChecker,
        _ message: [UInt8],
        _ end: borrowing End,
        at now: Instant
    ) throws -> [UInt8] {
        let verdict = try check(&checker, message, end, at: now)
        guard case .challenged(let reply) = verdict else {
            Issue.record("not challenged: \(verdict)")
            return []
        }
        #expect(reply.count == 64)
        return reply
    }
}
