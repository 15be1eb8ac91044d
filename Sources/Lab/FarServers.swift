internal import Foundation

/// Two servers of a site with addresses of one family each, behind two routers of which the link
/// between carries less than the rest of the way.
///
///     gateway ── 10.20.0.0/24 ── near ──(small link)── far ──┬── four 10.21.0.80
///                fd20::/64                                   └── six  fd21::80
final class FarServers: Sendable {
    /// Their names, in the site's zone.
    static let records = ["four A 10.21.0.80", "six AAAA fd21::80"]

    /// A server, its name, and the family that it has.
    struct Server: Sendable {
        let host: LabHost
        let name: String
        /// `-4` or `-6`, as programs call it.
        let family: String
        /// The family that it lacks.
        let otherFamily: String
    }

    let servers: [Server]
    private let near: LabHost
    private let far: LabHost

    /// Adds them to the first site of `field`, and starts their programs.
    ///
    /// - Throws: ``LabError`` when one does not come up.
    init(in field: FieldNetwork, byteCount: Int) throws {
        let network = field.network
        near = try network.host("near")
        far = try network.host("far")
        let (near, far) = (near, far)
        try field.internet.attach(
            near,
            to: field.sites[0].router.host,
            [
                "10.20.0.90/24", "fd20::90/64",
            ]
        )
        try near.bridge("br1", addresses: ["10.22.0.1/30", "fd22::1/64"])
        try network.attach(
            far,
            to: near,
            bridge: "br1",
            addresses: ["10.22.0.2/30", "fd22::2/64"]
        )
        try far.bridge(addresses: ["10.21.0.1/24", "fd21::1/64"])
        for host in [near, far] { try host.forwards() }
        try near.must("ip", "route", "add", "10.21.0.0/24", "via", "10.22.0.2")
        try near.must("ip", "-6", "route", "add", "fd21::/64", "via", "fd22::2")
        try far.defaultRoutes(["10.22.0.1", "fd22::1"])
        for gateway in field.sites[0].gateways {
            try gateway.must("ip", "route", "add", "10.21.0.0/24", "via", "10.20.0.90")
            try gateway.must("ip", "-6", "route", "add", "fd21::/64", "via", "fd20::90")
        }
        servers = try [("four", "10.21.0.80/24", "10.21.0.1"), ("six", "fd21::80/64", "fd21::1")]
            .map { title, address, router in
                let host = try network.host(title)
                try network.attach(host, to: far, addresses: [address])
                try host.defaultRoutes([router])
                let isFour = title == "four"
                return Server(
                    host: host,
                    name: "\(title).corp.example",
                    family: isFour ? "-4" : "-6",
                    otherFamily: isFour ? "-6" : "-4"
                )
            }
        for server in servers { try Self.startPrograms(server, byteCount: byteCount) }
    }

    /// Makes the link between the routers carry packets of at most `byteCount` bytes.
    func setLinkMTU(_ byteCount: Int) throws {
        try far.must("ip", "link", "set", "eth0", "mtu", "\(byteCount)")
        try near.must("ip", "link", "set", "br1", "mtu", "\(byteCount)")
        // What was learnt of a smaller link would be believed for ten minutes.
        for server in servers {
            try server.host.must("ip", server.family, "route", "flush", "cache")
        }
    }

    private static func startPrograms(_ server: Server, byteCount: Int) throws {
        let host = server.host
        _ = try Servers.nginx(on: host, sites: [.init(name: server.name, body: "Hello.")])
        try host.must(
            "dd",
            "if=/dev/urandom",
            "of=\(host.folder)/\(server.name)/big",
            "bs=1M",
            "count=\(byteCount >> 20)",
            "status=none"
        )
        let echo = try host.write("echo.py", echoScript)
        try host.start("echo", [DNSStage.interpreter, "-u", echo]).waitForOutput("ready")
        try SecureShell.start(on: host)
    }

    /// Answers every datagram to port 7 with itself.
    private static let echoScript = """
        import socket
        server = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
        server.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        server.bind(("::", 7))
        print("ready")
        while True:
            data, sender = server.recvfrom(65535)
            server.sendto(data, sender)
        """

    /// `ssh` to `server` by `address`, with the words that follow.
    func ssh(_ server: Server, at address: String, _ words: [String]) -> [String] {
        SecureShell.session(on: server.host, at: address, family: server.otherFamily, words)
    }
}
