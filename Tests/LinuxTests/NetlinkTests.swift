internal import IP
internal import Testing

@testable internal import Linux

extension KernelTests {
    @Suite("Links, addresses, routes and rules")
    struct NetlinkTests {
        static func prefix(_ text: String) throws -> IPPrefix { try #require(IPPrefix(text)) }

        @Test("an address is added, listed and removed; twice does no harm")
        func addresses() throws {
            let namespace = try NetworkNamespace()
            let listed: Result<[[InterfaceAddress]], any Error> = try namespace.run {
                Result {
                    var listed: [[InterfaceAddress]] = []
                    for text in ["100.64.0.7", "fd00:2021:1111::7"] {
                        guard let address = IPAddress(text) else { continue }
                        let entry = InterfaceAddress(
                            interface: 1,
                            address: address,
                            bitCount: address.family.bitCount
                        )
                        try Netlink.set(link: 1, LinkChange(isUp: true))
                        try Netlink.add(entry)
                        try Netlink.add(entry)
                        listed.append(try Netlink.addresses().filter { $0 == entry })
                        try Netlink.remove(entry)
                        try Netlink.remove(entry)
                        listed.append(try Netlink.addresses().filter { $0 == entry })
                    }
                    return listed
                }
            }
            #expect(try listed.get().map(\.count) == [1, 0, 1, 0])
        }

        @Test("a refusal carries the kernel's own words")
        func refusal() throws {
            let namespace = try NetworkNamespace()
            let error: NetlinkError? = try namespace.run {
                do throws(NetlinkError) {
                    let host = IPPrefix(host: IPAddress(ipv4: 1))
                    try Netlink.add(Route(host, interface: 99))
                    return nil
                } catch {
                    return error
                }
            }
            #expect(error?.request == "add route 0.0.0.1/32")
            #expect(error.map { !$0.description.isEmpty } == true)
        }

        @Test("routes come before the host's; an equal network of the host stays with it")
        func routes() throws {
            let pair = try Pair()
            let wanted = try [
                "100.96.0.0/11", "10.9.0.0/24", "10.9.0.77/32", "10.9.0.0/16", "fd77::/64",
            ]
            .map(Self.prefix)
            let report = try Self.apply(wanted, in: pair.near)
            #expect(report.missingFamilies.isEmpty)
            #expect(Set(report.keptByHost.map(\.prefix)) == Set([wanted[1], wanted[3]]))
            func device(_ address: String, _ more: String = "") throws -> String {
                let words = try run("ip route get \(address) \(more)", in: pair.near)
                    .split(separator: " ")
                let index = words.firstIndex(of: "dev")
                return index.map { String(words[$0 + 1]) } ?? "none"
            }
            #expect(try device("100.97.1.1") == "cvlxt")
            #expect(try device("10.9.0.50") == "cvlxa", "the host's own network")
            #expect(try device("10.9.0.77") == "cvlxt", "longer than the host's network")
            #expect(try device("10.9.77.1") == "cvlxt", "the rest of the larger network")
            #expect(try device("fd77::1") == "cvlxt")
            #expect(throws: SceneryError.self) {
                // Marked packets never enter the tunnel; the host has no other way.
                try run("ip route get 100.97.1.1 mark 0x02000000", in: pair.near)
            }
        }

        @Test("with a default route in the tunnel the host's own networks stay reachable")
        func defaultRoute() throws {
            let pair = try Pair()
            try run("ip route add default via 10.9.0.2", in: pair.near)
            try run("ip route add 172.30.0.0/16 via 10.9.0.2", in: pair.near)
            _ = try Self.apply(try ["0.0.0.0/0", "::/0"].map(Self.prefix), in: pair.near)
            for (address, device) in [
                ("203.0.113.1", "cvlxt"), ("10.9.0.2", "cvlxa"), ("172.30.1.1", "cvlxa"),
                ("203.0.113.1 mark 0x02000000", "cvlxa"), ("2001:db8::1", "cvlxt"),
                ("fd09::2", "cvlxa"),
            ] {
                let text = try run("ip route get \(address)", in: pair.near)
                #expect(text.contains("dev \(device) "), "\(address): \(text)")
            }
        }

        @Test("what a dead process has left is removed, and nothing else")
        func stale() throws {
            let pair = try Pair()
            _ = try Self.apply(try ["0.0.0.0/0", "fd77::/64"].map(Self.prefix), in: pair.near)
            try run("ip rule add pref 17238 fwmark 0x5 lookup 254", in: pair.near)
            let before = try run("ip rule", in: pair.near)
            #expect(before.contains("lookup 17238") == false || before.contains("17239"))
            let removed: Result<Void, any Error> = try pair.near.run {
                Result { try Routes.removeStale(.client) }
            }
            try removed.get()
            let after = try run("ip rule", in: pair.near)
            #expect(!after.contains("17239"))
            #expect(!after.contains("suppress_prefixlength"))
            #expect(after.contains("fwmark 0x5"), "a rule of somebody else")
            #expect(try run("ip -6 rule", in: pair.near).contains("17238") == false)
        }

