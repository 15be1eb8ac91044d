internal import Bytes
internal import Glibc
internal import IP
internal import SansIO
internal import Testing

@testable internal import Linux

extension KernelTests {
    @Suite("Exchanges of datagrams")
    struct ExchangeTests {
        @Test("a question is answered; one to a closed port fails at once")
        func answers() async throws {
            let namespace = try NetworkNamespace()
            try run("ip link set lo up", in: namespace)
            let server = try Plane(in: namespace, echoes: true)
            let asker = try Plane(in: namespace)
            let question: [UInt8] = [0x12, 0x34, 5, 6, 7, 8]
            for (token, address) in [(UInt64(1), "127.0.0.1"), (2, "::1")] {
                let exchange = Exchange(
                    token: token,
                    server: endpoint(address, server.port),
                    bytes: question
                )
                await asker.plane.handle(.ask(exchange))
                let answer = await asker.first { _ in true }
                #expect(answer == .answered(token, question))
            }
            let closed = Exchange(token: 3, server: endpoint("127.0.0.1", 9), bytes: question)
            await asker.plane.handle(.ask(closed))
            let failure = await asker.first { _ in true }
            #expect(failure == .answered(3, nil))
            let counters = await asker.plane.counters
            #expect(counters.exchangesAnswered == 2)
            #expect(counters.exchangesFailed == 1)
            await server.plane.stop()
            await asker.plane.stop()
        }

        @Test("a thousand questions wait at the same time, the next fails at once")
        func bounded() async throws {
            let namespace = try NetworkNamespace()
            try run("ip link set lo up", in: namespace)
            let silent = try Plane(in: namespace)
            let asker = try Plane(in: namespace)
            for token in 0..<UInt64(ExchangeTable.Limits.open + 1) {
                let exchange = Exchange(
                    token: token,
                    server: endpoint("127.0.0.1", silent.port),
                    bytes: [1, 2, 3]
                )
                await asker.plane.handle(.ask(exchange))
            }
            let refused = await asker.first { _ in true }
            #expect(refused == .answered(UInt64(ExchangeTable.Limits.open), nil))
            await asker.plane.stop()
            await silent.plane.stop()
        }

        @Test("an answered question's socket takes the next one, until it is a second old")
        func reuse() throws {
            let server = try FileDescriptor(datagrams: .ipv4)
            try server.bind(to: SocketAddress(endpoint("127.0.0.1", 0)))
            let queue = try EventQueue()
            var table = ExchangeTable(mark: 0)
            let start = Instant(nanoseconds: 1_000_000_000)
            func question(_ token: UInt64) throws -> Exchange {
                Exchange(
                    token: token,
                    server: try server.localEndpoint().endpoint,
                    bytes: [0, UInt8(token), 7]
                )
            }
            #expect(table.begin(try question(1), at: start, in: queue))
            let first = try Self.echo(on: server)
            // What comes a second time is no answer to the next question.
            try Self.answer([0, 1, 7], to: first, on: server)
            #expect(table.answer(at: start, in: queue) == 1)
            let soon = start.advanced(by: .milliseconds(999))
            #expect(table.begin(try question(2), at: soon, in: queue))
            #expect(table.begin(try question(3), at: soon, in: queue))
            #expect(try Self.echo(on: server) == first)
            #expect(try Self.echo(on: server) != first)
            #expect(table.answer(at: soon, in: queue) == 2)
            // The first socket is too old by now.
            let later = start.advanced(by: .milliseconds(1_000))
            #expect(table.begin(try question(4), at: later, in: queue))
            #expect(try Self.echo(on: server) != first)
            // Nothing is left open for long, and an answer that never came is counted.
            #expect(table.begin(try question(5), at: later, in: queue))
            let end = later.advanced(by: ExchangeTable.Limits.lifetime)
            #expect(table.expire(at: end, in: queue) == 2)
            #expect(table.nextDeadline == nil)
        }

        /// Sends what came back to its sender.
        ///
        /// - Returns: The sender's port.
        private static func echo(on server: borrowing FileDescriptor) throws -> UInt16 {
            var bytes = [UInt8](repeating: 0, count: 64)
            var address = sockaddr_in()
            var length = socklen_t(MemoryLayout<sockaddr_in>.size)
            let count = unsafe withUnsafeMutablePointer(to: &address) { pointer in
                unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    unsafe recvfrom(server.raw, &bytes, bytes.count, 0, $0, &length)
                }
            }
            try #require(count > 0)
            let port = UInt16(bigEndian: address.sin_port)
            try answer(Array(bytes[..<count]), to: port, on: server)
            return port
        }

        private static func answer(
            _ bytes: [UInt8],
            to port: UInt16,
            on server: borrowing FileDescriptor
        ) throws {
            let target = SocketAddress(endpoint("127.0.0.1", port))
            let count = unsafe target.withPointer {
                unsafe sendto(server.raw, bytes, bytes.count, 0, $0, $1)
            }
            try #require(count == bytes.count)
        }
    }
}

extension ExchangeTable {
    /// Takes everything that waits at its first two sockets.
    ///
    /// - Returns: How many questions were answered.
    fileprivate mutating func answer(
        at now: Instant,
        in queue: borrowing EventQueue
    ) -> Int {
        var count = 0
        for slot in 0..<2 {
            if case .answered = receive(slot: slot, generation: 1, at: now, in: queue) {
                count += 1
            }
        }
        return count
    }
}
