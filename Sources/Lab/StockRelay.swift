internal import Foundation

/// Relays that no portal runs: it knows them by configuration, and deals passwords made from a
/// secret that they share.
enum StockRelay {
    static let secret = "the relays of this lab share this"

    /// The `relays:` of the portal's configuration for the relays of `network`, with the secret's
    /// file on the portal's host.
    static func configuration(of network: FieldNetwork) throws -> String {
        let path = try network.portal.write("relay.secret", secret + "\n")
        return network.relays.map { host in
            let (ipv4, ipv6) = addresses(of: host)
            return """
                  - name: \(host.title)
                    udp: ["\(ipv4):3478", "[\(ipv6)]:3478"]
                    tcp: ["\(ipv4):3478"]
                    secret_file: \(path)

                """
        }.reduce("relays:\n", +)
    }

    /// Starts Debian's coturn.
    static func coturn(on host: LabHost) throws -> Running {
        let (ipv4, ipv6) = addresses(of: host)
        let relay = try host.start(
            "turnserver",
            [
                "turnserver", "-n", "--log-file=stdout", "--simple-log", "--use-auth-secret",
                "--static-auth-secret=\(secret)", "--realm=culvert.example", "--no-cli",
                "--listening-ip=\(ipv4)", "--listening-ip=\(ipv6)", "--relay-ip=\(ipv4)",
                "--relay-ip=\(ipv6)", "--listening-port=3478", "--no-tls", "--no-dtls",
                "--pidfile=\(host.folder)/pid", "--userdb=\(host.folder)/turndb",
                "--allow-loopback-peers=0",
            ]
        )
        try listens(relay, on: host)
        return relay
    }

    /// Starts `culvert relay` without a portal.
    static func ours(on host: LabHost, executable: String) throws -> Running {
        let (ipv4, ipv6) = addresses(of: host)
        let path = try host.write("relay.secret", secret + "\n")
        let relay = try host.start(
            "relay",
            [
                executable, "relay", "--secret-file", path, "--public-address", ipv4,
                "--public-address", ipv6, "--state", Roles.state("relay", on: host),
            ]
        )
        try listens(relay, on: host)
        return relay
    }

    /// What the relays of a field network lend.
    static func addresses(of host: LabHost) -> (ipv4: String, ipv6: String) {
        Internet.addresses(30 + (Int(host.title.suffix(1)) ?? 0))
    }

    private static func listens(_ relay: Running, on host: LabHost) throws {
        let listens = try Lab.waits(seconds: 10) {
            try host.run("ss", "-Hlun", "sport", "=", ":3478").output.contains(":3478")
        }
        guard listens else { throw LabError("\(relay.title) does not listen: \(relay.output)") }
    }
}
