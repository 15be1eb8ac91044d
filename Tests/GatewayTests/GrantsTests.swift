import Control
import Gateway
import IP
import SansIO
import Testing

private func lease(_ id: String, revision: UInt64 = 1, seconds: UInt32 = 60) -> Lease {
    Lease(id: LeaseID(id), revision: revision, lifetimeSeconds: seconds)
}

private func key(
    _ transport: FlowKey.Transport = .tcp,
    to destination: String = "10.1.2.3",
    port: UInt16 = 443
) -> FlowKey {
    FlowKey(
        transport: transport,
        sourcePort: 1,
        destination: Address.of(destination),
        destinationPort: port
    )
}

@Suite struct Leases {
    @Test func `a lease that is granted again lives as long as it says last`() throws {
        var grants = Grants()
        let network = Resources.network("10.1.0.0/16")
        let first = try grants.grant(lease("a"), for: network, at: .at(0))
        #expect(first.isNew)
        let second = try grants.grant(lease("a", seconds: 100), for: network, at: .at(10))
        #expect(!second.isNew)
        #expect(grants.leases.count == 1)
        #expect(grants.nextExpiry == .at(110))
    }

    @Test func `an older revision of a lease does not shorten a newer one`() throws {
        var grants = Grants()
        let network = Resources.network("10.1.0.0/16")
        _ = try grants.grant(lease("a", revision: 5, seconds: 100), for: network, at: .at(0))
        _ = try grants.grant(lease("a", revision: 4, seconds: 1), for: network, at: .at(0))
        #expect(grants.nextExpiry == .at(100))
    }

    @Test func `ending an older lease never ends its successor`() throws {
        var grants = Grants()
        let network = Resources.network("10.1.0.0/16")
        let first = try grants.grant(lease("old"), for: network, at: .at(0)).resource
        let second = try grants.grant(lease("new"), for: network, at: .at(1)).resource
        #expect(first == second)
        let revision = grants.revision
        let old = grants.end { $0.id == "old" }
        #expect(old == ["old"])
        #expect(grants.choice(for: key()) == .permitted(second))
        #expect(grants.revision == revision)
        let new = grants.end { $0.id == "new" }
        #expect(new == ["new"])
        #expect(grants.choice(for: key()) == .uncovered)
        #expect(grants.revision != revision)
    }

    @Test func `ending a lease twice, or one that never was, is harmless`() throws {
        var grants = Grants()
        _ = try grants.grant(lease("a"), for: Resources.internet, at: .at(0))
        grants.end { $0.id == "b" }
        grants.end { $0.id == "a" }
        let again = grants.end { $0.id == "a" }
        #expect(again.isEmpty)
        #expect(grants.resources.isEmpty)
    }

    @Test func `a lease ends at its time, one that came too late at once`() throws {
        var grants = Grants()
        _ = try grants.grant(lease("a", seconds: 0), for: Resources.internet, at: .at(0))
        _ = try grants.grant(lease("b", seconds: 60), for: Resources.internet, at: .at(0))
        let atOnce = grants.expire(at: .at(0))
        #expect(atOnce == ["a"])
        let early = grants.expire(at: .at(59))
        #expect(early.isEmpty)
        let isExtended = grants.extend("b", by: .seconds(60), at: .at(59))
        #expect(isExtended)
        let before = grants.expire(at: .at(118))
        #expect(before.isEmpty)
        let after = grants.expire(at: .at(119))
        #expect(after == ["b"])
        let isLate = grants.extend("b", by: .seconds(60), at: .at(119))
        #expect(!isLate)
    }

    @Test func `a resource with another address is another resource`() throws {
        var grants = Grants()
        let number = try grants.grant(
            lease("a"),
            for: Resources.network("10.1.0.0/16"),
            at: .at(0)
        ).resource
        let isKnown = grants.update(Resources.network("10.2.0.0/16"))
        #expect(isKnown)
        #expect(grants.choice(for: key(to: "10.1.2.3")) == .uncovered)
        #expect(grants.choice(for: key(to: "10.2.2.3")) == .permitted(number + 1))
        #expect(grants.leases.count == 1)
        let isUnknown = !grants.update(Resources.network("10.3.0.0/16", id: "unknown"))
        #expect(isUnknown)
    }

    @Test func `a pattern that cannot be read is refused with a sentence`() {
        var grants = Grants()
        #expect(throws: GrantRefusal.unreadablePattern("a..b")) {
            _ = try grants.grant(lease("a"), for: Resources.app([], "a..b"), at: .at(0))
        }
        #expect(grants.leases.isEmpty)
        #expect(GrantRefusal.unreadablePattern("a..b").sentence.contains("a..b"))
    }
}

@Suite struct OverlappingNetworks {
    private static func grants(_ resources: ResourceForGateway...) throws -> Grants {
        var grants = Grants()
        for resource in resources {
            _ = try grants.grant(lease(resource.id.text), for: resource, at: .at(0))
        }
        return grants
    }

    @Test func `the longer prefix wins`() throws {
        let grants = try Self.grants(
            Resources.network("10.0.0.0/8", id: "wide"),
            Resources.network("10.1.0.0/16", id: "narrow")
        )
        #expect(grants.choice(for: key()) == .permitted(2))
        #expect(grants.choice(for: key(to: "10.2.0.1")) == .permitted(1))
    }

    @Test func `a network that permits the packet beats a longer one that does not`() throws {
        let grants = try Self.grants(
            Resources.network("10.0.0.0/8", id: "wide", [Filter(.tcp, ports: 443...443)]),
            Resources.network("10.1.2.3/32", id: "host", [Filter(.udp)])
        )
        #expect(grants.choice(for: key()) == .permitted(1))
        #expect(grants.choice(for: key(.udp)) == .permitted(2))
        #expect(grants.choice(for: key(port: 80)) == .filtered(2))
    }

    @Test func `of equal networks the lower id wins, whatever came first`() throws {
        let one = try Self.grants(
            Resources.network("10.0.0.0/8", id: "b"),
            Resources.network("10.0.0.0/8", id: "a")
        )
        #expect(one.choice(for: key()) == .permitted(2))
        let other = try Self.grants(
            Resources.network("10.0.0.0/8", id: "a"),
            Resources.network("10.0.0.0/8", id: "b")
        )
        #expect(other.choice(for: key()) == .permitted(1))
    }

    @Test func `networks come before the internet`() throws {
        let grants = try Self.grants(Resources.internet, Resources.network("203.0.113.0/24"))
        #expect(grants.choice(for: key(to: "203.0.113.9")) == .permitted(2))
        #expect(grants.choice(for: key(to: "203.0.114.9")) == .permitted(1))
    }

    @Test func `IPv6 networks do not cover IPv4 and the other way round`() throws {
        let grants = try Self.grants(
            Resources.network("::/0", id: "six"),
            Resources.network("0.0.0.0/0", id: "four")
        )
        #expect(grants.choice(for: key(to: "2001:db8::1")) == .permitted(1))
        #expect(grants.choice(for: key(to: "192.168.0.1")) == .permitted(2))
    }
}
