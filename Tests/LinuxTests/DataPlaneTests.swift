internal import Bytes
internal import Glibc
internal import IP
internal import SansIO
internal import Synchronization
internal import Testing

@testable internal import Linux

extension KernelTests {
    @Suite("The packet loop")
    struct DataPlaneTests {
        @Test("a machine behind a TUN answers pings of the host")
        func ping() async throws {
            let namespace = try NetworkNamespace()
            let plane = try Plane(in: namespace, tunnel: true)
            try run("ip address add 10.8.0.1/24 dev cvlx0", in: namespace)
            let text = try run("ping -c 3 -i 0.2 -W 2 -s 1000 10.8.0.2", in: namespace)
            #expect(text.contains("3 received"))
            let counters = await plane.plane.counters
            #expect(counters.tunnelPacketsRead >= 3)
            #expect(counters.tunnelPacketsWritten == 3)
            await plane.plane.stop()
            let links = try run("ip link", in: namespace)
            #expect(!links.contains("cvlx0"), "the device goes with the loop")
        }

        @Test(
            "datagrams to one socket go to the host together, each as it was",
            arguments: ["10.8.0.", "fd08::"]
        )
        func joined(prefix: String) async throws {
            let namespace = try NetworkNamespace()
            let plane = try Plane(in: namespace, tunnel: true)
            try run("ip address add 10.8.0.1/24 dev cvlx0", in: namespace)
            try run("ip address add fd08::1/64 dev cvlx0 nodad", in: namespace)
            let family: IPFamily = prefix.contains(":") ? .ipv6 : .ipv4
            let host = endpoint(prefix + "1", 0)
            let first = try make(in: namespace) { try Self.socket(family, at: host) }
            let second = try make(in: namespace) { try Self.socket(family, at: host) }
            // Two flows by turns: full datagrams, a smaller one, full ones again.
            let sizes = [100, 100, 100, 40, 100, 100]
            await plane.plane.handle(
                .datagrams(
                    sizes: sizes,
                    from: endpoint(prefix + "2", 53),
                    to: [try first.localEndpoint().endpoint, try second.localEndpoint().endpoint]
                )
            )
            for received in [Self.receiveAll(from: first), Self.receiveAll(from: second)] {
                #expect(received.map(\.count) == sizes)
                for (index, bytes) in received.enumerated() {
                    #expect(bytes.allSatisfy { $0 == UInt8(index) })
                }
            }
            let counters = await plane.plane.counters
            #expect(counters.tunnelDatagramsJoined == 12)
            #expect(counters.tunnelPacketsWritten == 4, "a smaller one ends a packet")
            await plane.plane.stop()
        }

        private static func socket(
            _ family: IPFamily,
            at address: Endpoint
        ) throws -> FileDescriptor {
            let socket = try FileDescriptor(datagrams: family)
            try socket.bind(to: SocketAddress(address))
            return socket
        }

        /// The payloads that wait at a socket.
        private static func receiveAll(from socket: borrowing FileDescriptor) -> [[UInt8]] {
            var all: [[UInt8]] = []
            var bytes = [UInt8](repeating: 0, count: 2_000)
            while true {
                let count = unsafe recv(socket.raw, &bytes, bytes.count, 0)
                guard count >= 0 else { return all }
                all.append(Array(bytes[..<count]))
            }
        }

        @Test("datagrams travel in runs both ways", arguments: ["10.9.0.", "fd09::"])
        func segmented(prefix: String) async throws {
            let pair = try Pair()
            let here = try Plane(in: pair.near, ecn: 1)
            let there = try Plane(in: pair.far, echoes: true)
            let remote = endpoint(prefix + "2", there.port)
            // One ahead, for the neighbour's address: the kernel queues little while it asks.
            await here.plane.handle(.send(count: 1, byteCount: 100, first: 0, to: remote))
            await here.received(1)
            await here.plane.handle(.send(count: 299, byteCount: 1_312, first: 1, to: remote))
            await here.received(300)
            let (received, local, ecn) = await here.plane.withMachine {
                ($0.received, $0.lastLocal, $0.lastECN)
            }
            #expect(received.count == 300)
            #expect(received.values.allSatisfy { $0 == 1 })
            #expect(local == endpoint(prefix + "1", here.port))
            #expect(ecn == 1, "ECN goes there and comes back")
            let sent = await here.plane.counters
            #expect(sent.datagramsSent == 300)
            #expect(sent.networkSends < 20)
            let got = await there.plane.counters
            #expect(got.datagramsReceived == 300)
            #expect(got.networkReads < 100, "joined by the kernel")
            await here.plane.stop()
            await there.plane.stop()
        }

        @Test("a link that carries no segmented send gets each datagram once, singly")
        func smallLink() async throws {
            let pair = try Pair(mtu: 1_300)
            let here = try Plane(in: pair.near)
            let there = try Plane(in: pair.far)
            let remote = endpoint("10.9.0.2", there.port)
            await here.plane.handle(.send(count: 40, byteCount: 1_312, first: 0, to: remote))
            await there.received(40)
            await here.plane.handle(.send(count: 40, byteCount: 1_312, first: 40, to: remote))
            await there.received(80)
            let received = await there.plane.withMachine { $0.received }
            #expect(received.count == 80)
            #expect(received.values.allSatisfy { $0 == 1 })
            let counters = await here.plane.counters
            #expect(counters.segmentedSendsRefused == 1, "remembered for the second burst")
            #expect(counters.datagramsRefused == 0)
            #expect(here.notes.all.withLock { $0 } == [.sendsSingly(remote)])
            await here.plane.stop()
            await there.plane.stop()
        }

        @Test("a full socket holds up the tunnel device, and nothing is lost")
        func backPressure() async throws {
            let pair = try Pair()
            try run(
                "tc qdisc add dev cvlxa root tbf rate 200mbit burst 64kb limit 64mb",
                in: pair.near
            )
            let there = try Plane(in: pair.far)
            let remote = endpoint("10.9.0.2", there.port)
            let here = try Plane(
                in: pair.near,
                tunnel: true,
                sendByteCount: 64 << 10,
                forwards: remote
            )
            try run("ip address add 10.8.0.1/24 dev cvlx0", in: pair.near)
            let count = 3_000
            try pair.near.run { Blast.send(count, byteCount: 1_200, to: endpoint("10.8.0.2", 9)) }
                .get()
            await there.received(count)
            let received = await there.plane.withMachine { $0.receivedCount }
            #expect(received == count)
            let counters = await here.plane.counters
            #expect(counters.tunnelPacketsRead == UInt64(count))
            #expect(counters.backPressurePauses > 0)
            #expect(counters.backlogDrops == 0)
            await here.plane.stop()
            await there.plane.stop()
        }

        @Test("an idle loop makes no turns")
        func idle() async throws {
            let namespace = try NetworkNamespace()
            let plane = try Plane(in: namespace, tunnel: true)
            await plane.plane.handle(.wake(after: .milliseconds(300)))
            let before = await plane.plane.counters.turns
            _ = await plane.first { $0 == .woke }
            let after = await plane.plane.counters.turns
            #expect(after - before <= 3)
            await plane.plane.stop()
        }

        @Test("a stopped loop ignores commands and gives its port back")
        func stop() async throws {
            let namespace = try NetworkNamespace()
            let plane = try Plane(in: namespace)
            let port = plane.port
            await plane.plane.stop()
            await plane.plane.handle(.wake(after: .zero))
            let second = try make(in: namespace) { try UDPSockets(preferredPort: port) }
            #expect(second.port == port)
        }
    }
}
