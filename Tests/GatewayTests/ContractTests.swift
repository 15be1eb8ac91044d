import Bytes
import Control
import Gateway
import IP
import SansIO
import Testing
import WireGuard

@Suite struct TheContractOfAMachine {
    @Test func `a gateway that has nothing to do has no deadline`() {
        let world = GatewayWorld()
        world.run(for: .seconds(5))
        #expect(world.gateway.nextDeadline == nil)
    }

    @Test func `every state that depends on time has a deadline`() {
        let world = GatewayWorld(limitSeconds: 700)
        let client = world.client()
        world.order(world.grant(client, Resources.internet, lease: "a", seconds: 900))
        world.run(for: .seconds(1))
        #expect(world.gateway.nextDeadline == .at(900))
        world.say(.portalConnected(false))
        #expect(world.gateway.nextDeadline == .at(701))
        world.order(world.grant(client, Resources.internet, lease: "b", seconds: 60))
        #expect(world.gateway.nextDeadline == .at(61))
    }

    @Test func `an early call changes nothing and a late one is made up for`() {
        let world = GatewayWorld()
        let client = world.client()
        world.order(world.grant(client, Resources.internet, lease: "a", seconds: 60))
        world.run(for: .seconds(59))
        #expect(world.gateway.leases == ["a"])
        world.now = world.now.advanced(by: .seconds(10_000))
        world.run(for: .zero)
        #expect(world.gateway.leases.isEmpty)
    }

    @Test func `flows whose time is over free their room`() {
        let world = GatewayWorld()
        let client = world.connectedClient()
        for port in 1...50 as ClosedRange<UInt16> {
            world.send(Packet.udp(from: client.address, port, to: Address.proxy1), by: client)
        }
        world.run(for: .seconds(121))
        let flows = world.gateway.status(at: world.now).clients.map(\.flows)
        #expect(flows == [0])
    }

    @Test func `an output that is queued means a deadline of now`() {
        let wall = WallStart(unixNanoseconds: 1, at: .at(0))
        var gateway = Gateway(wallClock: wall, random: RandomSource(seed: 1))
        var outbox = Outbox()
        gateway.handle(.portalConnected(true), at: .at(0), into: &outbox)
        while gateway.pollOutput() != nil {}
        gateway.handle(
            .localAddresses([Address.of("192.0.2.1")], port: 1),
            at: .at(0),
            into: &outbox
        )
        let queued = gateway.nextDeadline
        #expect(queued == Instant(nanoseconds: 0))
        while gateway.pollOutput() != nil {}
        let empty = gateway.nextDeadline
        #expect(empty == nil)
    }

    @Test func `with no room left it stops and takes the rest later`() {
        let world = GatewayWorld()
        let client = world.connectedClient()
        world.send(Packet.tcp(from: client.address, to: Address.proxy1), by: client)
        var batch = Batch(byteCount: 1 << 17)
        let packet = Packet.tcp(
            from: Address.real1,
            443,
            to: client.address,
            40_000,
            .ack,
            payload: [UInt8](repeating: 1, count: 1_000)
        )
        for index in 0..<Batch.Limits.packets {
            let range = index * packet.count..<(index + 1) * packet.count
            var room = batch.block.mutableBytes(range)
            room.write(packet.rawSpan, at: 0)
            batch.append(Batch.Packet(range: range))
        }
        var outbox = Outbox(byteCount: 20_000)
        var sent = 0
        for _ in 0..<20 where !batch.indices.isEmpty {
            let taken = world.gateway.receive(batch, from: .tunnel, at: world.now, into: &outbox)
            #expect(taken > 0)
            batch.removeFirst(taken)
            for run in 0..<outbox.runCount { sent += outbox.run(run).count }
            outbox.removeAll()
        }
        #expect(sent == Batch.Limits.packets)
    }

    @Test func `what can never fit is dropped and counted`() {
        let world = GatewayWorld()
        let client = world.connectedClient()
        world.send(Packet.udp(from: client.address, 9, to: Address.proxy1), by: client)
        var batch = Batch(byteCount: 4_096)
        let packet = Packet.udp(
            from: Address.real1,
            53,
            to: client.address,
            9,
            payload: [UInt8](repeating: 1, count: 900)
        )
        var room = batch.block.mutableBytes(0..<packet.count)
        room.write(packet.rawSpan, at: 0)
        batch.append(Batch.Packet(range: 0..<packet.count))
        var outbox = Outbox(byteCount: 512)
        let taken = world.gateway.receive(batch, from: .tunnel, at: world.now, into: &outbox)
        #expect(taken == 1)
        #expect(world.gateway.counters.tooLarge == 1)
    }
}

