import Foundation
import Lab
import Testing

extension EndToEnd {
    @Suite("Addresses that the host has already")
    struct AddressConflictTests {
        /// Starts the roles, with Ada's client last.
        static func run(
            _ world: DemoNetwork,
            _ configuration: String = DemoNetwork.configuration
        ) throws -> Running {
            let portal = try roles.portal(on: world.portal)
            world.network.keep(portal)
            try roles.apply(configuration, portal: world.portal)
            let gateway = try roles.gateway(
                on: world.gateway,
                site: "headquarters",
                portal: world.portal
            )
            world.network.keep(gateway)
            return try roles.client(on: world.ada, email: "ada@example.com", portal: world.portal)
        }

        static func addresses(_ host: LabHost, _ name: String, _ type: String) throws -> [String] {
            try host.must("dig", "+short", name, type).split(separator: "\n").map(String.init)
        }

        @Test(
            "another VPN and a LAN in our ranges keep their networks, and names get other addresses",
            .timeLimit(.minutes(3))
        )
        func conflicts() throws {
            let world = try DemoNetwork(name: "cvconf")
            defer { world.network.remove() }
            let ada = world.ada
            let lan = try world.network.host("lan")
            try lan.bridge(addresses: ["100.96.0.1/16", "100.113.0.1/16"])
            try world.network.attach(ada, to: lan, as: "eth1", addresses: ["100.96.0.10/16"])
            // A VPN's: its own rule and table, as such programs have them.
            try ada.must("ip", "route", "add", "100.64.0.0/10", "dev", "eth1")
            try ada.must("ip", "route", "add", "100.112.0.0/14", "dev", "eth1", "table", "52")
            try ada.must("ip", "rule", "add", "lookup", "52", "priority", "20000")
            let client = try Self.run(world)
            let proxies = try Self.addresses(ada, "git.corp.example", "A")
            #expect(proxies.count == 4, "\(proxies)\n\(client.output)")
            #expect(proxies.allSatisfy { $0.hasPrefix("100.97.") }, "\(proxies)")
            let page = try ada.run("curl", "-4sm", "10", "http://git.corp.example/")
            #expect(page.output.contains("inside the site"), "\(page)\n\(client.output)")
            // Theirs: the LAN, and the other VPN's, are where they were.
            try ada.must("ping", "-c1", "-W2", "100.96.0.1")
            try ada.must("ping", "-c1", "-W2", "100.113.0.1")
            let status = try roles.command(on: ada, "status").output
            for words in [
                "100.96.0.0/16 of eth1 lies in 100.96.0.0/11",
                "100.112.0.0/14 of eth1 lies in 100.96.0.0/11",
                "100.64.0.0/10 of eth1 contains 100.96.0.0/11",
            ] {
                #expect(status.contains(words), "\(status)")
            }
            client.stop()
        }

        @Test(
            "a LAN that comes while the client runs is named, and new names keep out of it",
            .timeLimit(.minutes(3))
        )
        func later() throws {
            let world = try DemoNetwork(name: "cvconl")
            defer { world.network.remove() }
            let ada = world.ada
            let client = try Self.run(world)
            let before = try Self.addresses(ada, "git.corp.example", "A")
            #expect(before.allSatisfy { $0.hasPrefix("100.96.0.") }, "\(before)")
            let lan = try world.network.host("lan")
            try lan.bridge(addresses: ["100.96.1.1/24"])
            try world.network.attach(ada, to: lan, as: "eth1", addresses: ["100.96.1.10/24"])
            let isNamed = try Lab.waits(seconds: 5) {
                try roles.command(on: ada, "status").output.contains("100.96.1.0/24 of eth1")
            }
            #expect(isNamed, "\(client.output)")
            try ada.must("ping", "-c1", "-W2", "100.96.1.1")
            let page = try ada.run("curl", "-4sm", "10", "http://git.corp.example/")
            #expect(page.output.contains("inside the site"), "\(page)\n\(client.output)")
        }

        @Test("an account with ranges of its own, not the usual ones", .timeLimit(.minutes(3)))
        func ownRanges() throws {
            let world = try DemoNetwork(name: "cvownr")
            defer { world.network.remove() }
            let client = try Self.run(
                world,
                DemoNetwork.configuration + """
                    addresses:
                      tunnel: [198.18.0.0/16, "fd77:1::/107"]
                      proxies: [198.19.0.0/17, "fd77:2::/107"]
                      sentinels: [198.19.255.0/24, "fd77:3::/120"]

                    """
            )
            let ada = world.ada
            let ours = ada.resolverConfiguration
            #expect(ours.contains("nameserver 198.19.255.1\nnameserver fd77:3::1\n"), "\(ours)")
            let proxies = try Self.addresses(ada, "git.corp.example", "A")
            #expect(proxies.count == 4 && proxies.allSatisfy { $0.hasPrefix("198.19.0.") })
            let proxies6 = try Self.addresses(ada, "git.corp.example", "AAAA")
            #expect(proxies6.count == 4 && proxies6.allSatisfy { $0.hasPrefix("fd77:2::") })
            for family in ["-4", "-6"] {
                let page = try ada.run("curl", family, "-sm", "10", "http://git.corp.example/")
                #expect(page.output.contains("inside the site"), "\(page)\n\(client.output)")
            }
            // By TCP too, and by the other sentinel.
            let tcp = try ada.must("dig", "+tcp", "+short", "@fd77:3::1", "git.corp.example", "A")
            #expect(tcp.contains("198.19.0."), "\(tcp)")
            // The usual ranges are the host's own now.
            let route = try ada.must("ip", "route", "get", "100.96.0.1")
            #expect(route.contains("eth0"), "\(route)")
            client.stop()
        }
    }
}
