internal import Bytes
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
    }
}
