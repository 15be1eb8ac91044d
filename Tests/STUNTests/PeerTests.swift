internal import Bytes
internal import IP
internal import SansIO
internal import STUN
internal import Testing

@Suite struct PeerTests {
    private let peer = endpoint("198.51.100.77:51820")
    private let other = endpoint("[2001:db8:7::7]:51820")

    private func addresses(_ count: Int) -> [IPAddress] {
        (0..<count).map { IPAddress(ipv4: 0xc633_0000 + UInt32($0)) }
    }

    @Test func `permissions of one turn share a request, RFC 8656 9_1`() {
        var play = Play.standing()
        for address in addresses(5) { play.client.permit(address, at: play.now) }
        play.run(.seconds(1))
        #expect(play.takeLog() == ["permit 5"])
        #expect(Set(play.relay.permitted) == Set(addresses(5)))
    }

    @Test func `permissions are asked for again after 4 min while they are wanted`() {
        var play = Play.standing()
        play.client.permit(peer.address, at: play.now)
        play.run(.seconds(5))
        play.client.permit(other.address, at: play.now)
        play.run(.seconds(234))
        #expect(play.takeLog().filter { $0.hasPrefix("permit") } == ["permit 1", "permit 1"])
        play.run(.seconds(2))
        #expect(play.takeLog().filter { $0.hasPrefix("permit") } == ["permit 2"])
        play.client.forbid(other.address)
        play.run(.seconds(240))
        #expect(play.takeLog().filter { $0.hasPrefix("permit") } == ["permit 1"])
        play.client.forbid(peer.address)
        play.run(.seconds(600))
        #expect(play.takeLog().filter { $0.hasPrefix("permit") }.isEmpty)
    }

    @Test func `many permissions go in few requests of bounded size, a few at a time`() {
        var play = Play.standing()
        for address in addresses(1_000) { play.client.permit(address, at: play.now) }
        play.settle()
        #expect(play.takeLog() == Array(repeating: "permit 32", count: 4))
        play.run(.seconds(1))
        #expect(Set(play.relay.permitted).count == 1_000)
        #expect(play.takeLog().count == 28)
    }

    @Test func `data go by indication as soon as the permission is asked for`() {
        var play = Play.standing()
        #expect(play.client.framing(to: peer) == .unavailable)
        play.client.permit(peer.address, at: play.now)
        #expect(play.client.framing(to: peer) == .unavailable)
        play.settle()
        #expect(play.client.framing(to: peer) == .indication)
        play.client.forbid(peer.address)
        #expect(play.client.framing(to: peer) == .unavailable)
    }

    @Test func `one address that is forbidden does not keep the others out`() {
        var play = Play.standing()
        let all = addresses(32)
        play.relay.forbidden = [all[0], all[13], all[31]]
        for address in all { play.client.permit(address, at: play.now) }
        play.run(.seconds(2))
        #expect(Set(play.relay.permitted) == Set(all).subtracting(play.relay.forbidden))
        #expect(play.client.framing(to: Endpoint(all[13], port: 1)) == .unavailable)
        #expect(play.client.framing(to: Endpoint(all[14], port: 1)) == .indication)
        #expect(play.takeEvents().isEmpty)
        _ = play.takeLog()
        play.relay.forbidden = []
        play.run(.seconds(302))
        #expect(play.client.framing(to: Endpoint(all[13], port: 1)) == .indication)
    }

    @Test func `a channel serves once it is bound, and keeps its permission, RFC 8656 12`() {
        var play = Play.standing()
        play.client.bind(peer, at: play.now)
        play.settle()
        #expect(play.client.framing(to: peer) == .indication)
        play.run(.seconds(1))
        #expect(play.client.framing(to: peer) == .channel(0x4000))
        #expect(play.takeLog() == ["permit 1", "bind 4000"])
        play.run(.seconds(3600))
        let log = play.takeLog()
        #expect(log.filter { $0 == "bind 4000" }.count == 7)
        #expect(log.filter { $0.hasPrefix("permit") }.count >= 7)
        #expect(play.client.framing(to: peer) == .channel(0x4000))
    }

    @Test func `numbers are dealt in order, and stay with their peer`() {
        var play = Play.standing()
        let peers = (0..<20).map { endpoint("198.51.100.9:\(1_000 + $0)") }
        for peer in peers { play.client.bind(peer, at: play.now) }
        play.run(.seconds(1))
        for (index, peer) in peers.enumerated() {
            #expect(play.relay.bound[0x4000 + UInt16(index)] == peer)
        }
        play.client.unbind(peers[3])
        #expect(play.client.framing(to: peers[3]) == .indication)
        play.client.bind(peers[3], at: play.now)
        #expect(play.client.framing(to: peers[3]) == .channel(0x4003))
    }

