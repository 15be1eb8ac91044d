internal import Bytes
internal import Foundation
internal import Glibc
internal import IP
internal import SansIO
internal import Synchronization
internal import Testing

@testable internal import Linux

@Suite("systemd-resolved")
struct ResolvedTests {
    typealias Domain = SystemdResolved.Domain
    typealias Wanted = ResolvedConfiguration.Wanted

    static let tunnel: UInt32 = 9
    static let sentinels = [IPAddress(ipv4: 0x6464_6f01), IPAddress(ipv4: 0x6464_6f02)]
    static let office = IPAddress(ipv4: 0x0a32_0001)
    static let home = IPAddress(ipv4: 0xc0a8_b201)

    /// A host with two links: an office's (2), and one at home (3).
    struct Host: ~Copyable {
        let folder: String
        let fake = FakeResolved()

        init(office: [Domain]) throws {
            var random = Kernel.randomSource()
            folder = "/tmp/cvlx-\(random.next())"
            try SystemError.check("mkdir") { unsafe mkdir(folder, 0o755) }
            fake[2] = .init(servers: [ResolvedTests.office], domains: office)
            fake[3] = .init(servers: [ResolvedTests.home])
        }

        deinit {
            TextFile.remove(folder + "/resolved.journal")
            _ = unsafe rmdir(folder)
        }

        /// Another process would have the same.
        var configuration: ResolvedConfiguration {
            ResolvedConfiguration(
                folder: folder,
                resolved: SystemdResolved(bus: fake.bus),
                linkNames: { [2: "eth0", 3: "wlan0", 9: "tun0"] }
            )
        }

        func servers() throws -> HostServers {
            let snapshot = try configuration.resolved.snapshot()
            let originals = ResolvedConfiguration.originals(snapshot, configuration.journal())
                .filter { $0.interface != ResolvedTests.tunnel }
            var settings: [UInt32: SystemdResolved.LinkSettings] = [:]
            for link in originals {
                settings[link.interface] = try configuration.resolved.settings(of: link.interface)
            }
            return HostServers(originals, snapshot, settings: settings)
        }
    }

    static func route(_ name: String) -> Domain { Domain(name: name, isRouteOnly: true) }
    static func search(_ name: String) -> Domain { Domain(name: name, isRouteOnly: false) }

    static func wanted(_ domains: [String], search: [String] = []) -> Wanted {
        Wanted(sentinels: sentinels, search: search, domains: domains)
    }

    @Test("reads what busctl prints of systemd 252")
    func reads() throws {
        let text = """
            {"type":"a{sv}","data":[{"LLMNRHostname":{"type":"s","data":"vm"},"DNS":{"type":\
            "a(iiay)","data":[[2,2,[10,50,0,1]]]},"DNSEx":{"type":"a(iiayqs)","data":[[2,2,[10,50,0,\
            1],0,""],[0,10,[38,32,0,254,0,0,0,0,0,0,0,0,0,0,0,9],8853,"dns.quad9.net"]]},\
            "FallbackDNSEx":{"type":"a(iiayqs)","data":[]},"Domains":{"type":"a(isb)","data":\
            [[2,"Corp.Example",false],[2,".",true]]},"DNSOverTLS":{"type":"s","data":"yes"}}]}
            """
        let bus = SystemBus { (method, arguments) throws(BusError) in
            arguments == ["s", "org.freedesktop.resolve1.Manager"] ? text : "nonsense"
        }
        let resolved = SystemdResolved(bus: bus)
        let snapshot = try resolved.snapshot()
        #expect(snapshot.servers.map(\.interface) == [0, 2], "the whole host's come first")
        #expect(snapshot.servers.map(\.port) == [8853, 53])
        #expect(snapshot.servers.map(\.name) == ["dns.quad9.net", ""])
        #expect(snapshot.servers.map { "\($0.address)" } == ["2620:fe::9", "10.50.0.1"])
        #expect(snapshot.domains == [2: [Self.search("corp.example"), Self.route(".")]])
        #expect(snapshot.isEncrypted)
        #expect(throws: BusError.unreadable(method: "GetAll")) { try resolved.settings(of: 2) }
    }

