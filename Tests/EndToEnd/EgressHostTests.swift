import Foundation
import Lab
import Testing

extension EndToEnd {
    @Suite("A gateway beside other firewalls, and the host as it was after it")
    struct EgressHostTests {
        /// Docker's and ufw's chains as iptables sets them.
        static let docker = [
            "-N DOCKER-USER", "-N DOCKER-FORWARD", "-A FORWARD -j DOCKER-USER",
            "-A FORWARD -j DOCKER-FORWARD", "-A DOCKER-USER -j RETURN", "-P FORWARD DROP",
        ]

        static func ufw(_ prefix: String) -> [String] {
            let (before, user) = ("\(prefix)-before-forward", "\(prefix)-user-forward")
            return [
                "-N \(before)", "-N \(user)", "-A FORWARD -j \(before)", "-A \(before) -j \(user)",
                "-P FORWARD DROP",
            ]
        }

        static let firewalld = """
            table inet firewalld {
                chain filter_FORWARD {
                    type filter hook forward priority filter + 10; policy accept;
                    ct state { established, related } accept
                    ct status dnat accept
                    iifname "lo" accept
                    reject with icmpx admin-prohibited
                }
            }
            """

        @Test(
            "Docker and ufw are met in their own chains",
            .enabled(if: FileManager.default.fileExists(atPath: "/usr/sbin/iptables"), "iptables")
        )
        func products() throws {
            let demo = try EgressDemo("cvprod")
            defer { demo.remove() }
            let gateway = demo.world.gateway
            for (chains, title) in [
                (["iptables": Self.docker, "ip6tables": Self.docker], "DOCKER-USER"),
                (["iptables": Self.ufw("ufw"), "ip6tables": Self.ufw("ufw6")], "before-forward"),
            ] {
                for (program, lines) in chains { try iptables(program, lines, on: gateway) }
                let pings = try Pings(on: demo.world.ada, "git.corp.example")
                try demo.gateway.waitForOutput(title)
                try demo.fetchAll()
                // As the product when it is started again.
                for program in chains.keys { try iptables(program, ["-F", "-X"], on: gateway) }
                for (program, lines) in chains { try iptables(program, lines, on: gateway) }
                let answers = pings.answers
                #expect(Lab.waits(seconds: 5) { pings.answers > answers + 10 }, "\(title)")
                let gap = pings.finish()
                print("egress: \(title) set anew, longest time without a ping \(gap) s")
                #expect(gap < 1)
                try demo.fetchAll()
                #expect(try demo.readiness() == "200")
                for program in chains.keys {
                    // Its own program can still read it.
                    let rules = try gateway.must(program, "-S")
                    #expect(
                        rules.components(separatedBy: "--comment culvert").count == 3,
                        "\(rules)"
                    )
                    try iptables(program, ["-P FORWARD ACCEPT", "-F", "-X"], on: gateway)
                }
            }
        }

        @Test("what only the administrator can open is named with the command that does it")
        func named() throws {
            let demo = try EgressDemo("cvname") { world in
                try world.gateway.must(
                    ["nft", "-f", "-"],
                    input: "table inet filter { chain forward { type filter hook forward priority "
                        + "filter; policy drop; }; }"
                )
            }
            defer { demo.remove() }
            let (ada, gateway) = (demo.world.ada, demo.world.gateway)
            #expect(try ada.run("curl", "-4sm", "2", "http://git.corp.example/").code != 0)
            #expect(try demo.readiness() == "503")
            let log = demo.gateway.output
            let marker = "Let them through with: "
            let line = try #require(log.split(separator: "\n").first { $0.contains(marker) })
            let start = try #require(line.range(of: marker)).upperBound
            let command = line[start...].trimmingCharacters(in: ["\""]).replacing(
                "\\\"",
                with: "\""
            )
            try gateway.must("sh", "-c", command)
            try demo.gateway.waitForOutput("get through this host's forwarding now")
            try demo.fetchAll()
            #expect(try demo.readiness() == "200")
            // Without firewalld's own program, its way is named.
            try gateway.must(["nft", "-f", "-"], input: Self.firewalld)
            try demo.gateway.waitForOutput(
                "firewall-cmd --zone=trusted --change-interface=culvert0"
            )
        }

