import Foundation
import Lab
import Testing

extension EndToEnd {
    /// Ada's laptop with systemd-resolved, at home and in an office's network that claims
    /// `corp.example` for itself, where another `git.corp.example` is.
    struct OfficeWorld {
        let world: DemoNetwork
        let office: LabHost
        let officeNames: Running
        let laptop: ResolvedHost
        let client: Running
        let gateway: Running

        static let officeAddress = "10.30.0.53"

        /// What the office's server says for its own names; no query for one of ours may come.
        static let officeRecords = [
            "git.corp.example. 60 IN A 10.30.0.99", "wiki.corp.example. 60 IN A 10.30.0.99",
            "printer.office.example. 60 IN A 10.30.0.7",
        ]

        init(
            _ name: String,
            resource: String,
            domains: [String],
            settings: [String] = []
        ) throws {
            let package = try ResolvedPackage()
            world = try DemoNetwork(name: name)
            let office = try world.network.host("office")
            self.office = office
            try office.bridge(addresses: ["\(Self.officeAddress)/24"])
            try world.network.attach(
                world.ada,
                to: office,
                as: "eth1",
                addresses: ["10.30.0.10/24"]
            )
            officeNames = try Servers.unbound(
                on: office,
                listening: [Self.officeAddress],
                records: Self.officeRecords
            )
            let portal = try roles.portal(on: world.portal)
            world.network.keep(portal)
            try roles.apply(Self.configuration(resource), portal: world.portal)
            gateway = try roles.gateway(
                on: world.gateway,
                site: "headquarters",
                portal: world.portal
            )
            laptop = try ResolvedHost(world.ada, settings: settings, package: package)
            for link in ["eth0", "eth1"] {
                // What their networks say; the host as a whole may want it otherwise.
                try laptop.must("resolvectl", "dnsovertls", link, "no")
                try laptop.must("resolvectl", "dnssec", link, "no")
            }
            try laptop.must("resolvectl", "dns", "eth0", "203.0.113.53")
            try laptop.must("resolvectl", "default-route", "eth0", "yes")
            try laptop.must("resolvectl", "dns", "eth1", Self.officeAddress)
            try laptop.must(["resolvectl", "domain", "eth1"] + domains)
            try laptop.must("resolvectl", "default-route", "eth1", "no")
            client = try laptop.client(roles, portal: world.portal, email: "ada@example.com")
        }

        /// The demo's resources, with one at `address` instead of the exact name.
        static func configuration(_ address: String, chat: Bool = false) -> String {
            let all = DemoNetwork.configuration.replacingOccurrences(
                of: "address: git.corp.example",
                with: "address: \"\(address)\""
            )
            guard !chat else { return all }
            return all.replacingOccurrences(
                of: "chat.saas.example",
                with: "none.saas.example"
            )
        }

        func remove() { world.network.remove() }

        /// The addresses that resolved gives for a name, over its own interface.
        func addresses(_ name: String, _ options: String...) throws -> [String] {
            let outcome = try laptop.run(["resolvectl", "query"] + options + [name])
            return outcome.output.split(separator: "\n").compactMap { line in
                // `name: address -- link: eth0`, further ones without the name; with a type
                // `name IN A address -- link: eth0`.
                guard let end = line.range(of: " -- link: ") else { return nil }
                return line[..<end.lowerBound].split(separator: " ").last.map(String.init)
            }
        }

        /// Whether every address is one that stands for a name.
        static func areProxies(_ addresses: [String]) -> Bool {
            !addresses.isEmpty
                && addresses.allSatisfy { address in
                    let second = address.split(separator: ".").dropFirst().first
                    return address.hasPrefix("fd00:2021:1111:8")
                        || address.hasPrefix("100.")
                            && second.flatMap { Int($0) }.map { (96...127).contains($0) } ?? false
                }
        }

        /// The names of `zone` that the office's server was asked for.
        func leaks(_ zone: String) -> [String] {
            officeNames.output.split(separator: "\n").filter {
                $0.contains(" \(zone). ") || $0.contains(".\(zone). ")
            }.map(String.init)
        }

        var logs: String {
            "client:\n\(client.output.suffix(3_000))\nresolved:\n\(laptop.log.suffix(3_000))"
        }
    }

