import Bytes
import IP
import SansIO
import Testing

@testable import Translation

@Suite("At random")
struct RandomTests {
    private func packet(_ random: inout RandomSource, _ family: IPFamily) -> [UInt8] {
        let count = Int.random(in: 0...1_100, using: &random)
        let ip = IPHeader(
            from: Host.client[family],
            to: Host.server[family],
            hopLimit: UInt8.random(in: 3...255, using: &random),
            trafficClass: .random(in: 0...255, using: &random),
            identification: .random(in: 0...0xffff, using: &random),
            dontFragment: .random(using: &random)
        )
        let payload = random.bytes(count)
        let (one, two) = (random.next(), random.next())
        let ports = (UInt16(truncatingIfNeeded: one), UInt16(truncatingIfNeeded: one >> 16))
        switch random.next() % 4 {
        case 0:
            return ip.packet(
                UDPHeader(sourcePort: ports.0, destinationPort: ports.1),
                payload: payload
            )
        case 1:
            return ip.packet(
                ICMPHeader.echoRequest(family, identifier: ports.0, sequence: ports.1),
                body: payload
            )
        case 2:
            return ip.packet(
                ICMPHeader.echoReply(family, identifier: ports.0, sequence: ports.1),
                body: payload
            )
        default:
            let options = random.bytes(Int(two % 11) * 4)
            return ip.packet(
                TCPHeader(
                    sourcePort: ports.0,
                    destinationPort: ports.1,
                    sequence: UInt32(truncatingIfNeeded: two),
                    flags: .ack,
                    options: options
                ),
                payload: payload
            )
        }
    }

    @Test("a packet goes there with right checksums, and comes back as it was")
    func thereAndBack() throws {
        var random = RandomSource(seed: 6)
        for round in 0..<1_500 {
            var bench = Bench()
            let family: IPFamily = round & 1 == 0 ? .ipv4 : .ipv6
            let packet = packet(&random, family)
            let there = try bench(packet)
            #expect(try FullCheck.accepts(there), "round \(round)")
            let back = try bench(there)
            #expect(try FullCheck.accepts(back), "round \(round)")
            // Two hops fewer; an IPv4 packet gets another identification, and DF by its size.
            let expected = Sample.changed(packet) {
                if family == .ipv4 {
                    $0[8] -= 2
                    ($0[4], $0[5], $0[6]) = (back[4], back[5], back[6])
                } else {
                    $0[7] -= 2
                }
            }
            #expect(back == expected, "round \(round)")
        }
    }

    @Test("ports and identifiers are changed with right checksums")
    func ports() throws {
        var random = RandomSource(seed: 8)
        var translator = Translator(random: &random)
        for round in 0..<800 {
            let family: IPFamily = round & 1 == 0 ? .ipv4 : .ipv6
            let packet = packet(&random, family)
            let header = try PacketHeader(packet.rawSpan)
            let payload = packet.rawSpan.extracting(droppingFirst: header.payloadOffset)
            var block = Block(byteCount: 108)
            var bytes = block.mutableBytes(0..<108)
            let new = try translator.translate(
                headers: packet.rawSpan.extracting(first: header.payloadOffset),
                payload: payload,
                header: header,
                offload: .none,
                from: Endpoint(
                    Host.client[family.other],
                    port: .random(in: 0...0xffff, using: &random)
                ),
                to: Endpoint(
                    Host.router[family.other],
                    port: .random(in: 0...0xffff, using: &random)
                ),
                limits: PathLimits(),
                into: &bytes
            )
            let whole = block.bytes(0..<new.header.payloadOffset).array + payload.array
            #expect(try PacketHeader(whole.rawSpan) == new.header)
            #expect(try FullCheck.accepts(whole), "round \(round)")
        }
    }

    @Test("cut anyhow, shuffled and joined, it is whole again")
    func pieces() throws {
        var random = RandomSource(seed: 9)
        for round in 0..<300 {
            let family: IPFamily = round & 1 == 0 ? .ipv4 : .ipv6
            let packet = packet(&random, family)
            let size = Int.random(in: 8...40, using: &random) * 8
            let pieces = Sample.pieces(packet, size)
            // The first piece has the whole transport header.
            guard size >= 64, pieces.count > 1 else { continue }
            let joined = try #require(try Cutting.join(pieces.shuffled(using: &random)))
            let content = family == .ipv4 ? joined[20...] : joined[48...]
            #expect(Array(content) == Array(packet[(family == .ipv4 ? 20 : 40)...]))
        }
    }

    @Test("any bytes end in a packet or in an error")
    func anything() {
        var random = RandomSource(seed: 10)
        var bench = Bench()
        var taken = 0
        for round in 0..<6_000 {
            let family: IPFamily = round & 1 == 0 ? .ipv4 : .ipv6
            var packet =
                round % 3 == 0
                ? Sample.error(family == .ipv4 ? 3 : 1, 0, about: packet(&random, family))
                : packet(&random, family)
            for _ in 0..<Int.random(in: 0...4, using: &random) {
                let place = Int.random(in: 0..<min(packet.count, 100), using: &random)
                packet[place] = .random(in: 0...255, using: &random)
            }
            if round % 5 == 0 {
                packet = Array(packet.prefix(.random(in: 20...packet.count, using: &random)))
            }
            if (try? bench.translate(packet)) != nil { taken += 1 }
            if (try? bench.error(packet)) != nil { taken += 1 }
        }
        #expect(taken > 1_000)
    }
}
