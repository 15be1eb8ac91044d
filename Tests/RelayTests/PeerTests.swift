import Bytes
import IP
import STUN
import SansIO
import Testing

@testable import Relay

@Suite("Permissions, channels and data, RFC 8656 sections 9 to 12")
struct PeerTests {
    let peer = endpoint("192.0.2.7:700")

    private func settled(_ stage: Stage) -> (Visitor, UInt16) {
        let visitor = Visitor(stage)
        let answer = visitor.allocate { $0.append(.additionalAddressFamily, IPFamily.ipv6) }
        return (visitor, answer?.relayed.first?.port ?? 0)
    }

    @Test("10.2: a permitted address may send from any port, for five minutes")
    func permission() {
        let stage = Stage()
        let (visitor, port) = settled(stage)
        let lent = Endpoint(Stage.main.address, port: port)
        #expect(stage.receive([1], from: peer, to: lent).isEmpty)
        #expect(stage.counters.noPermission == 1)
        #expect(visitor.permit(peer)?.isSuccess == true)
        let other = endpoint("192.0.2.7:9")
        let sent = stage.receive([1, 2], from: other, to: lent, ecn: 3)
        #expect(Indication(sent.first) == Indication(peer: other, data: [1, 2]))
        #expect(sent.first?.remote == visitor.endpoint)
        #expect(sent.first?.local == Endpoint(Stage.main.address, port: 0))
        #expect(sent.first?.ecn == 3)
        stage.pass(.seconds(300) - .nanoseconds(1))
        #expect(stage.receive([1], from: peer, to: lent).count == 1)
        stage.pass(.nanoseconds(1))
        #expect(stage.receive([1], from: peer, to: lent).isEmpty)
    }

    @Test("10.2: several addresses are permitted at once, or none of them")
    func severalPermissions() {
        let stage = Stage()
        let (visitor, port) = settled(stage)
        let lent = Endpoint(Stage.main.address, port: port)
        let other = endpoint("192.0.2.8:1")
        #expect(visitor.permit(peer, endpoint("127.0.0.1:1"))?.code == 403)
        #expect(stage.receive([1], from: peer, to: lent).isEmpty)
        #expect(visitor.permit(peer, other)?.isSuccess == true)
        #expect(stage.receive([1], from: peer, to: lent).count == 1)
        #expect(stage.receive([1], from: other, to: lent).count == 1)
        #expect(visitor.permit()?.code == 400)
    }

    @Test("10.2, 12.2: a peer of a family that the allocation has not is refused with 443")
    func family() {
        let visitor = Visitor(Stage())
        visitor.allocate()
        let ipv6 = endpoint("[2001:db8:9::1]:5")
        #expect(visitor.permit(ipv6)?.code == 443)
        #expect(visitor.permit(peer, ipv6)?.code == 443)
        #expect(visitor.bind(0x4000, ipv6)?.code == 443)
    }

    @Test("437 for all that needs an allocation where there is none")
    func mismatch() {
        let stage = Stage()
        let visitor = Visitor(stage)
        #expect(visitor.permit(peer)?.code == 437)
        #expect(visitor.bind(0x4000, peer)?.code == 437)
        #expect(visitor.refresh(0)?.code == 437)
        #expect(visitor.channel(0x4000, [1]).isEmpty)
        #expect(visitor.indicate([1], to: peer).isEmpty)
        #expect(stage.counters.noAllocation == 2)
    }