    @Suite(
        "A host with systemd-resolved",
        .enabled(if: (try? ResolvedPackage()) != nil, "systemd-resolved cannot be fetched")
    )
    struct SystemdResolvedTests {
        @Test(
            "an office link claims the domain: no protected name goes there, all else does",
            .timeLimit(.minutes(3))
        )
        func office() throws {
            let world = try OfficeWorld(
                "cvoffi",
                resource: "g?t.corp.example",
                domains: ["corp.example", "~office.example"]
            )
            defer { world.remove() }
            let laptop = world.laptop
            #expect(laptop.resolverConfiguration.contains("nameserver 127.0.0.53"))
            let addresses = try world.addresses("git.corp.example")
            #expect(OfficeWorld.areProxies(addresses), "\(addresses)\n\(world.logs)")
            let known = try laptop.must("getent", "ahosts", "git.corp.example")
            #expect(known.contains("100."), "\(known)")
            let page = try laptop.run("curl", "-sm", "10", "http://git.corp.example/")
            #expect(page.output.contains("inside the site"), "\(page)\n\(world.logs)")
            for type in ["TXT", "MX", "SRV", "HTTPS", "A", "AAAA", "ANY"] {
                for transport in ["+notcp", "+tcp"] {
                    try laptop.run(
                        "dig",
                        "@127.0.0.53",
                        transport,
                        "+time=6",
                        "+tries=1",
                        "git.corp.example",
                        type
                    )
                }
            }
            #expect(world.leaks("git.corp.example") == [])
            // What is not ours goes where it went, also in the domain that we took over; and a
            // single label is completed as before.
            #expect(try world.addresses("wiki.corp.example") == ["10.30.0.99"], "\(world.logs)")
            let short = try laptop.run("getent", "ahosts", "wiki")
            #expect(short.output.contains("10.30.0.99"), "\(short)")
            #expect(try world.addresses("printer.office.example") == ["10.30.0.7"])
            #expect(!world.leaks("office.example").isEmpty)
            let www = try world.addresses("www.saas.example")
            #expect(www.contains("203.0.113.80"), "\(www)\n\(world.logs)")
            let status = try laptop.command(roles, "status")
            #expect(status.output.contains("The domain corp.example of eth1"), "\(status.output)")
            #expect(try laptop.must("resolvectl", "domain", "eth1").hasSuffix("~office.example\n"))

            world.client.stop()
            let domains = try laptop.must("resolvectl", "domain", "eth1")
            #expect(domains.hasSuffix("corp.example ~office.example\n"), "\(domains)")
            #expect(try world.addresses("git.corp.example") == ["10.30.0.99"])
        }

        @Test(
            "killed, and `culvert down`: other links have their domains again",
            .timeLimit(.minutes(3))
        )
        func killed() throws {
            let world = try OfficeWorld(
                "cvokil",
                resource: "*.corp.example",
                domains: ["corp.example"]
            )
            defer { world.remove() }
            let laptop = world.laptop
            #expect(OfficeWorld.areProxies(try world.addresses("git.corp.example")))
            #expect(OfficeWorld.areProxies(try world.addresses("any.corp.example")))
            #expect(world.leaks("corp.example") == [])
            world.client.send(SIGKILL)
            #expect(world.client.wait(seconds: 5))
            #expect(try !laptop.must("resolvectl", "domain", "eth1").contains("corp.example"))
            let down = try laptop.down(roles)
            #expect(down.code == 0, "\(down.output)")
            #expect(try laptop.must("resolvectl", "domain", "eth1").contains("corp.example"))
            #expect(try world.addresses("git.corp.example") == ["10.30.0.99"])
            // The next start after a crash does the same.
            let again = try laptop.client(
                roles,
                portal: world.world.portal,
                email: "ada@example.com"
            )
            #expect(OfficeWorld.areProxies(try world.addresses("git.corp.example")))
            again.send(SIGKILL)
            #expect(again.wait(seconds: 5))
            let third = try laptop.client(
                roles,
                portal: world.world.portal,
                email: "ada@example.com"
            )
            #expect(OfficeWorld.areProxies(try world.addresses("git.corp.example")))
            third.stop()
            #expect(try laptop.must("resolvectl", "domain", "eth1").contains("corp.example"))
        }

