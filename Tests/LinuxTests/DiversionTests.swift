internal import Bytes
internal import CLinux
internal import Glibc
internal import IP
internal import Testing

@testable internal import Linux

extension KernelTests {
    @Suite("TCP to addresses that are not the host's")
    struct DiversionTests {
        @Test(
            "a connection to a sentinel reaches the listener in its own namespace, and nobody else",
            arguments: ["100.100.111.1", "fd00:2021:1111:8000:100:100:111:1"]
        )
        func sentinel(address: String) async throws {
            let namespace = try NetworkNamespace()
            let sentinel = try #require(IPAddress(address))
            let prefix = IPPrefix(host: sentinel)
            try run("ip link set lo up", in: namespace)
            let plane = try Plane(in: namespace, tunnel: true)
            try run("ip address add 100.64.0.1/32 dev cvlx0", in: namespace)
            try run("ip -6 address add fd00:2021:1111::1/128 dev cvlx0 nodad", in: namespace)
            try run("ip route add \(prefix) dev cvlx0", in: namespace)
            var listener = try SentinelListener(addresses: [prefix])
            guard let device = listener.device.take() else { return }
            await plane.plane.divert(
                Diversion(device: device, destinations: [prefix], between: .host)
            )
            let socket = sentinel.isIPv4 ? listener.ipv4.take() : listener.ipv6.take()
            guard let server = socket else { return }
            let echo = try Echo.start(server, count: 1)
            let text = [UInt8](repeating: 9, count: 200_000)
            let answer = try namespace.run { Echo.ask(Endpoint(sentinel, port: 53), text) }.get()
            #expect(answer == text)
            #expect(echo.local() == Endpoint(sentinel, port: 53), "which sentinel was meant")
            let counters = await plane.plane.counters
            #expect(counters.divertedPackets > 10)
            #expect(counters.tunnelWriteDrops == 0)
            // Another port of the same address is refused by that namespace, not by the host.
            let refused = try namespace.run { Echo.ask(Endpoint(sentinel, port: 54), [1]) }
            #expect(throws: SystemError.self) { try refused.get() }
            await plane.plane.stop()
        }
    }
}

/// Blocking TCP for tests.
enum Echo {
    /// Echoes connections on a thread of its own, as long as there are any to come.
    static func start(_ listener: consuming FileDescriptor, count: Int) throws -> Served {
        let served = Served()
        let raw = listener.take()
        try DedicatedThread.start(name: "cvlx-echo") {
            let listener = FileDescriptor(taking: raw)
            for _ in 0..<count {
                var descriptor = pollfd(fd: listener.raw, events: Int16(POLLIN), revents: 0)
                _ = unsafe poll(&descriptor, 1, 10_000)
                let accepted = accept(listener.raw, nil, nil)
                guard accepted >= 0 else { return }
                let connection = FileDescriptor(taking: accepted)
                served.set((try? connection.localEndpoint().endpoint) ?? .unspecified)
                let bytes = connection.readAll(byteCountMax: 1 << 20)
                try? connection.writeAll(bytes)
            }
        }
        return served
    }

    /// Sends `bytes`, then reads to the end.
    static func ask(_ remote: Endpoint, _ bytes: [UInt8]) -> Result<[UInt8], SystemError> {
        do throws(SystemError) {
            let family = remote.address.isIPv4 ? AF_INET : AF_INET6
            let socket = try FileDescriptor(socket: family, type: Int32(SOCK_STREAM.rawValue))
            let address = SocketAddress(remote)
            try SystemError.check("connect") {
                unsafe address.withPointer { unsafe connect(socket.raw, $0, $1) }
            }
            try socket.writeAll(bytes)
            _ = shutdown(socket.raw, Int32(SHUT_WR))
            return .success(socket.readAll(byteCountMax: 1 << 20))
        } catch {
            return .failure(error)
        }
    }
}