    @Test(
        "our link gets servers, search and routing domains, and plain DNS; then nothing is redone"
    )
    func ownLink() throws {
        let host = try Host(office: [])
        host.fake.state.withLock { $0.links[Self.tunnel] = .init(encryption: "yes") }
        let wanted = Self.wanted(["git.example.com", "db.example"], search: ["example.com"])
        let report = try host.configuration.activate(Self.tunnel, wanted)
        #expect(report == .init())
        let own = host.fake[Self.tunnel]
        #expect(own.servers == Self.sentinels)
        #expect(own.encryption == "no")
        let expected = [
            Self.search("example.com"), Self.route("."), Self.route("git.example.com"),
            Self.route("db.example"),
        ]
        #expect(own.domains == expected)
        let calls = host.fake.takeCalls()
        #expect(calls.suffix(2) == ["SetLinkDNSEx 9", "FlushCaches 0"], "servers last")
        _ = try host.configuration.activate(Self.tunnel, wanted)
        #expect(host.fake.takeCalls() == [])
        _ = try host.configuration.activate(Self.tunnel, Self.wanted(["git.example.com"]))
        #expect(host.fake.takeCalls() == ["SetLinkDomains 9", "FlushCaches 0"], "what changed")
    }

    @Test("a domain that another link claims inside ours is taken over, and goes back")
    func takenOver() throws {
        let before = [Self.search("corp.example"), Self.route("lab.corp.example")]
        let host = try Host(office: before + [Self.route("other.example")])
        let report = try host.configuration.activate(Self.tunnel, Self.wanted(["corp.example"]))
        let names = ["corp.example", "lab.corp.example"]
        #expect(report.taken.map(\.domain) == names)
        #expect(report.taken.map(\.link) == ["eth0", "eth0"])
        #expect(report.refused.isEmpty)
        #expect(host.fake[2].domains == [Self.route("other.example")])
        let own = host.fake[Self.tunnel].domains
        #expect(own == [Self.search("corp.example"), Self.route(".")], "also for single labels")
        #expect(host.fake[3].domains == [])
        // Another process, after a crash; its device is gone.
        host.fake.state.withLock { $0.refusals["RevertLink"] = "Call failed: Link 9 not known" }
        let isRestored = try host.configuration.restore(Self.tunnel)
        #expect(isRestored)
        #expect(host.fake[2].domains == before + [Self.route("other.example")])
        let isRestoredAgain = try host.configuration.restore(nil)
        #expect(!isRestoredAgain)
    }

    @Test("a shorter domain of another link stays there: ours wins by its length")
    func shorter() throws {
        let host = try Host(office: [Self.search("example"), Self.route(".")])
        let report = try host.configuration.activate(Self.tunnel, Self.wanted(["corp.example"]))
        #expect(report.taken.isEmpty && report.refused.isEmpty)
        #expect(host.fake[2].domains == [Self.search("example"), Self.route(".")])
    }

    @Test("a pattern without a fixed tail takes every domain over, the one for everything too")
    func everything() throws {
        let host = try Host(office: [Self.route("."), Self.search("corp.example")])
        _ = try host.configuration.activate(Self.tunnel, Self.wanted(["."]))
        #expect(host.fake[2].domains == [])
        #expect(host.fake[Self.tunnel].domains == [Self.search("corp.example"), Self.route(".")])
    }

    @Test("a domain goes back as soon as no resource needs it, and comes again")
    func givenBack() throws {
        let host = try Host(office: [Self.search("corp.example")])
        for _ in 0..<2 {
            _ = try host.configuration.activate(Self.tunnel, Self.wanted(["corp.example"]))
            #expect(host.fake[2].domains == [])
            _ = try host.configuration.activate(Self.tunnel, Self.wanted(["db.example"]))
            #expect(host.fake[2].domains == [Self.search("corp.example")])
        }
        let isRestored = try host.configuration.restore(nil)
        #expect(!isRestored, "nothing is left in the journal")
    }