        @Test("candidates are the usable addresses of running interfaces, without the tunnel's")
        func candidates() throws {
            let pair = try Pair()
            let found: Result<[IPAddress], any Error> = try pair.near.run {
                Result {
                    let device = try TunnelDevice(name: "cvlxt")
                    try device.configure()
                    var routes = try Routes(interface: device.index, plan: .client)
                    let own = [IPAddress(ipv4: 0x6440_0001)]
                    _ = try routes.apply(addresses: own, prefixes: [])
                    return try HostNetwork.candidates(excluding: device.index)
                }
            }
            let expected = try ["10.9.0.1", "fd09::1"].map { try #require(IPAddress($0)) }
            #expect(Set(try found.get()) == Set(expected))
        }

        @Test("a range that the host uses is named with its interface")
        func overlaps() throws {
            let pair = try Pair()
            let range = try Self.prefix("10.0.0.0/8")
            let found: Result<[HostNetwork.Overlap], any Error> = try pair.near.run {
                Result {
                    try HostNetwork.overlaps(with: [range], excluding: nil, plan: .client)
                }
            }
            let taken = try [Self.prefix("10.9.0.0/24")].map {
                HostNetwork.Overlap(range: range, taken: $0, interface: "cvlxa")
            }
            #expect(try found.get() == taken, "the address lies in the route")
            #expect(taken.map(\.isInside) == [true])
        }

        @Test("overlaps: other tables count, the wider stands for the narrower, half the world not")
        func overlapsOfOthers() throws {
            let pair = try Pair()
            for route in ["100.64.0.0/10", "100.100.0.0/16", "100.100.1.0/24", "0.0.0.0/1"] {
                try run("ip route add \(route) dev cvlxa table 52", in: pair.near)
            }
            try run("ip address add 100.97.0.9/32 dev cvlxa", in: pair.near)
            let range = try Self.prefix("100.96.0.0/11")
            let found: Result<[HostNetwork.Overlap], any Error> = try pair.near.run {
                Result {
                    try HostNetwork.overlaps(with: [range], excluding: nil, plan: .client)
                }
            }
            let expected = ["100.64.0.0/10", "100.100.0.0/16", "100.97.0.9"]
            #expect(try found.get().map(\.taken) == expected.map(Self.prefix))
            #expect(try found.get().map(\.isInside) == [false, true, true])
        }

        @Test("a network that the host reaches without a router stays with it, one by a router not")
        func keptByHost() throws {
            let pair = try Pair()
            try run("ip route add 100.100.0.0/16 dev cvlxa", in: pair.near)
            try run("ip route add 100.101.0.0/16 via 10.9.0.2", in: pair.near)
            try run("ip route add 100.102.0.0/16 dev cvlxa table 52", in: pair.near)
            let range = try Self.prefix("100.96.0.0/11")
            let found: Result<[String], any Error> = try pair.near.run {
                Result {
                    let device = try TunnelDevice(name: "cvlx%d")
                    try device.configure()
                    var routes = try Routes(interface: device.index, plan: .client)
                    let report = try routes.apply(addresses: [], prefixes: [range])
                    let thrown = try Netlink.routes(table: RoutingPlan.client.table)
                        .filter { $0.kind == .throw }
                    return thrown.map { "\($0.prefix)" }.sorted()
                        + report.keptByHost.map { "\($0.kept)" }.sorted()
                }
            }
            let kept = ["100.100.0.0/16", "100.102.0.0/16"]
            #expect(try found.get() == kept + kept)
        }

        @Test("a burst of changes is told once, our own changes never")
        func monitor() async throws {
            let pair = try Pair()
            let own: UInt32 = 77
            let monitor = try make(in: pair.near) {
                try NetworkMonitor(ignoring: own, quiet: .milliseconds(100))
            }
            try run("ip link add index 77 name cvlxo type veth peer name cvlxp", in: pair.near)
            for number in 10..<20 {
                try run("ip address add 10.9.1.\(number)/32 dev cvlxa", in: pair.near)
            }
            var changes = monitor.changes.makeAsyncIterator()
            await changes.next()
            #expect(monitor.takeKinds() == .network)
            #expect(monitor.takeKinds() == [])
            // One that passes over nothing tells when the burst of ours has ended.
            let other = try make(in: pair.near) {
                try NetworkMonitor(ignoring: nil, quiet: .milliseconds(200))
            }
            try run("ip address add 10.9.2.1/32 dev cvlxo", in: pair.near)
            var otherChanges = other.changes.makeAsyncIterator()
            await otherChanges.next()
            monitor.stop()
            other.stop()
            let rest: Void? = await changes.next()
            #expect(rest == nil)
        }

        /// Applies `prefixes` to a device that goes away only with the namespace.
        static func apply(
            _ prefixes: [IPPrefix],
            in namespace: borrowing NetworkNamespace
        ) throws -> Routes.Report {
            let result: Result<Routes.Report, any Error> = try namespace.run {
                Result {
                    let device = try TunnelDevice(name: "cvlxt")
                    try device.configure()
                    var routes = try Routes(interface: device.index, plan: .client)
                    let report = try routes.apply(
                        addresses: [
                            IPAddress(ipv4: 0x6440_0001), IPAddress(high: 0xfd00 << 48, low: 7),
                        ],
                        prefixes: prefixes
                    )
                    // As after a crash of the process: nothing is removed.
                    routes.abandon()
                    _ = unsafe Unmanaged.passRetained(Kept(device))
                    return report
                }
            }
            return try result.get()
        }
    }
}

/// A device that outlives its test, so that the routes through it do.
private final class Kept: Sendable {
    let device: TunnelDevice
    init(_ device: consuming TunnelDevice) { self.device = device }
}
