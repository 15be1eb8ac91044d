internal import Bytes
internal import DNS
internal import Foundation
internal import IP
internal import NIOCore
internal import NIOSSL
internal import Testing
internal import X509

@testable internal import Daemon

/// A hosts file of a test's own, and a look-up that reads it and asks nobody.
final class TestHosts: Sendable {
    let lookup: HostLookup
    private let path: String

    init(_ text: String) throws {
        let path = FileManager.default.temporaryDirectory.appending(path: UUID().uuidString).path
        self.path = path
        try Data(text.utf8).write(to: URL(filePath: path))
        lookup = HostLookup(mark: nil, hostsFile: path) { [] }
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }
}

@Suite("Nameservers asked over TLS and HTTPS", .timeLimit(.minutes(1)))
struct EncryptedUpstreamTests {
    /// The two encrypted transports.
    enum Transport: String, CaseIterable, Sendable {
        case tls, https

        func kind(_ context: NIOSSLContext) -> TestNameserver.Kind {
            self == .tls ? .tls(context) : .https(context)
        }

        var protocols: [String] { self == .tls ? ["dot"] : ["h2"] }
    }

    private static func honest(_ asked: TestNameserver.Asked) -> [TestNameserver.Action] {
        [.answer(TestNameserver.answer(to: asked.bytes))]
    }

    @Test(
        "queries are padded, go by one connection, and the answers come back as asked",
        arguments: Transport.allCases
    )
    func padded(transport: Transport) async throws {
        let authority = try TestAuthority()
        let context = try authority.server(
            [TestAuthority.loopback],
            protocols: transport.protocols
        )
        let server = try await TestNameserver(transport.kind(context), script: Self.honest)
        let asker = TestAsker(authority: authority)
        let upstream = "\(transport)://\(server.address)"
        for edns in [nil, EDNS()] {
            for name in ["a.example", "longer.example"] {
                let answer = try await asker.ask(upstream, name, edns: edns)
                #expect(answer?.answers.count == 1)
                #expect(answer?.edns?.options == (edns == nil ? nil : []))
            }
        }
        #expect(server.connectionCount == 1)
        #expect(server.queries.count == 4)
        #expect(server.queries.allSatisfy { $0.bytes.count == 128 })
        if transport == .https {
            #expect(server.queries.allSatisfy { $0.bytes[..<2] == [0, 0] }, "RFC 8484 4.1")
        }
        #expect(asker.failure == nil)
    }

