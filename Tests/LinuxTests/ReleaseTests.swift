internal import Bytes
internal import Glibc
internal import IP
internal import SansIO
internal import Synchronization
internal import Testing

@testable internal import Linux

extension KernelTests {
    @Suite("A packet loop that gives its devices away")
    struct ReleaseTests {
        /// What a loop gave, to be taken once; a set cannot be captured.
        private final class Gift: Sendable {
            private let descriptors: Mutex<DescriptorSet?>
            init(_ descriptors: consuming sending DescriptorSet) {
                self.descriptors = Mutex(descriptors)
            }
            func take() throws -> DescriptorSet {
                guard let set = descriptors.withLock({ $0.take() }) else {
                    throw SceneryError(description: "taken before")
                }
                return set
            }
        }

        @Test("another loop goes on with the same interface and port, and loses no datagram")
        func goesOn() async throws {
            let pair = try Pair()
            let first = try Plane(in: pair.near, tunnel: true)
            let peer = try Plane(in: pair.far)
            let remote = endpoint("10.9.0.1", first.port)
            await peer.plane.handle(.send(count: 10, byteCount: 100, first: 0, to: remote))
            await first.received(10)
            let interfaces = try run("ip -o link show type tun", in: pair.near)
            let gift = try await Self.release(first, state: [1, 2, 3])
            #expect(await first.plane.release { _, _ in [] } == nil, "only once")
            // Nobody reads now; the kernel keeps them.
            await peer.plane.handle(.send(count: 20, byteCount: 100, first: 10, to: remote))
            var set = try gift.take()
            let state = Self.state(&set)
            #expect(state == [1, 2, 3])
            let rest = Gift(set)
            let (outputs, continuation) = AsyncStream.makeStream(of: EchoMachine.Output.self)
            let port = first.port
            let second = try make(in: pair.near) {
                var set = try rest.take()
                guard let tunnel = set.take(DescriptorSet.Name.tunnel) else {
                    throw SceneryError(description: "no device")
                }
                let device = try TunnelDevice(adopting: tunnel)
                let sockets = try UDPSockets(adopting: &set)
                guard sockets.port == port, sockets.families == [.ipv4, .ipv6] else {
                    throw SceneryError(description: "other sockets")
                }
                return try DataPlane(
                    machine: EchoMachine(),
                    tunnel: device,
                    sockets: sockets,
                    onOutput: { continuation.yield($0) }
                )
            }
            for await output in outputs {
                if case .received(let sum) = output, sum >= 20 { break }
            }
            let received = await second.withMachine { $0.received }
            #expect(Set(received.keys) == Set(10..<30))
            #expect(try run("ip -o link show type tun", in: pair.near) == interfaces)
            await second.stop()
            await peer.plane.stop()
            #expect(try run("ip -o link show type tun", in: pair.near).isEmpty)
        }

        private static func release(_ plane: Plane, state: [UInt8]) async throws -> Gift {
            guard let set = await plane.plane.release({ _, _ in state }) else {
                throw SceneryError(description: "nothing given")
            }
            return Gift(set)
        }

        private static func state(_ set: inout DescriptorSet) -> [UInt8]? {
            guard let file = set.take(DescriptorSet.Name.state),
                let ticket = set.take(DescriptorSet.Name.ticket), OneTimeTicket.use(ticket)
            else { return nil }
            return try? SealedMemory.read(file)
        }
    }
}
