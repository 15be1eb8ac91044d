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
            table.send(in: queue)
            let first = try Self.echo(on: server)
            // What comes a second time is no answer to the next question.
            try Self.answer([0, 1, 7], to: first, on: server)
            #expect(table.answer(in: queue) == 1)
            let soon = start.advanced(by: .milliseconds(999))
            #expect(table.begin(try question(2), at: soon, in: queue))
            #expect(table.begin(try question(3), at: soon, in: queue))
            table.send(in: queue)
            #expect(try Self.echo(on: server) == first)
            #expect(try Self.echo(on: server) != first)
            #expect(table.answer(in: queue) == 2)
            // The first socket is too old by now.
            let later = start.advanced(by: .milliseconds(1_000))
            #expect(table.begin(try question(4), at: later, in: queue))
            table.send(in: queue)
            #expect(try Self.echo(on: server) != first)
            // Nothing is left open for long, and an answer that never came is counted.
            #expect(table.begin(try question(5), at: later, in: queue))
            table.send(in: queue)
            let end = later.advanced(by: ExchangeTable.Limits.lifetime)
            #expect(table.expire(at: end, in: queue) == 2)
            #expect(table.nextDeadline == nil)
        }

        @Test("many questions share sockets, leave together, and each gets its own answer")
        func sharing() throws {
            let server = try FileDescriptor(datagrams: .ipv4)
            try server.bind(to: SocketAddress(endpoint("127.0.0.1", 0)))
            let queue = try EventQueue()
            var table = ExchangeTable(mark: 0)
            let start = Instant(nanoseconds: 1_000_000_000)
            let sockets = ExchangeTable.Limits.sockets
            let count = sockets + 3 * ExchangeTable.Limits.run
            for token in 0..<count {
                let exchange = Exchange(
                    token: UInt64(token),
                    server: try server.localEndpoint().endpoint,
                    bytes: [UInt8(token >> 8), UInt8(token & 255), 7, UInt8(token & 255)]
                )
                let hasBegun = table.begin(exchange, at: start, in: queue)
                #expect(hasBegun)
            }
            table.send(in: queue)
            var ports: Set<UInt16> = []
            for _ in 0..<count { ports.insert(try Self.echo(on: server)) }
            #expect(ports.count == sockets)
            var answers: [UInt64: [UInt8]] = [:]
            for slot in 0..<sockets {
                // One more than is taken in one turn may have come to a socket.
                for _ in 0..<3 { table.receive(slot: slot, generation: 1, in: queue) }
            }
            for ended in table.takeEnded() { answers[ended.token] = ended.bytes }
            #expect(answers.count == count)
            for token in 0..<count {
                #expect(answers[UInt64(token)]?.last == UInt8(token & 255))
            }
        }

        @Test("two questions with one identifier never share a socket")
        func identifiers() throws {
            let server = try FileDescriptor(datagrams: .ipv4)
            try server.bind(to: SocketAddress(endpoint("127.0.0.1", 0)))
            let queue = try EventQueue()
            var table = ExchangeTable(mark: 0)
            let start = Instant(nanoseconds: 1_000_000_000)
            var begun = 0
            let count = 2 * ExchangeTable.Limits.sockets
            for token in 0..<UInt64(count) {
                let exchange = Exchange(
                    token: token,
                    server: try server.localEndpoint().endpoint,
                    bytes: [9, 9, UInt8(token)]
                )
                begun += table.begin(exchange, at: start, in: queue) ? 1 : 0
            }
            #expect(begun == count)
            table.send(in: queue)
            var ports: Set<UInt16> = []
            for _ in 0..<begun { ports.insert(try Self.echo(on: server)) }
            #expect(ports.count == begun)
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
    fileprivate mutating func answer(in queue: borrowing EventQueue) -> Int {
        for slot in 0..<2 { receive(slot: slot, generation: 1, in: queue) }
        return takeEnded().count { $0.bytes != nil }
    }
}