    @Test(
        "a name is looked up by the host's own means, and the address that works is used",
        arguments: Transport.allCases
    )
    func byName(transport: Transport) async throws {
        let authority = try TestAuthority()
        let context = try authority.server(
            [.dnsName("dns.example.test")],
            protocols: transport.protocols
        )
        let server = try await TestNameserver(transport.kind(context), script: Self.honest)
        // Nothing listens at ::1, which is tried first.
        let hosts = try TestHosts("::1 dns.example.test\n127.0.0.1 dns.example.test\n")
        let asker = TestAsker(authority: authority, lookup: hosts.lookup)
        let upstream = "\(transport)://dns.example.test:\(server.port)"
        #expect(try await asker.ask(upstream)?.answers.count == 1)
        #expect(try await asker.ask("tls://nobody.example.test") == nil)
        #expect(
            asker.failure
                == "nobody.example.test has no address that the host's own name servers know."
        )
    }

    /// Certificates that must not be believed, and the sentence that says why.
    enum Bad: String, CaseIterable, Sendable {
        case otherName, otherAddress, expired, early, stranger

        func context(_ authority: TestAuthority) throws -> NIOSSLContext {
            let names = [GeneralName.dnsName("dns.example.test")]
            let day: TimeInterval = 86_400
            return switch self {
            case .otherName:
                try authority.server([.dnsName("other.example.test")], protocols: ["dot", "h2"])
            case .otherAddress:
                try authority.server([TestAuthority.loopback], protocols: ["dot", "h2"])
            case .expired:
                try authority.server(
                    names,
                    protocols: ["dot", "h2"],
                    from: .now - 2 * day,
                    to: .now - day
                )
            case .early:
                try authority.server(
                    names,
                    protocols: ["dot", "h2"],
                    from: .now + day,
                    to: .now + 2 * day
                )
            case .stranger: try TestAuthority().server(names, protocols: ["dot", "h2"])
            }
        }

        var words: String {
            switch self {
            case .otherName, .otherAddress: "it stands for another name or address"
            case .expired, .early: "it counts from"
            case .stranger: "it comes from an authority that this machine does not trust"
            }
        }
    }

    @Test(
        "nothing is asked of a server whose certificate is not valid (RFC 8310 5)",
        arguments: Bad.allCases,
        Transport.allCases
    )
    func bad(certificate: Bad, transport: Transport) async throws {
        let authority = try TestAuthority()
        let context = try certificate.context(authority)
        let server = try await TestNameserver(transport.kind(context), script: Self.honest)
        let hosts = try TestHosts("127.0.0.1 dns.example.test")
        let asker = TestAsker(authority: authority, lookup: hosts.lookup)
        let upstream = "\(transport)://dns.example.test:\(server.port)"
        #expect(try await asker.ask(upstream) == nil)
        #expect(server.queries.isEmpty)
        let start = "The certificate of dns.example.test is not valid: \(certificate.words)"
        #expect(asker.failure?.hasPrefix(start) == true, "\(asker.failure ?? "none")")
    }

    @Test("a server that never greets, or speaks no TLS, ends in time or at once")
    func noHandshake() async throws {
        let silent = try await TestNameserver(.stream) { _ in [] }
        let asker = TestAsker(time: .milliseconds(200))
        let refusing = try await TestNameserver(.stream) { _ in [.raw(Array("HTTP/1.1 400".utf8))] }
        // A client hello of TLS begins with 0x1603: as a length, 5,635 bytes that never come, so
        // the second server is silent too; what it must not do is to be asked.
        for server in [silent, refusing] {
            #expect(try await asker.ask("tls://\(server.address)") == nil)
            #expect(asker.failure != nil)
        }
    }

    @Test("a server that speaks no HTTP/2 is named as such")
    func noHTTP2() async throws {
        let authority = try TestAuthority()
        let context = try authority.server([TestAuthority.loopback], protocols: ["http/1.1"])
        let server = try await TestNameserver(.tls(context), script: Self.honest)
        let asker = TestAsker(authority: authority)
        #expect(try await asker.ask("https://\(server.address)") == nil)
        #expect(asker.failure?.contains("HTTP/2") == true, "\(asker.failure ?? "none")")
    }

    /// Answers of HTTP that are none.
    enum WrongHTTP: String, CaseIterable, Sendable {
        case status, type, garbage, otherID, huge, closing

        func actions(_ query: [UInt8]) -> [TestNameserver.Action] {
            let right = TestNameserver.answer(to: query)
            let type = "application/dns-message"
            return switch self {
            case .status: [.http(status: 500, type: type, body: right)]
            case .type: [.http(status: 200, type: "text/html", body: right)]
            case .garbage: [.http(status: 200, type: type, body: [1, 2, 3])]
            case .otherID: [.http(status: 200, type: type, body: [0, 1] + right[2...])]
            case .huge:
                [.http(status: 200, type: type, body: [UInt8](repeating: 0, count: 70_000))]
            case .closing: [.close]
            }
        }

        var sentence: String {
            switch self {
            case .status: "127.0.0.1 answers HTTP 500; check the address, also its path."
            case .type:
                "127.0.0.1 answers with text/html, not application/dns-message; check the "
                    + "address, also its path."
            case .garbage, .otherID: "127.0.0.1 answers with something that is no answer."
            case .huge: "127.0.0.1 answers with more than 65,535 bytes."
            case .closing: "127.0.0.1 hangs up without an answer."
            }
        }
    }

    @Test("what HTTP says wrongly is no answer, and the next one is", arguments: WrongHTTP.allCases)
    func wrongHTTP(wrong: WrongHTTP) async throws {
        let authority = try TestAuthority()
        let context = try authority.server([TestAuthority.loopback], protocols: ["h2"])
        let server = try await TestNameserver(.https(context)) { asked in
            asked.number == 1 ? wrong.actions(asked.bytes) : Self.honest(asked)
        }
        let asker = TestAsker(authority: authority)
        #expect(try await asker.ask("https://\(server.address)") == nil)
        #expect(asker.failure == wrong.sentence)
        #expect(try await asker.ask("https://\(server.address)") != nil)
        #expect(asker.failure == nil)
    }

    @Test(
        "a query on a kept connection that the server closes is asked once more",
        arguments: Transport.allCases
    )
    func retry(transport: Transport) async throws {
        let authority = try TestAuthority()
        let context = try authority.server(
            [TestAuthority.loopback],
            protocols: transport.protocols
        )
        let server = try await TestNameserver(transport.kind(context)) { asked in
            asked.number == 2 ? [.close] : Self.honest(asked)
        }
        let asker = TestAsker(authority: authority)
        for _ in 0..<2 {
            #expect(try await asker.ask("\(transport)://\(server.address)") != nil)
        }
        #expect(server.queries.map(\.connection) == [1, 1, 2])
    }

    @Test("the system's authorities are read, or those of the file that is named")
    func authorities() throws {
        let authority = try TestAuthority()
        #expect(SystemAuthorities.certificates(file: authority.file).count == 1)
        #expect(SystemAuthorities.certificates(file: "/nonexistent").isEmpty)
    }
}
