import Bytes
import Control
import DNS
import IP
import SansIO
import Testing

@testable import Client

@Suite("Whom a client asks, and which way")
struct NameserverTests {
    private static let internet = ResourceForClient(
        id: "internet",
        name: "internet",
        address: .internet,
        site: ClientWorld.site
    )

    /// Asks for a name, and gives what the host is told to ask then.
    private func asked(_ world: ClientWorld, _ name: String) -> (upstream: String, way: String)? {
        let before = world.outputs.count
        _ = world.resolve(name)
        for (_, output) in world.outputs[before...] {
            switch output {
            case .exchange(let exchange): return ("\(Upstream(exchange.server))", "loop")
            case .forward(let query):
                return ("\(query.upstream)", query.isInTunnel ? "tunnel" : "around")
            default: break
            }
        }
        return nil
    }

    @Test(
        "an admin's nameserver in a network resource is asked through the tunnel, while it is one"
    )
    func inNetwork() throws {
        let world = ClientWorld()
        let net = ClientWorld.prefix("net", "10.1.0.0/16")
        world.start([net], dns: DNSSettings(upstreams: ["10.1.0.53"]))
        var found = try #require(asked(world, "a.org"))
        #expect(found == ("10.1.0.53", "tunnel"))
        world.handle(
            .portal(
                .welcome(
                    world.welcome(
                        [],
                        revision: 2,
                        dns: DNSSettings(
                            upstreams: ["10.1.0.53"]
                        )
                    )
                )
            )
        )
        found = try #require(asked(world, "b.org"))
        #expect(found == ("10.1.0.53", "loop"))
    }

    @Test("the host's own nameservers are asked around the tunnel, wherever they lie")
    func hosts() throws {
        let world = ClientWorld()
        world.start([ClientWorld.prefix("net", "10.0.0.0/16"), Self.internet])
        #expect(try #require(asked(world, "a.org")) == ("10.0.0.1", "loop"))
        world.handle(.hostUpstreams(["tls://192.0.2.1"].compactMap { Upstream($0) }))
        #expect(try #require(asked(world, "b.org")) == ("tls://192.0.2.1", "around"))
    }

    @Test("the internet resource takes public nameservers and those known by name, while it is on")
    func internet() throws {
        for (upstream, way) in [
            ("9.9.9.9", "tunnel"), ("tls://dns.example.net", "tunnel"), ("192.168.1.1", "loop"),
        ] {
            let world = ClientWorld()
            world.start([Self.internet], dns: DNSSettings(upstreams: [upstream]))
            #expect(try #require(asked(world, "a.org")) == (upstream, way))
            world.handle(.internetResource(isOn: false))
            let off = upstream.hasPrefix("tls") ? "around" : "loop"
            #expect(try #require(asked(world, "b.org")) == (upstream, off))
        }
    }

    @Test("zones of the admin and of the host's links have nameservers of their own")
    func zones() throws {
        let world = ClientWorld()
        let zone = DNSSettings.Zone(name: "corp.org", upstreams: ["10.1.0.53"])
        world.start(
            [ClientWorld.prefix("net", "10.1.0.0/16"), ClientWorld.name("git", "git.corp.org")],
            dns: DNSSettings(zones: [zone])
        )
        let server = try #require(Endpoint("10.8.0.1:53"))
        let zones = ["vpn.net", "corp.org"].map {
            Client.HostZone(domain: $0, servers: [server])
        }
        world.handle(.hostZones(zones))
        #expect(try #require(asked(world, "a.corp.org")) == ("10.1.0.53", "tunnel"))
        #expect(try #require(asked(world, "a.vpn.net")) == ("10.8.0.1", "loop"))
        #expect(try #require(asked(world, "a.org")) == ("10.0.0.1", "loop"))
        #expect(world.resolve("git.corp.org").count == 4)
        // The admin's zone must reach us whatever other links claim.
        #expect(world.configuration?.domains == ["corp.org"])
    }

    @Test("a nameserver of a zone that keeps silent is followed by the next one")
    func rounds() throws {
        let world = ClientWorld()
        let zone = DNSSettings.Zone(name: "corp.org", upstreams: ["10.9.0.1", "10.9.0.2"])
        world.start([], dns: DNSSettings(zones: [zone]))
        let before = world.outputs.count
        #expect(try #require(asked(world, "a.corp.org")) == ("10.9.0.1", "loop"))
        world.run(for: .milliseconds(1_100))
        let servers = world.outputs[before...].compactMap { Client.exchange(of: $0.output)?.server }
        #expect(servers.map(\.address.description) == ["10.9.0.1", "10.9.0.2"])
    }

    @Test("a question is explained with resource, site and the way to whom is asked")
    func explanation() throws {
        let world = ClientWorld()
        func explain(_ name: String, _ type: String = "A") -> QueryExplanation? {
            world.client.explainQuery(name, type: type, at: world.now)
        }
        #expect(explain("a.org") == nil)
        world.start([ClientWorld.name("git", "git.example.com")])
        let site = try #require(explain("git.example.com", "TXT"))
        #expect(site.rule == .site && site.resources == ["git"])
        #expect(site.sentences.count == 2 && site.sentences[0].contains("Berlin"))
        let other = try #require(explain("a.org."))
        #expect(other.rule == .upstream)
        #expect(other.sentences.last == "10.0.0.1 is asked, around the tunnel.")
        #expect(explain("a..b") == nil)
        #expect(explain("a.org", "NONE") == nil)
        world.handle(.cache(isOn: false))
        let status = world.client.cacheStatus
        #expect(status?.isEnabled == false)
    }
}
