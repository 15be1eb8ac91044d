internal import Bytes
internal import Glibc
internal import IP
internal import SansIO
internal import Testing

@testable internal import Linux

extension KernelTests {
    @Suite("Ports that a machine asks for")
    struct PortTests {
        @Test(
            "an open port receives with its number, and sends from it",
            arguments: ["10.9.0.", "fd09::"]
        )
        func traffic(prefix: String) async throws {
            let pair = try Pair()
            let here = try Plane(in: pair.near)
            let there = try Plane(in: pair.far, echoes: true)
            #expect(await there.open(10_001))
            let remote = endpoint(prefix + "2", 10_001)
            await here.plane.handle(.send(count: 1, byteCount: 100, first: 0, to: remote))
            await here.received(1)
            await here.plane.handle(.send(count: 199, byteCount: 1_312, first: 1, to: remote))
            await here.received(200)
            let received = await here.plane.withMachine { $0.received }
            #expect(received.count == 200)
            #expect(received.values.allSatisfy { $0 == 1 })
            let local = await there.plane.withMachine { $0.lastLocal }
            #expect(local == remote, "the address that it was sent to, and the port")
            let last = await here.plane.withMachine { $0.lastRemote }
            #expect(last == remote, "the echo comes from the port that was asked")
            let sends = await there.plane.counters.networkSends
            #expect(sends < 60, "runs leave an open port in segmented sends")
            await here.plane.stop()
            await there.plane.stop()
        }

        @Test("the kernel's refusal is an answer: a port in use, a closed one that is opened again")
        func refused() async throws {
            let namespace = try NetworkNamespace()
            let plane = try Plane(in: namespace)
            let other = try make(in: namespace) {
                try UDPSockets(listeningOn: [], port: 10_002)
            }
            #expect(await !plane.open(10_002))
            #expect(await !plane.open(plane.port), "the main port is the machine's already")
            #expect(await !plane.open(0))
            #expect(await plane.open(10_003))
            #expect(await plane.open(10_003), "asked again it is still open")
            await plane.plane.handle(.port(.close(10_003)))
            let again = try make(in: namespace) { try UDPSockets(listeningOn: [], port: 10_003) }
            let (port, otherPort) = (again.port, other.port)
            #expect((port, otherPort) == (10_003, 10_002), "closed at once")
            let counters = await plane.plane.counters
            #expect(counters.portsOpened == 2)
            #expect(counters.portsRefused == 3)
            #expect(counters.portsClosed == 1)
            await plane.plane.stop()
        }

        @Test("a port of one family does not answer in the other")
        func oneFamily() async throws {
            let pair = try Pair()
            let here = try Plane(in: pair.near)
            let there = try Plane(in: pair.far)
            #expect(await there.open(10_004, ipv6: false))
            for (prefix, number) in [("fd09::", UInt32(1)), ("10.9.0.", 2)] {
                let remote = endpoint(prefix + "2", 10_004)
                await here.plane.handle(
                    .send(count: 1, byteCount: 100, first: number, to: remote)
                )
            }
            await there.received(1)
            let received = await there.plane.withMachine { $0.received }
            #expect(received == [2: 1])
            #expect(await there.open(10_004), "the other family is added")
            let remote = endpoint("fd09::2", 10_004)
            await here.plane.handle(.send(count: 1, byteCount: 100, first: 3, to: remote))
            await there.received(2)
            await here.plane.stop()
            await there.plane.stop()
        }

        @Test("what leaves by a port that is not open is refused and counted")
        func unknownPort() async throws {
            let pair = try Pair()
            let plane = try Plane(in: pair.near)
            let from = Endpoint(high: 0, low: 0, port: 10_005)
            let remote = endpoint("10.9.0.2", 9)
            await plane.plane.handle(
                .send(count: 3, byteCount: 100, first: 0, to: remote, from: from)
            )
            #expect(await plane.open(10_006))
            await plane.plane.handle(
                .send(count: 3, byteCount: 100, first: 0, to: remote, from: from)
            )
            let counters = await plane.plane.counters
            #expect(counters.datagramsRefused == 6)
            #expect(counters.datagramsSent == 0)
            await plane.plane.stop()
        }

