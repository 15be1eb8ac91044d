/// Resolvers of others beside the client, with the same upstream.
enum DNSPeers {
    /// A resolver and where it listens.
    struct Peer {
        let title: String
        let address: String
        /// Its process id.
        let identifier: Int32
    }

    /// Where the upstream of all of them listens.
    static let upstream = "203.0.113.56"

    /// An upstream that has every answer at hand and costs little, and knows the portal.
    static func startUpstream(_ network: DNSNetwork) throws {
        let host = network.publicServer
        try host.must("ip", "address", "add", "\(upstream)/24", "dev", "eth0")
        let zones = [
            (name: "bench.example", text: Servers.zone("bench.example", ["* IN A 192.0.2.1"])),
            (
                name: "portal.example",
                text: Servers.zone("portal.example", ["@ IN A \(Internet.portal.ipv4)"])
            ),
        ]
        _ = try Servers.nsd(on: host, titled: "upstream", listening: [upstream], zones: zones)
    }

    /// Says the number of the program that it starts, and ends with it. A server that closes what
    /// it inherited looks to its parent as if it had ended, so this one stands in between.
    private static let guardian = #"trap 'kill "$child"' TERM; "$@" & child=$!; echo $child; wait"#

    /// Starts dnsmasq, unbound and dnsdist, each on a loopback address of its own, which all answer
    /// names below corp.example by themselves.
    static func start(on host: LabHost) throws -> [Peer] {
        let unbound = try host.write(
            "peer.conf",
            """
            server:
                interface: 127.0.0.12
                do-daemonize: no
                use-syslog: no
                logfile: ""
                chroot: ""
                username: ""
                pidfile: ""
                directory: "\(host.folder)"
                module-config: "iterator"
                do-not-query-localhost: no
                num-threads: 1
                outgoing-range: 4096
                num-queries-per-thread: 4096
                incoming-num-tcp: 100
                local-zone: "corp.example" redirect
                local-data: "corp.example 60 IN A 10.0.0.1"
            forward-zone:
                name: "."
                forward-addr: \(upstream)
            remote-control:
                control-enable: no
            """
        )
        let dnsdist = try host.write(
            "dnsdist.conf",
            """
            setLocal("127.0.0.13:53")
            newServer({address="\(upstream)", sockets=4})
            getPool(""):setCache(newPacketCache(100000))
            addAction("corp.example.", SpoofAction({"10.0.0.1"}))
            setSecurityPollSuffix("")
            """
        )
        let words: [(String, [String])] = [
            (
                "dnsmasq",
                [
                    "dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--no-resolv",
                    "--no-hosts", "--server=\(upstream)", "--listen-address=127.0.0.11",
                    "--bind-interfaces", "--cache-size=10000", "--dns-forward-max=10000",
                    "--address=/corp.example/10.0.0.1", "--user=root", "--pid-file=",
                ]
            ), ("unbound", ["unbound", "-d", "-c", unbound]),
            ("dnsdist", ["dnsdist", "-C", dnsdist, "--supervised", "--disable-syslog"]),
        ]
        return try words.enumerated().map { index, peer in
            let address = "127.0.0.\(11 + index)"
            let process = try host.start(peer.0, ["sh", "-c", Self.guardian, "sh"] + peer.1)
            try process.waitForOutput("\n")
            let first = process.output.split(separator: "\n").first
            guard let identifier = first.flatMap({ Int32($0) }) else {
                throw LabError("\(peer.0) does not start: \(process.output)")
            }
            let answers = try Lab.waits(seconds: 10) {
                try host.run("dig", "+short", "+time=1", "@\(address)", "n1.corp.example").output
                    .contains("10.0.0.1")
            }
            guard answers else { throw LabError("\(peer.0) does not answer: \(process.output)") }
            return Peer(title: peer.0, address: address, identifier: identifier)
        }
    }
}