@Suite struct Fragments {
    /// The fragments of an IPv4 packet, of `size` payload bytes each.
    static func fragments(of packet: [UInt8], size: Int, identification: UInt16) -> [[UInt8]] {
        let payload = Array(packet[20...])
        return stride(from: 0, to: payload.count, by: size).map { start in
            let part = Array(payload[start..<min(start + size, payload.count)])
            var header = Array(packet[..<20])
            let total = UInt16(20 + part.count)
            let more: UInt16 = start + part.count < payload.count ? 0x2000 : 0
            let offset = more | UInt16(start / 8)
            header[2...3] = [UInt8(total >> 8), UInt8(total & 0xff)]
            header[4...5] = [UInt8(identification >> 8), UInt8(identification & 0xff)]
            header[6...7] = [UInt8(offset >> 8), UInt8(offset & 0xff)]
            header[10...11] = [0, 0]
            let sum = ~Checksum.sum(header.rawSpan)
            header[10...11] = [UInt8(sum >> 8), UInt8(sum & 0xff)]
            return header + part
        }
    }

    private static let payload = (0..<3_000).map { UInt8(truncatingIfNeeded: $0) }

    @Test func `a datagram in fragments passes in both directions`() {
        let world = GatewayWorld()
        let client = world.connectedClient()
        let question = Packet.udp(
            from: client.address,
            9,
            to: Address.proxy1,
            payload: Self.payload
        )
        for fragment in Self.fragments(of: question, size: 1_200, identification: 5) {
            world.send(fragment, by: client)
        }
        #expect(world.forwarded.count == 3)
        let headers = world.forwarded.compactMap { try? PacketHeader($0.rawSpan) }
        #expect(headers.allSatisfy { $0.destination == Address.real1 })
        #expect(world.forwarded.flatMap { $0[20...] }.dropFirst(8).elementsEqual(Self.payload))

        let answer = Packet.udp(
            from: Address.real1,
            53,
            to: client.address,
            9,
            payload: Self.payload
        )
        for fragment in Self.fragments(of: answer, size: 1_200, identification: 6) {
            world.resourceSends(fragment)
        }
        let back = client.received.compactMap { try? PacketHeader($0.rawSpan) }
        #expect(back.count == 3)
        #expect(back.allSatisfy { $0.source == Address.proxy1 })
    }

    @Test func `fragments wait for the name with the first of them`() {
        let world = GatewayWorld()
        world.zones["app.example.com"] = Zone(addresses: [Address.real1], isSilent: true)
        let client = world.connectedClient()
        let question = Packet.udp(
            from: client.address,
            9,
            to: Address.proxy1,
            payload: Self.payload
        )
        for fragment in Self.fragments(of: question, size: 1_200, identification: 5) {
            world.send(fragment, by: client)
        }
        world.zones["app.example.com"]?.isSilent = false
        world.run(for: .seconds(1))
        #expect(world.forwarded.count == 3)
    }

    @Test func `fragments that come before the first one wait for it`() {
        let world = GatewayWorld()
        let client = world.connectedClient()
        let question = Packet.udp(
            from: client.address,
            9,
            to: Address.proxy1,
            payload: Self.payload
        )
        let fragments = Self.fragments(of: question, size: 1_200, identification: 5)
        for fragment in fragments.reversed() { world.send(fragment, by: client) }
        #expect(world.forwarded.count == 1)
        #expect(world.lastForwarded?.totalByteCount == question.count)
        #expect(world.lastForwarded?.destination == Address.real1)
    }

    @Test func `a fragment without its first one goes nowhere`() {
        let world = GatewayWorld()
        let client = world.connectedClient()
        let question = Packet.udp(
            from: client.address,
            9,
            to: Address.proxy1,
            payload: Self.payload
        )
        let fragments = Self.fragments(of: question, size: 1_200, identification: 5)
        world.send(fragments[1], by: client)
        world.run(for: .seconds(61))
        world.send(fragments[0], by: client)
        world.send(fragments[2], by: client)
        #expect(world.forwarded.count == 2)
    }
}