        @Test("a full port keeps its own backlog, which goes with the port")
        func fullPort() async throws {
            let pair = try Pair()
            try run(
                "tc qdisc add dev cvlxa root tbf rate 1mbit burst 2kb limit 64mb",
                in: pair.near
            )
            let plane = try Plane(in: pair.near)
            #expect(await plane.open(10_007))
            let from = Endpoint(high: 0, low: 0, port: 10_007)
            let remote = endpoint("10.9.0.2", 9)
            for first in [UInt32(0), 1_000, 2_000, 3_000] {
                await plane.plane.handle(
                    .send(count: 350, byteCount: 1_400, first: first, to: remote, from: from)
                )
            }
            let counters = await plane.plane.counters
            #expect(counters.backPressurePauses == 1)
            #expect(counters.datagramsSent < 1_400)
            #expect(counters.backlogDrops == 0)
            await plane.plane.handle(.port(.close(10_007)))
            let after = await plane.plane.counters
            #expect(after.datagramsSent + after.backlogDrops == 1_400)
            await plane.plane.stop()
        }

        @Test("sockets listen on the addresses that they are given, and answer from them")
        func listening() async throws {
            let pair = try Pair()
            try run("ip address add 10.9.0.3/24 dev cvlxb", in: pair.far)
            try run("ip address add 10.9.0.4/24 dev cvlxb", in: pair.far)
            let addresses = ["10.9.0.3", "10.9.0.4", "fd09::2"].compactMap { IPAddress($0) }
            let there = try Plane(
                in: pair.far,
                echoes: true,
                listening: (addresses, 10_008)
            )
            let here = try Plane(in: pair.near)
            for (number, address) in ["10.9.0.2", "10.9.0.4", "10.9.0.3", "fd09::2"].enumerated() {
                let remote = endpoint(address, 10_008)
                await here.plane.handle(
                    .send(count: 1, byteCount: 100, first: UInt32(number), to: remote)
                )
                guard number > 0 else { continue }
                await here.received(number)
                let last = await here.plane.withMachine { $0.lastRemote }
                #expect(last == remote)
            }
            let received = await there.plane.withMachine { $0.received }
            #expect(received[0] == nil, "nobody listens on the first")
            #expect(throws: SystemError(call: "bind", code: EADDRINUSE)) {
                _ = try make(in: pair.far) {
                    try UDPSockets(listeningOn: [addresses[0]], port: 10_008)
                }
            }
            await here.plane.stop()
            await there.plane.stop()
        }

        @Test("a thousand ports are open at once, and a batch holds what several of them received")
        func many() async throws {
            let pair = try Pair()
            let here = try Plane(in: pair.near)
            let there = try Plane(in: pair.far, echoes: true)
            _ = Kernel.raiseDescriptorLimit(to: 4_096)
            // Below those that the kernel deals by itself, one of which is the loop's own.
            for port in UInt16(11_000)..<12_000 { #expect(await there.open(port)) }
            for port in UInt16(11_000)..<12_000 {
                let remote = endpoint("10.9.0.2", port)
                await here.plane.handle(
                    .send(count: 1, byteCount: 64, first: UInt32(port), to: remote)
                )
            }
            await here.received(1_000)
            let received = await here.plane.withMachine { $0.received }
            #expect(received.count == 1_000)
            await here.plane.stop()
            await there.plane.stop()
        }
    }
}

extension Plane {
    /// Asks for a port; whether it was opened.
    fileprivate func open(_ port: UInt16, ipv6: Bool = true) async -> Bool {
        await plane.handle(.port(.open(port, ipv4: true, ipv6: ipv6)))
        let output = await first { output in
            if case .portAnswered(port, _) = output { true } else { false }
        }
        return output == .portAnswered(port, isOpen: true)
    }
}