    @Test("domains that somebody has set since stay as they are at the end")
    func changedByOthers() throws {
        let host = try Host(office: [Self.search("corp.example")])
        _ = try host.configuration.activate(Self.tunnel, Self.wanted(["corp.example"]))
        host.fake.state.withLock { $0.links[2]?.domains = [Self.route("new.example")] }
        _ = try host.configuration.restore(Self.tunnel)
        #expect(host.fake[2].domains == [Self.route("new.example")])
    }

    @Test("a link of systemd-networkd is changed through that, and set back by it")
    func networkd() throws {
        let host = try Host(office: [Self.search("corp.example")])
        host.fake.state.withLock {
            $0.links[2]?.isManaged = true
            $0.isNetworkdThere = true
        }
        let report = try host.configuration.activate(Self.tunnel, Self.wanted(["corp.example"]))
        #expect(report.taken.count == 1)
        #expect(host.fake[2].domains == [])
        _ = host.fake.takeCalls()
        let isRestored = try host.configuration.restore(nil)
        #expect(isRestored)
        #expect(host.fake.takeCalls() == ["networkd RevertLinkDNS 2", "FlushCaches 0"])
    }

    @Test("a claim that cannot be taken over is reported with the reason")
    func refused() throws {
        let host = try Host(office: [Self.search("corp.example")])
        host.fake.state.withLock { state in
            state.links[2]?.isManaged = true
            state.links[0] = .init(servers: [Self.home], domains: [Self.route("db.example")])
        }
        let report = try host.configuration.activate(
            Self.tunnel,
            Self.wanted(["corp.example", "db.example"])
        )
        #expect(report.taken.isEmpty)
        #expect(report.refused.count == 2)
        #expect(report.refused[.init(domain: "db.example", link: nil)] != nil)
        let reason = report.refused[.init(domain: "corp.example", link: "eth0")]
        #expect(reason?.contains("not activatable") ?? false)
        #expect(host.fake[2].domains == [Self.search("corp.example")])
    }

    @Test("more domains than resolved takes: the disputed ones come first")
    func manyDomains() throws {
        let host = try Host(office: [Self.search("example")])
        let many = (0..<400).map { "n\($0).test" } + ["git.example"]
        let report = try host.configuration.activate(Self.tunnel, Self.wanted(many))
        let own = host.fake[Self.tunnel].domains
        #expect(own.count == 256)
        #expect(own.prefix(2) == [Self.route("."), Self.route("git.example")])
        #expect(report.leftOut == 0, "the rest reaches us anyway")
        let disputed = (0..<300).map { "n\($0).example" }
        let second = try host.configuration.activate(Self.tunnel, Self.wanted(disputed))
        #expect(second.leftOut == 45)
    }

    @Test("servers: default links for everything, each domain's own for the domain")
    func servers() throws {
        let host = try Host(office: [Self.route("corp.example")])
        host.fake.state.withLock { $0.links[2]?.isDefaultRoute = false }
        let before = try host.servers()
        #expect(before.servers.map(\.endpoint.address) == [Self.home])
        #expect(before.lookupServers.map(\.address) == [Self.home])
        #expect(before.zones.map(\.domain) == ["corp.example"])
        #expect(before.zones.first?.servers.map(\.endpoint.address) == [Self.office])
        _ = try host.configuration.activate(Self.tunnel, Self.wanted(["corp.example"]))
        // Without a routing domain resolved takes the link for one of the default ones.
        host.fake.state.withLock { $0.links[2]?.isDefaultRoute = true }
        let after = try host.servers()
        #expect(after == before, "as they were without us")
    }

    @Test("servers: a link that claims everything is asked alone, by TLS if it says so")
    func claimant() throws {
        let host = try Host(office: [Self.route(".")])
        host.fake.state.withLock { $0.links[2]?.encryption = "yes" }
        let servers = try host.servers().servers
        #expect(servers.map(\.endpoint) == [Endpoint(Self.office, port: 853)])
        #expect(servers.map(\.isEncrypted) == [true])
        let lookup = try host.servers().lookupServers
        #expect(lookup.map(\.description) == ["127.0.0.53:53"], "resolved knows how to ask them")
    }
}
