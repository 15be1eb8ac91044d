internal import Bytes
internal import Ciphers
internal import SansIO
internal import Testing
internal import WireGuard

@Suite struct HandshakeTests {
    @Test(arguments: [nil, key(counting(32, from: 200))])
    func `two ends with the same keys exchange packets`(presharedKey: Key?) throws {
        var pair = try Pair(presharedKey: presharedKey)
        try pair.connect()
        try pair.exchange(at: at(1))
        let handshakes = [pair.client.tunnel.lastHandshakeAt, pair.gateway.tunnel.lastHandshakeAt]
        #expect(handshakes == [at(0), at(0)])
    }

    @Test func `another preshared key is refused by the initiator, who goes on waiting`() throws {
        var client = try End(1, peer: 33, presharedKey: key(counting(32)))
        var gateway = try End(33, peer: 1, presharedKey: key(counting(32, from: 1)))
        let response = try gateway.respond(to: try client.initiate(at: at(0)), at: at(0))
        expect(.notAuthentic) { () throws(HandshakeError) in
            try client.finish(with: response, at: at(0))
        }
        let isHandshaking = client.tunnel.isHandshaking
        #expect(isHandshaking)
    }

    @Test func `a replayed initiation is refused`() throws {
        var pair = try Pair()
        let first = try pair.client.initiate(at: at(0))
        let second = try pair.client.initiate(at: at(5))
        _ = try pair.gateway.respond(to: second, at: at(5))
        for old in [first, second] {
            expect(.replayed) { () throws(HandshakeError) in
                _ = try pair.gateway.respond(to: old, at: at(6))
            }
        }
    }

    @Test func `initiations come at most fifty times a second`() throws {
        var pair = try Pair()
        _ = try pair.gateway.respond(to: try pair.client.initiate(at: at(0)), at: at(0))
        let second = try pair.client.initiate(at: at(0.019))
        expect(.tooSoon) { () throws(HandshakeError) in
            _ = try pair.gateway.respond(to: second, at: at(0.019))
        }
        _ = try pair.gateway.respond(to: second, at: at(0.02))
    }

    @Test func `initiations of one moment still follow each other`() throws {
        var pair = try Pair()
        _ = try pair.gateway.respond(to: try pair.client.initiate(at: at(0)), at: at(0))
        let second = try pair.client.initiate(at: at(0))
        _ = try pair.gateway.respond(to: second, at: at(1))
    }

    @Test func `a message whose first code is wrong is refused before any other work`() throws {
        var pair = try Pair()
        let initiation = try pair.client.initiate(at: at(0))
        let response = try pair.gateway.respond(to: initiation, at: at(0))
        for offset in [4, 8, 50, 115, 116, 131] {
            var changed = initiation
            changed[offset] ^= 1
            expect(.wrongMac1) { () throws(HandshakeError) in
                _ = try IncomingInitiation(changed.rawSpan, as: pair.gateway.identity)
            }
        }
        for offset in [4, 12, 44, 75] {
            var changed = response
            changed[offset] ^= 1
            expect(.wrongMac1) { () throws(HandshakeError) in
                try pair.client.finish(with: changed, at: at(0))
            }
        }
        try pair.client.finish(with: response, at: at(0))
    }

    @Test func `an initiation for somebody else is refused`() throws {
        var stranger = try End(1, peer: 97)
        let pair = try Pair()
        let initiation = try stranger.initiate(at: at(0))
        expect(.wrongMac1) { () throws(HandshakeError) in
            _ = try IncomingInitiation(initiation.rawSpan, as: pair.gateway.identity)
        }
    }

    @Test func `an initiation tells who sent it, and only that peer's tunnel answers`() throws {
        var pair = try Pair()
        var stranger = try End(97, peer: 33)
        let initiation = try stranger.initiate(at: at(0))
        let incoming = try IncomingInitiation(initiation.rawSpan, as: pair.gateway.identity)
        let initiator = incoming.initiator
        #expect(initiator == stranger.identity.publicKey)
        expect(.wrongPeer) { () throws(HandshakeError) in
            _ = try pair.gateway.respond(to: initiation, at: at(0))
        }
    }

    @Test func `who knows the public keys only is refused`() throws {
        // A forger uses the client's public key with a private key of its own.
        var pair = try Pair()
        let forger = Identity(privateKey: Secret(copying: counting(32, from: 150).rawSpan))
        var tunnel = try Tunnel(to: pair.gateway.identity.publicKey, as: forger)
        var random = RandomSource(seed: 9)
        var initiation = try tunnel.initiate(
            as: pair.client.identity,
            index: 1,
            wallStart: wallStart,
            random: &random,
            at: at(0)
        )
        expect(.notAuthentic) { () throws(HandshakeError) in
            _ = try pair.gateway.respond(to: initiation, at: at(0))
        }
        initiation = try pair.client.initiate(at: at(1))
        _ = try pair.gateway.respond(to: initiation, at: at(1))
    }

    @Test func `a response that answers nothing is unexpected`() throws {
        var pair = try Pair()
        let old = try pair.gateway.respond(to: try pair.client.initiate(at: at(0)), at: at(0))
        let new = try pair.gateway.respond(to: try pair.client.initiate(at: at(5)), at: at(5))
        expect(.unexpected) { () throws(HandshakeError) in
            try pair.client.finish(with: old, at: at(5))
        }
        try pair.client.finish(with: new, at: at(5))
        expect(.unexpected) { () throws(HandshakeError) in
            try pair.client.finish(with: new, at: at(5))
        }
    }

    @Test func `a peer's key of small order is refused`() throws {
        let identity = Identity(privateKey: Secret(copying: counting(32).rawSpan))
        expect(.weakKey) { () throws(HandshakeError) in
            _ = try Tunnel(to: key([UInt8](repeating: 0, count: 32)), as: identity)
        }
    }

    @Test func `both may begin at once`() throws {
        var pair = try Pair()
        let there = try pair.client.initiate(at: at(0))
        let back = try pair.gateway.initiate(at: at(0))
        let responseBack = try pair.gateway.respond(to: there, at: at(0.1))
        let responseThere = try pair.client.respond(to: back, at: at(0.1))
        try pair.client.finish(with: responseBack, at: at(0.2))
        try pair.gateway.finish(with: responseThere, at: at(0.2))
        for second in 1...5 { try pair.exchange(at: at(Double(second))) }
    }

    @Test func `the views tell the indices`() throws {
        var pair = try Pair()
        let initiation = try pair.client.initiate(at: at(0))
        let response = try pair.gateway.respond(to: initiation, at: at(0))
        try pair.client.finish(with: response, at: at(0))
        let data = pair.client.seal([], at: at(0)) ?? []
        let sender = try InitiationView(initiation.rawSpan).sender
        let receiver = try ResponseView(response.rawSpan).receiver
        let answering = try ResponseView(response.rawSpan).sender
        let target = try TransportView(data.rawSpan).receiver
        #expect(sender == receiver)
        #expect(answering == target)
        let owned = [pair.client.tunnel.owns(sender), pair.gateway.tunnel.owns(target)]
        #expect(owned == [true, true])
    }
}

/// Expects `body` to throw `error`; a closure of the testing library cannot borrow what is not
/// copyable.
func expect<E: Error & Equatable>(
    _ error: E,
    sourceLocation: SourceLocation = #_sourceLocation,
    _ body: () throws(E) -> Void
) {
    var thrown: E?
    do { try body() } catch { thrown = error }
    #expect(thrown == error, sourceLocation: sourceLocation)
}