        @Test(
            "a domain that cannot be taken over: resolv.conf names us, and is a link again after",
            .timeLimit(.minutes(3))
        )
        func refused() throws {
            let world = try OfficeWorld(
                "cvoref",
                resource: "*.corp.example",
                domains: ["~office.example"],
                settings: ["DNS=203.0.113.53", "Domains=~corp.example"]
            )
            defer { world.remove() }
            let laptop = world.laptop
            let ours = laptop.resolverConfiguration
            #expect(ours.contains("\nnameserver 100.100.111."), "\(ours)\n\(world.logs)")
            #expect(!ours.contains("trust-ad"), "\(ours)")
            let addresses = try laptop.must("dig", "+short", "git.corp.example")
            let lines = addresses.split(separator: "\n").map(String.init)
            #expect(OfficeWorld.areProxies(lines), "\(addresses)\n\(world.logs)")
            #expect(try laptop.must("dig", "+short", "www.saas.example") == "203.0.113.80\n")
            let printer = try laptop.must("dig", "+short", "printer.office.example")
            #expect(printer == "10.30.0.7\n", "asked of the link that has the domain")
            let asked = try String(
                contentsOfFile: "\(world.world.dns.folder)/unbound.log",
                encoding: .utf8
            )
            #expect(asked.contains("www.saas.example.") && !asked.contains("corp.example."))
            let status = try laptop.command(roles, "status").output
            #expect(status.contains("could not be taken over in systemd-resolved"), "\(status)")
            #expect(status.contains("/etc/nsswitch.conf lets programs ask"), "\(status)")

            world.client.send(SIGKILL)
            #expect(world.client.wait(seconds: 5))
            #expect(laptop.resolverConfiguration == ours)
            #expect(try laptop.down(roles).code == 0)
            let theirs = laptop.resolverConfiguration
            #expect(theirs.hasPrefix("/run/systemd/resolve/stub-resolv.conf\n"), "\(theirs)")
        }

        @Test(
            "DNSOverTLS=yes for the whole host: our link answers, and so do the others",
            .timeLimit(.minutes(3))
        )
        func encrypted() throws {
            let world = try OfficeWorld(
                "cvotls",
                resource: "git.corp.example",
                domains: ["~corp.example"],
                settings: ["DNSOverTLS=yes", "DNSSEC=yes"]
            )
            defer { world.remove() }
            let addresses = try world.addresses("git.corp.example")
            #expect(OfficeWorld.areProxies(addresses), "\(addresses)\n\(world.logs)")
            let www = try world.addresses("www.saas.example")
            #expect(www.contains("203.0.113.80"), "\(www)\n\(world.logs)")
            // Only the one name is ours: the office keeps its domain, and its other names.
            #expect(try world.addresses("wiki.corp.example") == ["10.30.0.99"])
            #expect(world.leaks("git.corp.example") == [])
        }

        @Test(
            "a resource takes a name over and gives it back within 100 ms, also in resolved's cache",
            .timeLimit(.minutes(3))
        )
        func changes() throws {
            let world = try OfficeWorld(
                "cvochg",
                resource: "git.corp.example",
                domains: ["~corp.example"]
            )
            defer { world.remove() }
            var delays: [Double] = []
            for round in 0..<6 {
                let isAdded = round % 2 == 0
                // Resolved knows it, for a minute.
                let before = try world.addresses("chat.saas.example", "--type=A")
                #expect(OfficeWorld.areProxies(before) != isAdded, "\(before)\n\(world.logs)")
                try roles.apply(
                    OfficeWorld.configuration("git.corp.example", chat: isAdded),
                    portal: world.world.portal
                )
                let start = ContinuousClock.now
                let isSeen = try Lab.waits(seconds: 5) {
                    let found = try world.laptop.run(
                        "dig",
                        "@127.0.0.53",
                        "+short",
                        "+time=1",
                        "chat.saas.example"
                    )
                    let addresses = found.output.split(separator: "\n").map(String.init)
                    return OfficeWorld.areProxies(addresses) == isAdded
                }
                delays.append((ContinuousClock.now - start).inSeconds)
                #expect(isSeen, "round \(round)\n\(world.logs)")
            }
            // The best of six: on a busy machine each program takes its time.
            #expect(try #require(delays.min()) <= 0.1, "\(delays)")
        }
    }
}
