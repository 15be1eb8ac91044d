import Bytes
import SansIO
import Testing
import WireGuard

@Suite struct Storage {
    /// Two ends with a session, begun by the first.
    private func connected() throws -> Ends {
        let ends = try Ends()
        ends.initiation = try ends.client.initiate(at: at(0))
        try ends.client.finish(with: ends.response(to: ends.initiation, at: at(0)), at: at(0))
        _ = try ends.gatewayOpens(ends.clientSeals(1, at: at(0)), at: at(0))
        return ends
    }

    @Test func `a session goes on in both directions`() throws {
        let ends = try connected()
        try ends.replaceGateway()
        let asked = try ends.clientSeals(2, at: at(1))
        #expect(try ends.gatewayOpens(asked, at: at(1)) == 2)
        let answer = try ends.gatewaySeals(3, at: at(1))
        #expect(try ends.clientOpens(answer, at: at(1)) == 3)
    }

    @Test func `counters of the next process begin 2^32 higher, each time`() throws {
        let ends = try connected()
        _ = try ends.gatewaySeals(1, at: at(0))
        for step in 1...3 as ClosedRange<UInt64> {
            try ends.replaceGateway()
            let sealed = try ends.gatewaySeals(1, at: at(1))
            #expect(sealed.rawSpan.littleEndianUInt64(at: 8) == step << 32 + step)
            #expect(try ends.clientOpens(sealed, at: at(1)) == 1)
        }
    }

    @Test func `what came before is not taken again, nor what was overtaken then`() throws {
        let ends = try connected()
        let received = try ends.clientSeals(2, at: at(1))
        let late = try ends.clientSeals(3, at: at(1))
        let newest = try ends.clientSeals(4, at: at(1))
        _ = try ends.gatewayOpens(received, at: at(1))
        _ = try ends.gatewayOpens(newest, at: at(1))
        try ends.replaceGateway()
        for datagram in [received, late, newest] {
            #expect(throws: OpenError.replayed) { try ends.gatewayOpens(datagram, at: at(1)) }
        }
        let next = try ends.clientSeals(5, at: at(1))
        #expect(try ends.gatewayOpens(next, at: at(1)) == 5)
    }

    @Test func `an initiation is not answered again`() throws {
        let ends = try connected()
        try ends.replaceGateway()
        let initiation = ends.initiation
        #expect(throws: HandshakeError.replayed) { try ends.response(to: initiation, at: at(1)) }
        let another = try ends.client.initiate(at: at(2))
        let response = try ends.response(to: another, at: at(2))
        try ends.client.finish(with: response, at: at(2))
    }

    @Test func `a session that was answered and not confirmed goes on`() throws {
        let ends = try Ends()
        let initiation = try ends.client.initiate(at: at(0))
        let response = try ends.response(to: initiation, at: at(0))
        try ends.replaceGateway()
        try ends.client.finish(with: response, at: at(0))
        let first = try ends.clientSeals(1, at: at(0))
        #expect(try ends.gatewayOpens(first, at: at(0)) == 1)
        _ = try ends.gatewaySeals(2, at: at(0))
    }

    @Test func `sessions end when they would have ended`() throws {
        let ends = try connected()
        try ends.replaceGateway()
        _ = try ends.gatewaySeals(1, at: at(179))
        #expect(throws: Ends.NoSession.self) { try ends.gatewaySeals(1, at: at(180)) }
    }
}

/// A client's and a gateway's end.
private final class Ends {
    struct NoSession: Error {}

    var client: End
    var gateway: End
    var initiation: [UInt8] = []

    init() throws(HandshakeError) {
        client = try End(1, peer: 101)
        gateway = try End(101, peer: 1, initiates: false)
    }

    func response(to initiation: [UInt8], at now: Instant) throws -> [UInt8] {
        try gateway.respond(to: initiation, at: now)
    }

    func clientSeals(_ byte: UInt8, at now: Instant) throws -> [UInt8] {
        guard let sealed = client.seal([byte], at: now) else { throw NoSession() }
        return sealed
    }

    func gatewaySeals(_ byte: UInt8, at now: Instant) throws -> [UInt8] {
        guard let sealed = gateway.seal([byte], at: now) else { throw NoSession() }
        return sealed
    }

    func clientOpens(_ datagram: [UInt8], at now: Instant) throws -> UInt8? {
        try client.open(datagram, at: now).plain.first
    }

    func gatewayOpens(_ datagram: [UInt8], at now: Instant) throws -> UInt8? {
        try gateway.open(datagram, at: now).plain.first
    }

    /// Another process has the gateway's end.
    func replaceGateway() throws {
        var bytes: [UInt8] = []
        gateway.tunnel.write(to: &bytes)
        var reader = ByteReader(bytes.rawSpan)
        gateway.tunnel = try Tunnel.reading(
            &reader,
            to: gateway.tunnel.peerKey,
            presharedKey: nil,
            timing: .exact,
            initiates: false
        )
    }
}