        @Test("after its end, also a violent one, the host is as it was", .timeLimit(.minutes(3)))
        func restored() throws {
            var before = ""
            let demo = try EgressDemo("cvback") { world in
                let host = world.gateway
                try host.must(
                    "sysctl",
                    "-qw",
                    "net.ipv4.conf.all.accept_redirects=0",
                    "net.ipv4.conf.eth1.forwarding=1"
                )
                for program in ["iptables", "ip6tables"] {
                    try iptables(program, Self.docker, on: host)
                }
                before = try state(of: host)
            }
            defer { demo.remove() }
            let gateway = demo.world.gateway
            try demo.fetch("git.corp.example")
            #expect(try state(of: gateway) != before)
            demo.gateway.stop()
            let left = try changes(from: before, to: state(of: gateway))
            #expect(left == [])
            for ending in ["restart", "--restore"] {
                let killed = try gateway.start("killed-\(ending)", demo.gatewayWords())
                try killed.waitForOutput("DOCKER-USER")
                killed.send(SIGKILL)
                #expect(killed.wait(seconds: 5))
                #expect(try state(of: gateway) != before)
                if ending == "restart" {
                    let next = try gateway.start("next", demo.gatewayWords())
                    try next.waitForOutput("connected to the portal")
                    try demo.fetch("git.corp.example")
                    next.stop()
                } else {
                    try gateway.must(executable, "gateway", "--restore")
                }
                let left = try changes(from: before, to: state(of: gateway))
                #expect(left == [], "\(ending)")
            }
        }

        @Test("settings that may not be set are named")
        func refused() throws {
            let demo = try EgressDemo("cvnset") { world in
                try world.gateway.forwards()
                try world.gateway.must(["nft", "-f", "-"], input: Self.firewalld)
            }
            defer { demo.remove() }
            demo.gateway.stop()
            let words = demo.gatewayWords(
                "--no-sysctls",
                "--no-forward-rules",
                "--sessions",
                "16000000"
            )
            let gateway = try demo.world.gateway.start("refusing", words)
            try gateway.waitForOutput("connected to the portal")
            try gateway.waitForOutput("sysctl -w net.netfilter.nf_conntrack_icmp_timeout=60")
            #expect(gateway.output.contains("net.netfilter.nf_conntrack_max=16000000"))
            #expect(!gateway.output.contains("firewall-cmd"), "\(gateway.output)")
        }

        private func iptables(_ program: String, _ lines: [String], on host: LabHost) throws {
            for line in lines {
                try host.must(
                    [program, "-w"] + line.split(separator: " ").map(String.init),
                    input: ""
                )
            }
        }

        /// The lines that one state has and the other has not.
        private func changes(from before: String, to after: String) -> [Substring] {
            let (old, new) = (before.split(separator: "\n"), after.split(separator: "\n"))
            return new.difference(from: old).map { change in
                switch change {
                case .insert(_, let line, _), .remove(_, let line, _): line
                }
            }
        }

        /// Everything on the host that a gateway changes, but for counts.
        private func state(of host: LabHost) throws -> String {
            let settings = try host.must("sysctl", "-a", "-r", "^net\\.(ipv4|ipv6|netfilter)")
                .split(separator: "\n")
                .filter { !$0.contains("nf_conntrack_count") && !$0.contains("culvert0") }
                .map(String.init)
            let rest = try [
                ["nft", "-s", "list", "ruleset"], ["ip", "rule"], ["ip", "-6", "rule"],
                ["ip", "route", "show", "table", "all"],
            ].map { try host.must($0, input: "") }
            // Link-local addresses come and go by duplicate address detection, and a link's
            // multicast route comes when it is ready.
            let lines = rest.joined().split(separator: "\n").filter {
                !$0.contains("fe80:") && !$0.hasPrefix("multicast ff00::/8")
            }
            return (settings + lines.map(String.init)).joined(separator: "\n")
        }
    }
}

extension EndToEnd.EgressDemo {
    /// The status code of `/readyz`.
    func readiness() throws -> String {
        try world.gateway.run(
            "curl",
            "-s",
            "-o",
            "/dev/null",
            "-w",
            "%{http_code}",
            "http://127.0.0.1:9464/readyz"
        ).output
    }
}
