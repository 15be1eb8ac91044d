internal import Control
internal import Foundation
internal import Logging
internal import NIOCore
@testable internal import Portal
internal import ServiceLifecycle
internal import Testing

/// A portal that really listens on this machine, in a folder of its own.
struct PortalUnderTest: Sendable {
    let port: Int
    let ready: PortalReady
    let folder: String

    var socket: HTTPTarget { .socket(ready.socketPath) }
    var tls: HTTPTarget { .tls(port: port) }

    /// Starts a portal, runs `body`, and stops it.
    static func run(
        folder: String = Self.freshFolder(),
        change: (inout PortalConfiguration) -> Void = { _ in },
        _ body: (PortalUnderTest) async throws -> Void
    ) async throws {
        let url = try #require(PortalURL("https://localhost:8443"))
        var configuration = PortalConfiguration(
            listen: ["127.0.0.1:0"],
            url: url,
            stateFolder: folder
        )
        change(&configuration)
        let (ready, readied) = AsyncStream.makeStream(of: PortalReady.self)
        let server = PortalServer(configuration: configuration, logger: Self.logger) {
            readied.yield($0)
            readied.finish()
        }
        let group = ServiceGroup(
            configuration: ServiceGroupConfiguration(services: [server], logger: Self.logger)
        )
        let running = Task {
            defer { readied.finish() }
            try await group.run()
        }
        guard let first = await ready.first(where: { _ in true }) else {
            try await running.value
            throw Stopped()
        }
        do {
            try await body(PortalUnderTest(port: first.ports[0], ready: first, folder: folder))
        } catch {
            await group.triggerGracefulShutdown()
            try? await running.value
            throw error
        }
        await group.triggerGracefulShutdown()
        try await running.value
    }

    struct Stopped: Error {}

    static func freshFolder() -> String {
        "\(FileManager.default.temporaryDirectory.path)/portal-\(UInt64.random(in: 0 ... .max))"
    }

    static var logger: Logger {
        var logger = Logger(label: "portal")
        logger.logLevel = .critical
        return logger
    }

    /// What most tests configure: one site, a name and a network in it, one group that reaches
    /// both.
    static let example = """
        account: Example
        sites:
          - name: headquarters
        resources:
          - name: Git
            address: git.example.com
            site: headquarters
            allow: [tcp/443]
          - name: Lab
            address: 10.7.0.0/16
            site: headquarters
        groups:
          - name: Engineering
            members: [ada@example.com]
        policies:
          - group: Engineering
            resource: Git
          - group: Engineering
            resource: Lab
        """

    /// Applies a configuration file; the answer.
    @discardableResult
    func apply(_ yaml: String, dryRun: Bool = false) async throws -> HTTPAnswer {
        try await HTTPTester.send(
            "POST",
            "/api/v1/configuration\(dryRun ? "?dry-run=true" : "")",
            to: socket,
            headers: ["content-type": "application/yaml"],
            body: yaml
        )
    }

    func get(_ path: String) async throws -> HTTPAnswer {
        try await HTTPTester.send("GET", path, to: socket)
    }

    /// Makes a token.
    func token(_ kind: String, _ name: String) async throws -> MadeToken {
        let answer = try await HTTPTester.send(
            "POST",
            "/api/v1/tokens",
            to: socket,
            body: "{\"kind\": \"\(kind)\", \"name\": \"\(name)\"}"
        )
        #expect(answer.status == 201, "\(answer.body)")
        return try answer.decoded()
    }

    /// Connects a gateway of the site `headquarters` and waits for its welcome.
    func gateway(
        _ name: String = "gw",
        key: UInt8 = 200,
        token: MadeToken? = nil
    ) async throws -> RoleTester {
        let token = if let token { token } else { try await self.token("gateway", "headquarters") }
        let gateway = try await RoleTester.connect(port: port, token: token.token)
        try await gateway.hello(.gateway, name: name, key: key)
        return gateway
    }

    /// Connects a client of `actor` and sends its hello.
    func client(
        _ actor: String = "ada@example.com",
        name: String = "laptop",
        key: UInt8 = 100,
        token: MadeToken? = nil
    ) async throws -> RoleTester {
        let token = if let token { token } else { try await self.token("client", actor) }
        let client = try await RoleTester.connect(port: port, token: token.token)
        try await client.hello(.client, name: name, key: key)
        return client
    }

    /// Connects a relay, and waits for its welcome.
    func relay(
        _ name: String = "ams",
        at address: String = "203.0.113.20:3478",
        region: String? = nil,
        token: MadeToken? = nil
    ) async throws -> (tester: RoleTester, welcome: ToRelay.Welcome) {
        let token = if let token { token } else { try await self.token("relay", name) }
        let relay = try await RoleTester.connect(port: port, token: token.token)
        try await relay.relayHello(name, at: address, region: region)
        return (relay, try await relay.relay(\.welcome))
    }

    /// The id of a resource by its name.
    func resource(_ name: String) async throws -> ResourceID {
        let page: ItemsOf<ResourceRow> = try await get("/api/v1/resources").decoded()
        return ResourceID(try #require(page.items.first { $0.name == name }).id)
    }
}

/// A list of the API.
struct ItemsOf<Item: Decodable>: Decodable {
    let items: [Item]
    let total: Int?
}
