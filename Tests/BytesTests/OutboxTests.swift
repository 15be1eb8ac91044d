import Testing

@testable import Bytes

@Suite("Outbox")
struct OutboxTests {
    static let near = Endpoint(high: 0, low: 1, port: 1)
    static let far = Endpoint(high: 0, low: 2, port: 2)

    static func send(_ size: Int, to remote: Endpoint, in outbox: inout Outbox) {
        _ = outbox.reserve(size)
        outbox.commit(to: remote)
    }

    @Test("equal datagrams to one endpoint make one run, a shorter one ends it")
    func joins() {
        var outbox = Outbox(byteCount: 4096)
        for size in [100, 100, 60, 100] { Self.send(size, to: Self.near, in: &outbox) }
        #expect(outbox.runCount == 2)
        #expect(outbox.run(0).count == 3)
        #expect(outbox.run(0).range == 0..<260)
        #expect(outbox.run(1).count == 1)
    }

    @Test("a longer datagram, another endpoint or another ECN begins a run")
    func splits() {
        var outbox = Outbox(byteCount: 4096)
        Self.send(100, to: Self.near, in: &outbox)
        Self.send(101, to: Self.near, in: &outbox)
        Self.send(101, to: Self.far, in: &outbox)
        _ = outbox.reserve(101)
        outbox.commit(to: Self.far, ecn: 3)
        #expect(outbox.runCount == 4)
    }

    @Test("a run ends at 64 segments")
    func segmentLimit() {
        var outbox = Outbox(byteCount: 4096)
        for _ in 0..<65 { Self.send(10, to: Self.near, in: &outbox) }
        #expect(outbox.runCount == 2)
        #expect(outbox.run(0).count == 64)
    }

    @Test("a full outbox gives an empty span and counts it")
    func refuses() {
        var outbox = Outbox(byteCount: 100)
        Self.send(80, to: Self.near, in: &outbox)
        #expect(outbox.reserve(30).byteCount == 0)
        outbox.commit(to: Self.near)
        #expect(outbox.runCount == 1)
        #expect(outbox.refusedCount == 1)
    }

    @Test("nothing leaves without a commit")
    func forgotten() {
        var outbox = Outbox(byteCount: 100)
        _ = outbox.reserve(10)
        let isEmpty = outbox.isEmpty
        #expect(isEmpty)
        Self.send(20, to: Self.near, in: &outbox)
        #expect(outbox.run(0).range == 0..<20)
    }

    @Test("the payload of a following segment joins the last tunnel packet")
    func joinsTunnelPackets() {
        var outbox = Outbox(byteCount: 100)
        var first = outbox.reserveTunnel(8)
        first.store(UInt64(0x0102_0304_0506_0708), at: 0)
        outbox.commitTunnel(byteCount: 8)
        var second = outbox.reserveTunnel(8)
        second.store(UInt64(0x1112_1314_1516_1718), at: 0)
        outbox.joinLastTunnelPacket(payload: 4..<8, offload: .none)
        #expect(outbox.tunnelPacketCount == 1)
        #expect(
            outbox.bytes(ofTunnelPacket: 0).array == [
                1, 2, 3, 4, 5, 6, 7, 8, 0x15, 0x16, 0x17, 0x18,
            ]
        )
    }
}
