internal import Foundation

/// The roles of ours as processes on hosts of a lab.
public struct Roles: Sendable {
    /// The `culvert` executable.
    public let executable: String

    public init(executable: String) { self.executable = executable }

    /// The command that carries frames over a wire with delay.
    public var delayWords: [String] { [executable, "lab", "delay"] }

    /// Where a role on `host` keeps its state.
    public static func state(_ role: String, on host: LabHost) -> String {
        "\(host.folder)/\(role)"
    }

    /// Where a role on `host` listens for commands.
    public static func socket(_ role: String, on host: LabHost) -> String {
        state(role, on: host) + "/culvert.sock"
    }

    /// A portal that serves; its first administrator's link is in its output.
    ///
    /// - Parameters:
    ///   - host: Where it runs.
    ///   - address: Its name or address in the URL that it gives out.
    ///   - port: Where it listens.
    ///   - state: The folder of its state, when it is not the usual one.
    /// - Returns: Its process.
    /// - Throws: ``LabError`` when it does not serve within 20 s.
    public func portal(
        on host: LabHost,
        address: String = "portal.example",
        port: Int = 8_443,
        state: String? = nil
    ) throws -> Running {
        let portal = try host.start(
            port == 8_443 ? "portal" : "portal-\(port)",
            [
                executable, "portal", "--listen", "[::]:\(port)", "--url",
                "https://\(address):\(port)", "--state", state ?? Self.state("portal", on: host),
            ]
        )
        let answers = try Lab.waits(seconds: 20) {
            guard portal.isRunning else { return true }
            return try host.run("curl", "-skf", "https://[::1]:\(port)/readyz").code == 0
        }
        guard answers, portal.isRunning else {
            throw LabError("The portal did not start. It said:\n\(portal.output)")
        }
        return portal
    }

    /// A command for the portal on `host`; its standard output.
    @discardableResult
    public func ask(portal host: LabHost, _ words: String...) throws -> String {
        try Lab.must(
            host.words([executable] + words + ["--socket", Self.socket("portal", on: host)])
        )
    }

    /// Makes the portal match `configuration`.
    public func apply(_ configuration: String, portal host: LabHost) throws {
        let path = try host.write("configuration.yaml", configuration)
        try ask(portal: host, "apply", "-f", path)
    }

    /// A gateway of `site`, connected to the portal.
    public func gateway(
        on host: LabHost,
        site: String,
        portal: LabHost,
        title: String = "gateway"
    ) throws -> Running {
        let token = try ask(portal: portal, "token", "--site", site)
        try host.write("\(title).token", token)
        return try startGateway(on: host, title: title)
    }

    /// The gateway on `host` again, with the token that it has.
    public func startGateway(on host: LabHost, title: String = "gateway") throws -> Running {
        let gateway = try host.start(
            title,
            [
                executable, "gateway", "--token-file", "\(host.folder)/\(title).token", "--name",
                host.title, "--state", Self.state(title, on: host),
            ]
        )
        try gateway.waitForOutput("connected to the portal")
        return gateway
    }

    /// A relay on a host with public addresses of both families, connected to the portal.
    public func relay(on host: LabHost, portal: LabHost) throws -> Running {
        try host.write("relay.token", try ask(portal: portal, "token", "--relay", host.title))
        return try startRelay(on: host)
    }

    /// The relay on `host` again, with the token that it has.
    public func startRelay(on host: LabHost) throws -> Running {
        let (ipv4, ipv6) = StockRelay.addresses(of: host)
        let relay = try host.start(
            "relay",
            [
                executable, "relay", "--token-file", "\(host.folder)/relay.token", "--name",
                host.title, "--public-address", ipv4, "--public-address", ipv6, "--state",
                Self.state("relay", on: host),
            ]
        )
        try relay.waitForOutput("connected to the portal")
        return relay
    }

    /// A client for `email`, connected, in resolv.conf mode.
    public func client(on host: LabHost, email: String, portal: LabHost) throws -> Running {
        let path = "\(host.folder)/client.token"
        if !FileManager.default.fileExists(atPath: path) {
            try host.write("client.token", try ask(portal: portal, "token", "--client", email))
        }
        return try startClient(on: host)
    }

    /// The client on `host` again, with the token that it has.
    public func startClient(on host: LabHost) throws -> Running {
        let client = try host.start(
            "client",
            [
                executable, "client", "--token-file", "\(host.folder)/client.token", "--dns",
                "resolv.conf", "--name", host.title, "--state", Self.state("client", on: host),
            ]
        )
        let status = try command(on: host, "status", "--wait", "20s")
        guard status.code == 0 else {
            throw LabError(
                "The client on \(host.title) did not connect: \(status.output)\n\(client.output)"
            )
        }
        return client
    }

    /// A command for the client on `host`.
    public func command(on host: LabHost, _ words: String..., seconds: Double = 30) throws
        -> Outcome
    {
        try Lab.run(
            host.words([executable] + words + ["--socket", Self.socket("client", on: host)]),
            seconds: seconds
        )
    }
}