    @Test func `a number rests before another peer gets it`() {
        var play = Play.standing()
        let all = (0..<4_096).map { endpoint("198.51.\(100 + $0 / 2_048).9:\(1_000 + $0)") }
        for peer in all {
            let isBound = play.client.bind(peer, at: play.now)
            #expect(isBound)
        }
        play.run(.seconds(30))
        #expect(play.relay.bound.count == 4_096)
        #expect(play.relay.bound.keys.allSatisfy { (0x4000...0x4fff).contains($0) })
        let extra = play.client.bind(peer, at: play.now)
        #expect(!extra)
        play.client.unbind(all[100])
        let isKnown = play.client.bind(peer, at: play.now)
        #expect(!isKnown, "the relay still knows it")
        play.relay.bound[0x4064] = nil
        play.run(.seconds(570))
        let isResting = play.client.bind(peer, at: play.now)
        #expect(!isResting, "it rests")
        play.run(.seconds(340))
        let isFree = play.client.bind(peer, at: play.now)
        #expect(isFree)
        play.run(.seconds(1))
        #expect(play.client.framing(to: peer) == .channel(0x4064))
    }

    @Test func `a channel that cannot be bound leaves indications`() {
        var play = Play.standing()
        play.relay.rules[.channelBind] = [.error(.insufficientCapacity), .error(.badRequest)]
        play.client.bind(peer, at: play.now)
        play.run(.seconds(5))
        #expect(play.client.framing(to: peer) == .indication)
        play.run(.seconds(10))
        #expect(play.client.framing(to: peer) == .indication)
        play.run(.seconds(301))
        #expect(play.client.framing(to: peer) == .channel(0x4000))
    }

    @Test func `a peer that is forbidden gets nothing`() {
        var play = Play.standing()
        play.relay.forbidden = [peer.address]
        play.client.bind(peer, at: play.now)
        play.run(.seconds(1))
        #expect(play.client.framing(to: peer) == .unavailable)
    }

    @Test func `a binding that runs out unanswered is not used any more`() {
        var play = Play.standing()
        play.client.bind(peer, at: play.now)
        play.run(.seconds(1))
        play.relay.rules[.channelBind] = Array(repeating: .silence, count: 200)
        play.run(.seconds(590))
        #expect(play.client.framing(to: peer) == .channel(0x4000))
        play.run(.seconds(60))
        #expect(play.client.framing(to: peer) == .indication)
        #expect(play.client.isAllocated)
    }

    @Test func `a family that the allocation lacks is not asked for, RFC 8656 9_1`() {
        var play = Play()
        play.relay.relayed.removeLast()
        play.run(.seconds(1))
        _ = play.takeLog()
        play.client.bind(other, at: play.now)
        play.client.permit(peer.address, at: play.now)
        play.run(.seconds(60))
        #expect(play.takeLog().filter { $0 != "binding" } == ["permit 1"])
        #expect(play.client.framing(to: other) == .unavailable)
        #expect(play.client.framing(to: peer) == .indication)
    }

    @Test func `what is wanted before there is an allocation is asked for then`() {
        var play = Play()
        play.client.bind(peer, at: play.now)
        play.client.permit(other.address, at: play.now)
        play.run(.seconds(1))
        #expect(play.client.framing(to: peer) == .channel(0x4000))
        #expect(play.client.framing(to: other) == .indication)
    }

    @Test func `what is wanted already costs nothing again`() {
        var play = Play.standing()
        play.client.bind(peer, at: play.now)
        play.client.permit(other.address, at: play.now)
        play.run(.seconds(1))
        _ = play.takeLog()
        for _ in 0..<5 {
            play.client.bind(peer, at: play.now)
            play.client.permit(other.address, at: play.now)
            play.client.permit(peer.address, at: play.now)
            play.client.update(Play.server(), at: play.now)
            play.run(.milliseconds(100))
        }
        #expect(play.takeLog().isEmpty)
        // Two reasons for one permission: it goes with the last.
        play.client.forbid(peer.address)
        #expect(play.client.framing(to: endpoint("198.51.100.77:9")) == .indication)
        play.client.unbind(peer)
        play.client.unbind(peer)
        #expect(play.client.framing(to: endpoint("198.51.100.77:9")) == .unavailable)
    }

