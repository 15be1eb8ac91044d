internal import IP
internal import Testing

@testable internal import Linux

extension KernelTests {
    @Suite("Firewall tables and settings")
    struct FirewallTests {
        static let ranges = ["100.64.0.0/11", "fd00:2021:1111::/107"].compactMap { IPPrefix($0) }

        @Test("the gateway's table is set, set again, and removed, beside another role's")
        func gateway() throws {
            let namespace = try NetworkNamespace()
            let first = GatewayFirewall(tunnelInterface: "cvlxt", ranges: Self.ranges)
            let second = GatewayFirewall(
                tunnelInterface: "cvlxu",
                ranges: Self.ranges,
                number: 1
            )
            try perform(in: namespace) { () throws(NftablesError) in
                try first.install()
                try first.install()
                try second.install()
            }
            let listing = try run("nft list ruleset", in: namespace)
            for word in [
                "table inet culvert {", "table inet culvert-1 {", "masquerade",
                "ct original zone set 17238", "ct original zone set 17239",
                "established : 7440", "unreplied : 300, replied : 300",
            ] {
                #expect(listing.contains(word), "\(word) in \(listing)")
            }
            try perform(in: namespace) { () throws(NftablesError) in
                try first.remove()
                try first.remove()
            }
            let rest = try run("nft list tables", in: namespace)
            #expect(rest == "table inet culvert-1\n")
        }

        @Test("a refused table is an error in nft's words")
        func refused() throws {
            let namespace = try NetworkNamespace()
            let bad = GatewayFirewall(tunnelInterface: "cvlxt\" {", ranges: [])
            let error: NftablesError? = try namespace.run {
                do throws(NftablesError) {
                    try bad.install()
                    return nil
                } catch {
                    return error
                }
            }
            guard case .refused(let words) = error else {
                Issue.record("\(String(describing: error))")
                return
            }
            #expect(words.contains("syntax error"))
        }

        @Test("packets of the tunnel leave with the address of the interface that they take")
        func masquerades() async throws {
            let pair = try Pair()
            let firewall = GatewayFirewall(tunnelInterface: "cvlx0", ranges: Self.ranges)
            try perform(in: pair.near) { () throws(NftablesError) in try firewall.install() }
            try run("ip link add cvlx0 type veth peer name cvlxc", in: pair.near)
            // A client behind the "tunnel": the far side must see the gateway's address only.
            let client = try NetworkNamespace()
            try run("ip link set cvlxc netns \(client.path)", in: pair.near)
            try run("ip address add 100.64.0.1/24 dev cvlx0", in: pair.near)
            try run("ip link set cvlx0 up", in: pair.near)
            try run("ip address add 100.64.0.9/24 dev cvlxc", in: client)
            try run("ip link set cvlxc up", in: client)
            try run("ip route add default via 100.64.0.1", in: client)
            try enableForwarding(in: pair.near)
            // The far side has no route to 100.64.0.0/10, so an answer proves the masquerade.
            let text = try run("ping -c 2 -i 0.2 -W 3 10.9.0.2", in: client)
            #expect(text.contains("2 received"))
        }

        @Test("replies to marked packets get the mark back")
        func marks() throws {
            let pair = try Pair()
            let firewall = ClientFirewall(mark: 0x0200_0000, mask: 0x0200_0000)
            try perform(in: pair.near) { () throws(NftablesError) in try firewall.install() }
            // As a client with everything in the tunnel and a strict filter.
            for line in [
                "ip route add default via 10.9.0.2", "ip link add cvlxt type veth peer name cvlxu",
                "ip link set cvlxt up", "ip link set cvlxu up",
                "ip route add default dev cvlxt table 99",
                "ip rule add not fwmark 0x02000000/0x02000000 lookup 99",
                "sysctl -q net.ipv4.conf.all.rp_filter=1 net.ipv4.conf.cvlxa.rp_filter=1",
            ] {
                try run(line, in: pair.near)
            }
            try run("ip address add 203.0.113.5/32 dev cvlxb", in: pair.far)
            #expect(throws: SceneryError.self, "the filter drops the reply") {
                try run("ping -c 1 -W 1 -m 33554432 203.0.113.5", in: pair.near)
            }
            let changed: Result<Void, any Error> = try pair.near.run {
                Result {
                    var journal = SysctlJournal()
                    try Forwarding.honourMarks(&journal)
                }
            }
            try changed.get()
            try run("ping -c 1 -W 2 -m 33554432 203.0.113.5", in: pair.near)
        }

        @Test("settings go back to what they were, but not over somebody else's")
        func settings() throws {
            let namespace = try NetworkNamespace()
            let values: Result<[String], any Error> = try namespace.run {
                Result {
                    var journal = SysctlJournal()
                    try Forwarding.enable(&journal)
                    try Forwarding.honourMarks(&journal)
                    var values = [
                        try Sysctl.read("net.ipv4.ip_forward"),
                        try Sysctl.read("net.ipv6.conf.all.forwarding"),
                    ]
                    try Sysctl.write("net.ipv4.conf.all.src_valid_mark", "0")
                    journal.undo()
                    values.append(try Sysctl.read("net.ipv4.ip_forward"))
                    values.append(try Sysctl.read("net.ipv4.conf.all.src_valid_mark"))
                    return values
                }
            }
            #expect(try values.get() == ["1", "1", "0", "0"])
        }

        @Test("a family may leave with a fixed address")
        func fixed() throws {
            let egress = ["198.51.100.7", "fd09::7"].compactMap { IPAddress($0) }
            let namespace = try NetworkNamespace()
            let both = GatewayFirewall(
                tunnelInterface: "cvlxt",
                ranges: Self.ranges,
                egress: egress
            )
            let one = GatewayFirewall(
                tunnelInterface: "cvlxt",
                ranges: Self.ranges,
                egress: [egress[0]],
                number: 1
            )
            try perform(in: namespace) { () throws(NftablesError) in
                try both.install()
                try one.install()
            }
            let chain = { (name: String) in "nft list chain inet \(name) egress" }
            let first = try run(chain("culvert"), in: namespace)
            #expect(first.contains("snat ip to 198.51.100.7"), "\(first)")
            #expect(first.contains("snat ip6 to fd09::7"), "\(first)")
            let second = try run(chain("culvert-1"), in: namespace)
            #expect(second.contains("snat ip to 198.51.100.7"), "\(second)")
            #expect(second.contains("ip6 saddr fd00:2021:1111::/107 masquerade"), "\(second)")
        }

        private func perform(
            in namespace: borrowing NetworkNamespace,
            _ work: @escaping @Sendable () throws(NftablesError) -> Void
        ) throws {
            let result: Result<Void, NftablesError> = try namespace.run {
                do throws(NftablesError) {
                    return .success(try work())
                } catch {
                    return .failure(error)
                }
            }
            try result.get()
        }

        private func enableForwarding(
            in namespace: borrowing NetworkNamespace
        ) throws {
            let result: Result<Void, any Error> = try namespace.run {
                Result {
                    var journal = SysctlJournal()
                    try Forwarding.enable(&journal)
                }
            }
            try result.get()
        }
    }
}
