import Bytes
import IP
import STUN
import SansIO
import Testing

@testable import Relay

@Suite("Hostile input")
struct HostileTests {
    private let peer = endpoint("192.0.2.7:700")

    @Test("garbage on every port is counted, not answered, and hurts nobody")
    func garbage() {
        let stage = Stage()
        let visitor = Visitor(stage)
        let port = visitor.allocate()?.relayed.first?.port ?? 0
        visitor.bind(0x4000, peer)
        var random = RandomSource(seed: 6)
        for _ in 0..<3_000 {
            var bytes = random.bytes(Int(random.next() % 80))
            if bytes.count > 8, random.next() % 2 == 0 {
                bytes[0] &= 3
                bytes.replaceSubrange(4..<8, with: [0x21, 0x12, 0xa4, 0x42])
            }
            let place = Endpoint(
                IPAddress(ipv4: 0xcb00_7200 | UInt32(random.next() % 256)),
                port: UInt16(random.next() % 65_536)
            )
            let local = [Stage.main.port, port, 9, 65_535][Int(random.next() % 4)]
            let sent = stage.receive(
                bytes,
                from: place,
                to: Endpoint(Stage.main.address, port: local)
            )
            #expect(sent.isEmpty)
        }
        #expect(stage.counters.malformed > 500)
        #expect(stage.allocationCount == 1)
        #expect(visitor.channel(0x4000, [1]).count == 1)
    }

    @Test("channel data that say more than they hold are dropped")
    func shortChannelData() {
        let stage = Stage()
        let visitor = Visitor(stage)
        visitor.allocate()
        visitor.bind(0x4000, peer)
        for bytes in [[0x40], [0x40, 0], [0x40, 0, 0], [0x40, 0, 0, 2, 1], [0x40, 0, 255, 255]] {
            #expect(visitor.send(bytes.map { UInt8($0) }).isEmpty)
        }
        #expect(visitor.channel(0x4000, []).isEmpty)
        #expect(stage.counters.sizes == 1)
    }

    @Test("answers and indications of the server's kinds are no requests")
    func reflected() {
        let stage = Stage()
        let visitor = Visitor(stage)
        visitor.allocate()
        for kind in [STUNClass.success, .failure] {
            let writer = STUNWriter(kind, .allocate, visitor.transaction())
            #expect(visitor.send(writer.bytes).isEmpty)
        }
        let data = STUNWriter(.indication, .data, visitor.transaction())
        #expect(visitor.send(data.bytes).isEmpty)
        #expect(stage.counters.malformed == 3)
        let keepalive = STUNWriter(.indication, .binding, visitor.transaction())
        #expect(visitor.send(keepalive.bytes).isEmpty)
        #expect(stage.counters.malformed == 3)
    }

    @Test("a forged refresh, permission or channel from elsewhere, or unsigned, changes nothing")
    func forged() {
        let stage = Stage()
        let visitor = Visitor(stage)
        let port = visitor.allocate()?.relayed.first?.port ?? 0
        let refresh = visitor.bare(.refresh) { $0.append(.lifetime, 0) }
        visitor.send(refresh.bytes)
        var writer = refresh
        writer.append(.username, visitor.username)
        writer.append(.realm, visitor.realm)
        writer.append(.nonce, visitor.nonce)
        writer.seal(.sha1, key: [UInt8](repeating: 0, count: 16).rawSpan)
        visitor.send(writer.bytes)
        let thief = Visitor(stage, at: "203.0.113.66:6")
        thief.send(visitor.signed(visitor.bare(.refresh) { $0.append(.lifetime, 0) }))
        #expect(stage.allocationCount == 1)
        let permit = visitor.bare(.createPermission) { $0.append(.xorPeerAddress, peer) }
        visitor.send(permit.bytes)
        let lent = Endpoint(Stage.main.address, port: port)
        #expect(stage.receive([1], from: peer, to: lent).isEmpty)
        #expect(thief.channel(0x4000, [1]).isEmpty)
    }

    @Test("a flood of allocations ends at the quota, and costs nothing when it is over")
    func flood() {
        let stage = Stage()
        var codes: [UInt16?] = []
        for port in 0..<100 {
            codes.append(Visitor(stage, at: "203.0.113.9:\(7_000 + port)").allocate()?.code)
        }
        #expect(codes.filter { $0 == nil }.count == 16)
        #expect(codes.filter { $0 == 486 }.count == 84)
        stage.pass(.seconds(602))
        let status = stage.relay.status(at: stage.now)
        #expect(status.allocations.isEmpty)
        #expect(status.credentials == 0)
        #expect(stage.ports.isEmpty)
        #expect(stage.relay.nextDeadline == nil, "an idle relay sleeps")
    }

    @Test("credentials are bounded and forgotten, one name each second after another")
    func names() {
        let stage = Stage()
        for number in 0..<300 {
            let visitor = Visitor(stage, at: "203.0.113.9:\(7_000 + number)", name: "n\(number)")
            #expect(visitor.allocate()?.isSuccess == true)
            visitor.refresh(0)
            stage.pass(.milliseconds(100))
        }
        #expect(stage.relay.status(at: stage.now).credentials <= 10)
    }

    @Test("datagrams too large for a header more are dropped")
    func large() {
        let stage = Stage()
        let visitor = Visitor(stage)
        let port = visitor.allocate()?.relayed.first?.port ?? 0
        let lent = Endpoint(Stage.main.address, port: port)
        visitor.bind(0x4000, peer)
        let most = [UInt8](repeating: 1, count: Relay.Limits.datagramByteCount - 4)
        #expect(stage.receive(most, from: peer, to: lent).count == 1)
        #expect(stage.receive(most + [1], from: peer, to: lent).isEmpty)
        #expect(stage.counters.sizes == 1)
    }
}