    @Test func `a mismatch at a permission or a channel gets another allocation`() {
        for isChannel in [true, false] {
            var play = Play.standing()
            play.relay.isAllocated = false
            if isChannel {
                play.client.bind(peer, at: play.now)
            } else {
                play.client.permit(peer.address, at: play.now)
            }
            play.run(.seconds(1))
            #expect(play.takeEvents() == [.lost(.mismatch), .allocated(play.relay.relayed)])
            #expect(play.client.framing(to: peer) != .unavailable)
        }
    }

    @Test func `data come by channel and by indication, from whom was permitted`() throws {
        var play = Play.standing()
        play.client.bind(peer, at: play.now)
        play.client.permit(other.address, at: play.now)
        play.run(.seconds(1))
        let now = play.now
        let framed: [UInt8] = [0x40, 0, 0, 3, 1, 2, 3, 0]
        let first = play.client.receive(framed.rawSpan, from: Play.ipv4, at: now)
        #expect(first == .data(from: peer, 4..<7))
        var writer = STUNWriter(.indication, .data, TransactionID(high: 1, low: 1))
        writer.append(.xorPeerAddress, other)
        writer.append(.data, [5, 6, 7, 8])
        let got = play.client.receive(writer.bytes.rawSpan, from: Play.ipv4, at: now)
        #expect(got == .data(from: other, 48..<52))
        #expect(play.client.counters.strayData == 0)
    }

    @Test func `data of strangers are dropped and counted`() {
        var play = Play.standing()
        play.client.bind(peer, at: play.now)
        play.run(.seconds(1))
        let now = play.now
        let framed: [UInt8] = [0x40, 1, 0, 0]
        let unbound = play.client.receive(framed.rawSpan, from: Play.ipv4, at: now)
        #expect(unbound == .handled)
        let elsewhere = play.client.receive(framed.rawSpan, from: peer, at: now)
        #expect(elsewhere == .notOurs)
        var writer = STUNWriter(.indication, .data, TransactionID(high: 1, low: 1))
        writer.append(.xorPeerAddress, endpoint("198.51.100.99:1"))
        writer.append(.data, [5])
        let unpermitted = play.client.receive(writer.bytes.rawSpan, from: Play.ipv4, at: now)
        #expect(unpermitted == .handled)
        #expect(play.client.counters.strayData == 2)
        let damaged: [UInt8] = [0x40, 0, 0, 9, 1]
        let cut = play.client.receive(damaged.rawSpan, from: Play.ipv4, at: now)
        #expect(cut == .handled)
        #expect(play.client.counters.malformed == 1)
        let wireGuard: [UInt8] = [4, 0, 0, 0] + [UInt8](repeating: 0, count: 28)
        let foreign = play.client.receive(wireGuard.rawSpan, from: Play.ipv4, at: now)
        #expect(foreign == .notOurs)
    }

    @Test func `data under a number of a lost allocation are dropped`() {
        var play = Play.standing()
        play.client.bind(peer, at: play.now)
        play.run(.seconds(1))
        play.client.unbind(peer)
        play.relay.isAllocated = false
        play.client.renew(at: play.now)
        play.run(.seconds(1))
        #expect(play.client.isAllocated)
        let framed: [UInt8] = [0x40, 0, 0, 0]
        let late = play.client.receive(framed.rawSpan, from: Play.ipv4, at: play.now)
        #expect(late == .handled)
    }

    @Test func `an indication is written for the peer, each with a transaction of its own`() throws
    {
        var play = Play.standing()
        var seen: [TransactionID] = []
        for _ in 0..<2 {
            let count = DataIndication.byteCount(peer, data: 32)
            var block = Block(byteCount: count)
            var room = block.mutableBytes(0..<count)
            play.client.writeIndication(to: peer, dataByteCount: 32, into: &room)
            let message = try STUNMessage(block.bytes(0..<count))
            #expect(message.method == .send)
            #expect(message.peerAddress == peer)
            #expect(message.dataRange == 36..<68)
            seen.append(message.transaction)
        }
        #expect(seen[0] != seen[1])
    }

    @Test func `more addresses than there is room for are refused`() {
        var play = Play.standing()
        for address in addresses(TURNClient.Limits.permissions) {
            let hasRoom = play.client.permit(address, at: play.now)
            #expect(hasRoom)
        }
        let isPermitted = play.client.permit(other.address, at: play.now)
        #expect(!isPermitted)
        let isBound = play.client.bind(other, at: play.now)
        #expect(!isBound)
        let isAgain = play.client.permit(addresses(1)[0], at: play.now)
        #expect(isAgain)
    }
}
