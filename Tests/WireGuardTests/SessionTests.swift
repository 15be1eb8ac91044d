internal import Bytes
internal import Ciphers
internal import SansIO
internal import Testing

@testable internal import WireGuard

@Suite struct SessionTests {
    @Test func `a responder cannot send before the first packet has come`() throws {
        var pair = try Pair()
        let response = try pair.gateway.respond(to: try pair.client.initiate(at: at(0)), at: at(0))
        try pair.client.finish(with: response, at: at(0))
        let early = pair.gateway.seal(counting(20), at: at(0))
        #expect(early == nil)
        let opened = try pair.gateway.open(pair.client.seal([], at: at(0)) ?? [], at: at(0)).1
        #expect(opened.byteCount == 0)
        #expect(opened.isNewest && opened.isConfirmation && opened.isOfCurrentSession)
        #expect(opened.counter == 0)
        let late = pair.gateway.seal(counting(20), at: at(0))
        #expect(late != nil)
    }

    @Test func `packets of the session before are still opened`() throws {
        var pair = try Pair()
        try pair.connect()
        let old = pair.client.seal(counting(20), at: at(1)) ?? []
        let oldBack = pair.gateway.seal(counting(20), at: at(1)) ?? []
        try pair.connect(at: at(2))
        let opened = try pair.gateway.open(old, at: at(3)).1
        #expect(opened.byteCount == 32)
        #expect(!opened.isNewest && !opened.isConfirmation && !opened.isOfCurrentSession)
        _ = try pair.client.open(oldBack, at: at(3))
    }

    @Test func `a responder sends on the old session until the new one is confirmed`() throws {
        var pair = try Pair()
        try pair.connect()
        let response = try pair.gateway.respond(to: try pair.client.initiate(at: at(2)), at: at(2))
        let back = pair.gateway.seal(counting(20), at: at(2)) ?? []
        _ = try pair.client.open(back, at: at(2))
        try pair.client.finish(with: response, at: at(2))
        _ = try pair.client.open(pair.gateway.seal(counting(20), at: at(2)) ?? [], at: at(2))
        try pair.exchange(at: at(2))
    }

    @Test func `only three sessions and one handshake are kept`() throws {
        var pair = try Pair()
        for round in 0..<6 { try pair.connect(at: at(Double(round))) }
        _ = try pair.gateway.respond(to: try pair.client.initiate(at: at(9)), at: at(9))
        var owned = 0
        for index in 0..<40 as Range<UInt32> where pair.gateway.tunnel.owns(33 << 24 + index) {
            owned += 1
        }
        #expect(owned == 2)
        owned = 0
        for index in 0..<40 as Range<UInt32> where pair.client.tunnel.owns(1 << 24 + index) {
            owned += 1
        }
        #expect(owned == 3)
    }

    @Test func `a packet comes once`() throws {
        var pair = try Pair()
        try pair.connect()
        let packet = pair.client.seal(counting(20), at: at(1)) ?? []
        _ = try pair.gateway.open(packet, at: at(1))
        expect(.replayed) { () throws(OpenError) in _ = try pair.gateway.open(packet, at: at(1)) }
    }

    @Test func `a forged counter does not move the window`() throws {
        var pair = try Pair()
        try pair.connect()
        let packet = pair.client.seal(counting(20), at: at(1)) ?? []
        var forged = packet
        forged[13] = 0xff
        expect(.notAuthentic) { () throws(OpenError) in
            _ = try pair.gateway.open(forged, at: at(1))
        }
        _ = try pair.gateway.open(packet, at: at(1))
    }

    @Test func `only the highest counter is the newest`() throws {
        var pair = try Pair()
        try pair.connect()
        let first = pair.client.seal([], at: at(1)) ?? []
        let second = pair.client.seal([], at: at(1)) ?? []
        let isSecondNewest = try pair.gateway.open(second, at: at(1)).1.isNewest
        let isFirstNewest = try pair.gateway.open(first, at: at(1)).1.isNewest
        #expect(isSecondNewest)
        #expect(!isFirstNewest)
    }

    @Test func `each size is padded with zeros to sixteen`() throws {
        var pair = try Pair()
        try pair.connect()
        for byteCount in 0...70 {
            let inner = counting(byteCount, from: 1)
            let datagram = pair.client.seal(inner, at: at(1)) ?? []
            #expect(datagram.count == 32 + (byteCount + 15) / 16 * 16)
            let plain = try pair.gateway.open(datagram, at: at(1)).plain
            #expect(plain == inner + [UInt8](repeating: 0, count: plain.count - byteCount))
        }
    }

    @Test func `a buffer that is too small is refused`() throws {
        var pair = try Pair()
        try pair.connect()
        var block = Block(byteCount: 47)
        var room = block.mutableBytes(0..<47)
        let outcome = pair.client.tunnel.seal(into: &room, innerByteCount: 1, at: at(1))
        #expect(outcome == .noRoom)
        let packet = pair.client.seal(counting(20), at: at(1)) ?? []
        expect(.noRoom) { () throws(OpenError) in
            var small = room._mutatingExtracting(first: 31)
            _ = try pair.gateway.tunnel.open(packet.rawSpan, into: &small, at: at(1))
        }
        _ = try pair.gateway.open(packet, at: at(1))
    }

    @Test(arguments: [
        (Tunnel.Limits.rekeyAfterMessages - 1, [], true),
        (Tunnel.Limits.rekeyAfterMessages, [Tunnel.Action.initiate], true),
        (Tunnel.Limits.rejectAfterMessages - 1, [.initiate], true),
        (Tunnel.Limits.rejectAfterMessages, [.initiate], false),
    ])
    func `counters near their end ask for a new session, then stop`(
        counter: UInt64,
        actions: [Tunnel.Action],
        isSealed: Bool
    ) throws {
        var pair = try Pair()
        pair.gateway.tunnel.current = Session(
            sending: Secret(),
            receiving: Secret(),
            localIndex: 1,
            remoteIndex: 2,
            isInitiator: false,
            at: at(0),
            timing: .exact,
            sendCounter: counter
        )
        let datagram = pair.gateway.seal([], at: at(1))
        #expect((datagram != nil) == isSealed)
        // The counter that the packet has is the one before.
        let due = pair.gateway.actions(at: at(1))
        let expected = isSealed && counter + 1 == Tunnel.Limits.rekeyAfterMessages
        #expect(due == (expected ? [.initiate] : actions))
    }

    @Test func `limits are the paper's`() {
        #expect(Tunnel.Limits.rekeyAfterMessages == 1_152_921_504_606_846_976)
        #expect(Tunnel.Limits.rejectAfterMessages == 18_446_744_073_709_543_423)
    }
}