    @Test("12: channel data go both ways without a header of their own on the peer's side")
    func channel() {
        let stage = Stage()
        let (visitor, port) = settled(stage)
        let lent = Endpoint(Stage.main.address, port: port)
        #expect(visitor.bind(0x4000, peer)?.isSuccess == true)
        let out = stage.receive(
            channelData(0x4000, [1, 2, 3]) + [0],
            from: visitor.endpoint,
            ecn: 1
        )
        #expect(
            out == [
                Stage.Sent(
                    bytes: [1, 2, 3],
                    remote: peer,
                    local: Endpoint(high: 0, low: 0, port: port),
                    ecn: 1
                )
            ]
        )
        let back = stage.receive([9, 8], from: peer, to: lent, ecn: 2)
        #expect(back.map(\.bytes) == [channelData(0x4000, [9, 8])])
        #expect(back.map(\.remote) == [visitor.endpoint])
        #expect(back.map(\.ecn) == [2])
        let other = stage.receive([7], from: endpoint("192.0.2.7:701"), to: lent)
        #expect(Indication(other.first)?.data == [7], "12.2: the address is permitted too")
    }

    @Test("several channels at once, in one entry and in many, each to its own peer")
    func channels() {
        let stage = Stage()
        let (visitor, _) = settled(stage)
        let peers = (0..<5 as Range<UInt16>).map { Endpoint(peer.address, port: 800 + $0) }
        for (index, peer) in peers.enumerated() { visitor.bind(0x4000 + UInt16(index), peer) }
        let order: [UInt16] = [0, 3, 3, 1, 4, 2, 0, 0]
        let framed = order.map { channelData(0x4000 + $0, [UInt8($0)]) }
        let one = stage.receive(
            Array(framed.joined()),
            from: visitor.endpoint,
            segmentByteCount: framed[0].count
        )
        #expect(one.map(\.remote) == order.map { peers[Int($0)] })
        #expect(one.map(\.bytes) == order.map { [UInt8($0)] })
        let many = framed.flatMap { visitor.send($0) }
        #expect(many == one)
    }

    @Test("12.2: the rules for numbers and peers")
    func channelRules() {
        let (visitor, _) = settled(Stage())
        let other = endpoint("192.0.2.7:701")
        for number in [0x3fff, 0x8000, 0, 0xffff] as [UInt16] {
            #expect(visitor.bind(number, peer)?.code == 400, "\(number)")
        }
        #expect(visitor.bind(0x4fff, endpoint("192.0.2.7:0"))?.code == 400)
        #expect(visitor.ask(.channelBind) { $0.append(channel: 0x4000) }?.code == 400)
        #expect(visitor.ask(.channelBind) { $0.append(.xorPeerAddress, peer) }?.code == 400)
        #expect(visitor.bind(0x4fff, peer)?.isSuccess == true)
        let old = endpoint("192.0.2.7:702")
        #expect(visitor.bind(0x7fff, old)?.isSuccess == true, "RFC 5766 11")
        #expect(visitor.channel(0x7fff, [1]).map(\.remote) == [old])
        #expect(visitor.bind(0x4fff, peer)?.isSuccess == true, "a refresh")
        #expect(visitor.bind(0x4fff, other)?.code == 400, "the number is another peer's")
        #expect(visitor.bind(0x4000, peer)?.code == 400, "the peer has another number")
        #expect(visitor.bind(0x4000, other)?.isSuccess == true)
    }

    @Test("12: a channel lives ten minutes, its permission five, each by itself")
    func channelLife() {
        let stage = Stage()
        let (visitor, port) = settled(stage)
        let lent = Endpoint(Stage.main.address, port: port)
        visitor.refresh(3_600)
        visitor.bind(0x4000, peer)
        stage.pass(.seconds(300))
        #expect(stage.receive([1], from: peer, to: lent).isEmpty, "not permitted any more")
        visitor.permit(peer)
        let back = stage.receive([1], from: peer, to: lent)
        #expect(back.map(\.bytes) == [channelData(0x4000, [1])], "and the channel stands yet")
        stage.pass(.seconds(299))
        #expect(visitor.channel(0x4000, [1]).count == 1)
        stage.pass(.seconds(1))
        #expect(visitor.channel(0x4000, [1]).isEmpty)
        #expect(visitor.bind(0x4001, peer)?.isSuccess == true, "another number from now on")
    }

    @Test("an expired channel is gone even when nobody looked at the time")
    func lateTimers() {
        let stage = Stage()
        let (visitor, port) = settled(stage)
        visitor.refresh(3_600)
        visitor.bind(0x4000, peer)
        stage.now = stage.now.advanced(by: .seconds(600))
        #expect(visitor.channel(0x4000, [1]).isEmpty)
        let lent = Endpoint(Stage.main.address, port: port)
        #expect(stage.receive([1], from: peer, to: lent).isEmpty)
        #expect(visitor.bind(0x4001, peer)?.isSuccess == true)
        #expect(visitor.bind(0x4000, endpoint("192.0.2.7:701"))?.isSuccess == true)
        stage.now = stage.now.advanced(by: .seconds(400))
        visitor.permit(peer)
        stage.now = stage.now.advanced(by: .seconds(200))
        let back = stage.receive([1], from: peer, to: lent)
        #expect(Indication(back.first)?.data == [1], "no channel, but a permission")
        #expect(visitor.bind(0x4000, peer)?.isSuccess == true, "the number's old peer is gone")
        stage.now = stage.now.advanced(by: .seconds(299))
        #expect(visitor.indicate([1], to: peer).count == 1)
        stage.now = stage.now.advanced(by: .seconds(1))
        #expect(visitor.indicate([1], to: peer).isEmpty)
        #expect(stage.receive([1], from: endpoint("192.0.2.7:9"), to: lent).isEmpty)
        stage.now = stage.now.advanced(by: .seconds(3_600))
        #expect(visitor.channel(0x4001, [1]).isEmpty)
    }

    @Test("11.2: a Send indication needs a permission, an address and data")
    func sendIndication() {
        let stage = Stage()
        let (visitor, port) = settled(stage)
        #expect(visitor.indicate([1], to: peer).isEmpty)
        #expect(stage.counters.noPermission == 1)
        visitor.permit(peer)
        #expect(
            visitor.indicate([1, 2, 3, 4, 5], to: peer) == [
                Stage.Sent(
                    bytes: [1, 2, 3, 4, 5],
                    remote: peer,
                    local: Endpoint(high: 0, low: 0, port: port),
                    ecn: 0
                )
            ]
        )
        var writer = STUNWriter(.indication, .send, visitor.transaction())
        writer.append(.xorPeerAddress, peer)
        #expect(visitor.send(writer.bytes).isEmpty)
        writer.append(.dontFragment, [])
        writer.append(.data, [1])
        #expect(visitor.send(writer.bytes).isEmpty, "DONT-FRAGMENT is not understood")
        #expect(visitor.indicate([], to: peer).isEmpty)
        #expect(visitor.indicate([1], to: endpoint("192.0.2.7:0")).isEmpty)
    }

    @Test("both families of one allocation carry data")
    func bothFamilies() {
        let stage = Stage()
        let (visitor, port) = settled(stage)
        let ipv6 = endpoint("[2001:db8:9::1]:5")
        visitor.bind(0x4001, ipv6)
        #expect(visitor.channel(0x4001, [1]).map(\.remote) == [ipv6])
        let lent = Endpoint(Stage.mainIPv6.address, port: port)
        #expect(stage.receive([2], from: ipv6, to: lent).map(\.remote) == [visitor.endpoint])
        #expect(visitor.refresh(0, .ipv6)?.isSuccess == true)
        #expect(visitor.channel(0x4001, [1]).isEmpty, "8.2: one family was given back")
        #expect(stage.allocationCount == 1)
        #expect(visitor.refresh(600, .ipv6)?.code == 443)
        #expect(visitor.refresh(0, .ipv4)?.isSuccess == true)
        #expect(stage.allocationCount == 0)
        #expect(stage.ports.isEmpty)
    }

    @Test("a refresh with 0 ends everything: permissions, channels, the port")
    func released() {
        let stage = Stage()
        let (visitor, port) = settled(stage)
        visitor.bind(0x4000, peer)
        let answer = visitor.refresh(0)
        #expect(answer?.isSuccess == true)
        #expect(answer?.lifetime == 0)
        #expect(stage.requested.last == .close(port))
        let lent = Endpoint(Stage.main.address, port: port)
        #expect(stage.receive([1], from: peer, to: lent).isEmpty)
        #expect(stage.counters.closedPort == 1)
        let status = stage.relay.status(at: stage.now)
        #expect(status.permissions == 0)
        #expect(status.channels == 0)
        visitor.allocate()
        #expect(visitor.channel(0x4000, [1]).isEmpty, "nothing of the old one is left")
    }

    @Test("equal data of one entry leave as one run, both ways")
    func runs() {
        let stage = Stage()
        let (visitor, port) = settled(stage)
        visitor.bind(0x4000, peer)
        let data = [UInt8](repeating: 7, count: 1_200)
        let framed = channelData(0x4000, data)
        stage.hold(
            Array((0..<40).map { _ in framed }.joined()) + channelData(0x4000, [1]),
            from: visitor.endpoint,
            segmentByteCount: framed.count
        )
        _ = stage.relay.receive(
            stage.batch,
            from: .network,
            at: stage.now,
            into: &stage.outbox
        )
        #expect(stage.outbox.runCount == 1)
        #expect(stage.outbox.run(0).count == 41)
        #expect(stage.outbox.run(0).segmentByteCount == 1_200)
        stage.settle()
        stage.batch.removeAll()
        stage.hold(
            Array((0..<40).map { _ in data }.joined()),
            from: peer,
            to: Endpoint(Stage.main.address, port: port),
            segmentByteCount: data.count
        )
        _ = stage.relay.receive(
            stage.batch,
            from: .network,
            at: stage.now,
            into: &stage.outbox
        )
        #expect(stage.outbox.runCount == 1)
        #expect(stage.outbox.run(0).segmentByteCount == 1_204)
        #expect(stage.counters.packetsToPeers == 41)
        #expect(stage.counters.bytesToClients == 48_000)
    }

    @Test("with a full outbox fewer entries are taken, and nothing is lost")
    func fullOutbox() {
        let stage = Stage()
        let (visitor, _) = settled(stage)
        visitor.bind(0x4000, peer)
        let framed = channelData(0x4000, [UInt8](repeating: 7, count: 1_200))
        let burst = Array((0..<40).map { _ in framed }.joined())
        stage.outbox = Outbox(byteCount: 1 << 17)
        for _ in 0..<5 {
            stage.hold(burst, from: visitor.endpoint, segmentByteCount: framed.count)
        }
        var (turns, sent) = (0, 0)
        while !stage.batch.indices.isEmpty, turns < 10 {
            turns += 1
            let taken = stage.relay.receive(
                stage.batch,
                from: .network,
                at: stage.now,
                into: &stage.outbox
            )
            stage.batch.removeFirst(taken)
            sent += stage.settle().count
        }
        #expect(sent == 200)
        #expect(turns > 1)
        #expect(stage.counters.sizes == 0)
    }
}
