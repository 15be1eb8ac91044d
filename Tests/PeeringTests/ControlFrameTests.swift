import Bytes
import IP
import SansIO
import Testing

@testable import Peering

@Suite("Control frames")
struct ControlFrameTests {
    static let proxies = [
        IPAddress(ipv4: 0x6460_0001), IPAddress(ipv4: 0x6460_0002),
        IPAddress(high: 0xfd00_2021_1111_8000, low: 1),
    ]
    static let all: [ControlFrame] = [
        .probe(number: 7), .probeAnswer(number: .max), .path(number: 0),
        .names(
            ControlFrame.Names(epoch: 3, resource: "r", name: "git.example.com", proxies: proxies)
        ),
        .namesAnswer(
            ControlFrame.NamesAnswer(
                epoch: 3,
                resource: "r",
                name: "git.example.com",
                status: .active,
                families: [.ipv6]
            )
        ),
        .namesAnswer(
            ControlFrame.NamesAnswer(epoch: 4, resource: "r", name: "x", status: .other(77))
        ),
        .release(ControlFrame.Release(epoch: 9, name: "git.example.com", proxies: proxies)),
        .goodbye(.draining), .goodbye(.other(200)),
    ]

    @Test("what is written is read back, padding behind it ignored", arguments: all)
    func roundTrip(frame: ControlFrame) throws {
        let bytes = frame.bytes
        #expect(try ControlFrame(reading: bytes.rawSpan) == frame)
        let padded = bytes + [UInt8](repeating: 0, count: 15)
        #expect(try ControlFrame(reading: padded.rawSpan) == frame)
    }

    @Test("the layout of a probe, byte for byte")
    func layout() {
        let bytes = ControlFrame.probe(number: 0x0102_0304_0506_0708).bytes
        #expect(bytes == [0, 1, 1, 0, 0, 11, 1, 0, 8, 1, 2, 3, 4, 5, 6, 7, 8])
    }

    @Test("a frame cut anywhere is refused", arguments: all)
    func truncated(frame: ControlFrame) {
        let bytes = frame.bytes
        for count in 0..<bytes.count {
            #expect(throws: ControlFrameError.self) {
                try ControlFrame(reading: Array(bytes.prefix(count)).rawSpan)
            }
        }
    }

    @Test("unknown fields are skipped; unknown kinds and versions say so")
    func unknown() throws {
        let later: [UInt8] = [0, 1, 1, 0xff, 0, 15, 99, 0, 1, 5, 1, 0, 8, 0, 0, 0, 0, 0, 0, 0, 9]
        #expect(try ControlFrame(reading: later.rawSpan) == .probe(number: 9))
        #expect(throws: ControlFrameError.kind(50)) {
            try ControlFrame(reading: ([0, 1, 50, 0, 0, 0] as [UInt8]).rawSpan)
        }
        #expect(throws: ControlFrameError.version(2)) {
            try ControlFrame(reading: ([0, 2, 1, 0, 0, 0] as [UInt8]).rawSpan)
        }
        #expect(throws: ControlFrameError.missing(field: 1)) {
            try ControlFrame(reading: ([0, 1, 1, 0, 0, 0] as [UInt8]).rawSpan)
        }
        #expect(throws: ControlFrameError.notAFrame) {
            try ControlFrame(reading: ([0x45, 1, 1, 0, 0, 0] as [UInt8]).rawSpan)
        }
    }

    @Test("what one side may not say is dropped by the other")
    func roles() throws {
        let world = TwoPools(seed: 1)
        let index = world.connect()
        for frame in Self.all where !frame.mayBeSent(by: .client) {
            #expect(world.clientSends(frame, to: index) == .refused)
        }
        let names = try #require(Self.all.first { !$0.mayBeSent(by: .gateway) })
        #expect(names.mayBeSent(by: .client))
    }

    @Test("random bytes never trap, nor does a frame with random bytes in it")
    func random() {
        var random = RandomSource(seed: 99)
        for round in 0..<20_000 {
            var bytes = random.bytes(Int.random(in: 0..<80, using: &random))
            if round % 2 == 0 {
                bytes = Self.all[round / 2 % Self.all.count].bytes
                let place = Int.random(in: 0..<bytes.count, using: &random)
                bytes[place] = UInt8(truncatingIfNeeded: random.next())
            }
            if let frame = try? ControlFrame(reading: bytes.rawSpan) {
                let again = try? ControlFrame(reading: frame.bytes.rawSpan)
                #expect(again == frame)
            }
        }
    }

    @Test("random datagrams, and real ones with a byte changed, never trap a pool")
    func randomDatagrams() {
        let world = TwoPools(seed: 5)
        let index = world.connect()
        world.flow(from: .client, to: index, for: .milliseconds(200))
        var random = RandomSource(seed: 6)
        let real = world.sentByClient + world.sentByGateway
        for round in 0..<5_000 {
            var bytes = random.bytes(Int.random(in: 0..<200, using: &random))
            if round % 2 == 0 {
                bytes = real[Int.random(in: 0..<real.count, using: &random)].bytes
                let place = Int.random(in: 0..<bytes.count, using: &random)
                bytes[place] = UInt8(truncatingIfNeeded: random.next())
            } else if bytes.count > 4 {
                bytes.replaceSubrange(0..<4, with: [UInt8(round % 5), 0, 0, 0])
            }
            let source = Endpoint(IPAddress(ipv4: 0x0808_0808), port: 53)
            world.inject(bytes, from: source, to: round % 4 < 2 ? .client : .gateway)
        }
        world.run(for: .seconds(2))
        #expect(world.client.status(of: index)?.isConnected == true)
    }
}
