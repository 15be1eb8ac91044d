import Control
import Gateway
import IP
import Peering
import SansIO
import Testing
import WireGuard

@Suite struct GrantsOfThePortal {
    @Test func `a grant is answered with its id and lease`() {
        let world = GatewayWorld()
        let client = world.client()
        world.order(world.grant(client, Resources.internet, lease: "a"))
        let answer = world.grantAnswers.last
        #expect(answer?.id == "request-a")
        #expect(answer?.lease == "a")
        #expect(answer?.accepted == true)
        world.order(world.grant(client, Resources.internet, lease: "a"))
        #expect(world.grantAnswers.count == 2)
        #expect(world.gateway.leases == ["a"])
    }

    @Test func `a grant that cannot be served is refused with a code and a sentence`() {
        let world = GatewayWorld()
        let client = world.client()
        let app = Resources.app()
        let cases: [(String, Grant)] = [
            ("unreadable-pattern", world.grant(client, Resources.app([], "a..b"))),
            ("name-mismatch", world.grant(client, app, name: "example.org")),
            (
                "unusable-proxy",
                world.grant(client, app, name: "a.example.com", proxies: [Address.real1])
            ),
        ]
        for (code, grant) in cases {
            world.order(grant)
            #expect(world.grantAnswers.last?.accepted == false)
            #expect(world.grantAnswers.last?.code == code)
            #expect(world.grantAnswers.last?.sentence?.isEmpty == false)
        }
        #expect(world.gateway.leases.isEmpty)
        let clients = world.gateway.status(at: world.now).clients
        #expect(clients.isEmpty)
    }

    @Test func `two clients cannot have one tunnel address or one key`() {
        let world = GatewayWorld()
        let one = world.client(1)
        let other = world.client(2)
        world.order(world.grant(one, Resources.internet, lease: "a"))
        var stolen = world.grant(other, Resources.internet, lease: "b")
        stolen.client.tunnel = one.tunnel
        world.order(stolen)
        #expect(world.grantAnswers.last?.code == "tunnel-address-taken")
        stolen = world.grant(other, Resources.internet, lease: "b")
        stolen.client.publicKey = world.grant(one, Resources.internet).client.publicKey
        world.order(stolen)
        #expect(world.grantAnswers.last?.code == "key-taken")
        stolen = world.grant(other, Resources.internet, lease: "b")
        stolen.client.tunnel = [Address.gateway]
        world.order(stolen)
        #expect(world.grantAnswers.last?.code == "unusable-tunnel-address")
    }

    @Test func `an initiation that came before the grant is answered when the grant comes`() {
        let world = GatewayWorld()
        let client = world.client()
        world.connect(client)
        #expect(!world.isConnected(client))
        world.order(world.grant(client, Resources.internet))
        #expect(world.isConnected(client))
    }

    @Test func `a revoked lease refuses at once and resets connections`() {
        let world = GatewayWorld()
        let client = world.connectedClient()
        world.order(world.grant(client, Resources.internet, lease: "internet"))
        world.send(Packet.tcp(from: client.address, to: Address.proxy1), by: client)
        world.revoke("lease-1")
        world.forget()
        world.send(Packet.tcp(from: client.address, to: Address.proxy1, 443, .ack), by: client)
        #expect(client.last?.tcpFlags.contains(.rst) == true)
        world.resourceSends(
            Packet.tcp(from: Address.real1, 443, to: client.address, 40_000, [.syn, .ack])
        )
        #expect(client.received.count == 1)
        #expect(world.forwarded.isEmpty)
    }

    @Test func `the client goes with its last lease, and is told`() {
        let world = GatewayWorld()
        let client = world.connectedClient()
        world.order(world.grant(client, Resources.internet, lease: "internet"))
        world.revoke("lease-1")
        #expect(client.frames.isEmpty)
        world.revoke("internet", "lease-1")
        #expect(client.frames == [.goodbye(.finished)])
        let clients = world.gateway.status(at: world.now).clients
        #expect(clients.isEmpty)
    }

    @Test func `a lease passes to its successor and flows see nothing`() {
        let world = GatewayWorld()
        let client = world.connectedClient()
        world.send(Packet.udp(from: client.address, 1, to: Address.proxy1), by: client)
        world.order(world.grant(client, Resources.app(), lease: "successor"))
        world.revoke("lease-1")
        world.send(Packet.udp(from: client.address, 1, to: Address.proxy1), by: client)
        world.resourceSends(Packet.udp(from: Address.real1, 53, to: client.address, 1))
        #expect(world.forwarded.count == 2)
        #expect(client.received.count == 1)
    }

    @Test func `a lease ends by itself when its time is over, and lives on when extended`() {
        let world = GatewayWorld()
        let client = world.client()
        world.order(world.grant(client, Resources.internet, lease: "a", seconds: 60))
        world.order(world.grant(client, Resources.internet, lease: "b", seconds: 60))
        world.run(for: .seconds(30))
        world.say(.portal(.extend(ToGateway.Extend(lease: "b", lifetimeSeconds: 60))))
        world.run(for: .seconds(31))
        #expect(world.gateway.leases == ["b"])
        #expect(world.events.contains(.leaseEnded("a", client.id, .expired)))
        world.run(for: .seconds(30))
        #expect(world.gateway.leases.isEmpty)
        #expect(world.events.contains(.clientRemoved(client.id)))
    }

    @Test func `an unknown lease that is extended makes the gateway ask for everything, once`() {
        let world = GatewayWorld()
        for _ in 0..<3 {
            world.say(.portal(.extend(ToGateway.Extend(lease: "unknown", lifetimeSeconds: 60))))
        }
        let resyncs = world.outputs.filter {
            if case .toPortal(.resync) = $0 { true } else { false }
        }
        #expect(resyncs.count == 1)
    }

    @Test func `an unknown message is ignored`() {
        let world = GatewayWorld()
        world.say(.portal(.unknown("future")))
        #expect(world.gateway.leases.isEmpty)
    }
}

@Suite struct Welcomes {
    @Test func `welcome ends every lease that it does not list, of clients that it omits too`() {
        let world = GatewayWorld()
        let one = world.connectedClient(1)
        let other = world.connectedClient(2, proxies: [Address.of("100.96.0.9")])
        world.order(world.grant(one, Resources.internet, lease: "internet"))
        world.say(.portalConnected(false))
        world.run(for: .seconds(60))
        world.welcome([world.grant(one, Resources.internet, lease: "internet")])
        #expect(world.gateway.leases == ["internet"])
        #expect(other.frames == [.goodbye(.finished)])
        world.send(Packet.udp(from: one.address, to: Address.proxy1), by: one)
        #expect(world.forwarded.isEmpty)
        world.send(Packet.udp(from: one.address, to: Address.of("8.8.8.8")), by: one)
        #expect(world.forwarded.count == 1)
    }

    @Test func `welcome may come again and again without a flow noticing`() {
        let world = GatewayWorld()
        let client = world.connectedClient()
        world.send(Packet.udp(from: client.address, 1, to: Address.proxy1), by: client)
        client.epoch = 3
        world.zones["wiki.example.com"] = Zone(addresses: [Address.real2])
        world.name("wiki.example.com", [Address.of("100.96.0.8")], by: client)
        let proxies = [Address.proxy1, Address.proxy2, Address.proxy6]
        for _ in 0..<3 {
            world.welcome([
                world.grant(
                    client,
                    Resources.app(),
                    lease: "lease-1",
                    name: "app.example.com",
                    proxies: proxies
                )
            ])
        }
        world.forget()
        world.resourceSends(Packet.udp(from: Address.real1, 53, to: client.address, 1))
        #expect(client.last?.source == Address.proxy1)
        world.send(Packet.udp(from: client.address, to: Address.of("100.96.0.8")), by: client)
        #expect(world.lastForwarded?.destination == Address.real2)
        #expect(world.isConnected(client))
    }

    @Test func `an empty welcome ends everything`() {
        let world = GatewayWorld()
        _ = world.connectedClient()
        world.welcome([])
        #expect(world.gateway.leases.isEmpty)
    }

    @Test func `the host is told of the tunnel's addresses at first, and when they change`() {
        let world = GatewayWorld()
        func configurations() -> Int {
            world.outputs.filter { if case .configure = $0 { true } else { false } }.count
        }
        #expect(configurations() == 1)
        world.welcome()
        #expect(configurations() == 1)
    }
}

@Suite struct WithoutThePortal {
    @Test func `leases live on while the portal is away, up to the site's limit`() {
        let world = GatewayWorld(limitSeconds: 600)
        let client = world.connectedClient()
        world.say(.portalConnected(false))
        world.run(for: .seconds(590))
        world.send(Packet.udp(from: client.address, to: Address.proxy1), by: client)
        #expect(world.forwarded.count == 1)
        world.run(for: .seconds(11))
        #expect(world.gateway.leases.isEmpty)
        #expect(world.events.contains(.portalAwayTooLong))
    }

    @Test func `a portal that comes back in time ends nothing`() {
        let world = GatewayWorld(limitSeconds: 600)
        _ = world.connectedClient()
        world.say(.portalConnected(false))
        world.run(for: .seconds(500))
        world.say(.portalConnected(true))
        world.run(for: .seconds(500))
        #expect(world.gateway.leases.count == 1)
    }

    @Test func `candidates that change while it is away are told once, as they are then`() {
        let world = GatewayWorld()
        world.say(.portalConnected(false))
        world.forget()
        for last in 1...5 {
            world.say(.localAddresses([Address.of("192.0.2.\(last)")], port: 51_820))
        }
        #expect(world.told.isEmpty)
        world.say(.portalConnected(true))
        #expect(world.told.map { $0.map(\.endpoint.description) } == [["192.0.2.5:51820"]])
        world.say(.portalConnected(true))
        #expect(world.told.count == 1)
    }

    @Test func `after ten hours of sleep what expired is over in one turn, and nothing is due`() {
        let world = GatewayWorld()
        _ = world.connectedClient()
        world.now = world.now.advanced(by: .seconds(36_000))
        world.run(for: .zero)
        #expect(world.gateway.leases.isEmpty)
        let deadline = world.gateway.nextDeadline
        #expect(deadline.map { $0 > world.now } ?? true)
        let again = world.connectedClient(2)
        world.send(Packet.udp(from: again.address, to: Address.proxy1), by: again)
        #expect(world.lastForwarded?.destination == Address.real1)
    }

    @Test func `a lease's own end counts while the portal is away`() {
        let world = GatewayWorld()
        let client = world.client()
        world.order(world.grant(client, Resources.internet, lease: "a", seconds: 60))
        world.say(.portalConnected(false))
        world.run(for: .seconds(61))
        #expect(world.gateway.leases.isEmpty)
    }
}

@Suite struct Connections {
    @Test func `a client that starts anew has another key and keeps its names and flows`() {
        let world = GatewayWorld()
        let client = world.connectedClient()
        world.send(Packet.udp(from: client.address, 1, to: Address.proxy1), by: client)
        let again = world.client(1)
        world.clients.removeFirst()
        let key = KeyText(bytes: again.pool.publicKey.array)
        world.say(
            .portal(
                .clientCandidates(
                    ToGateway.ClientCandidates(
                        client: client.id,
                        publicKey: key,
                        presharedKey: world.secret,
                        candidates: []
                    )
                )
            )
        )
        world.connect(again)
        #expect(world.isConnected(again))
        world.resourceSends(Packet.udp(from: Address.real1, 53, to: again.address, 1))
        #expect(again.last?.source == Address.proxy1)
        world.name("app.example.com", [Address.proxy1], by: again)
        #expect(world.lastAnswer(again)?.status == .active)
    }

    @Test func `a shutdown says goodbye to every client and then finishes`() {
        let world = GatewayWorld()
        let clients = (1...5 as ClosedRange<UInt16>).map {
            world.connectedClient($0, proxies: [Address.of("100.96.1.\($0)")])
        }
        world.say(.shutdown)
        world.run(for: .seconds(1))
        for client in clients { #expect(client.frames == [.goodbye(.shutdown)]) }
        #expect(world.outputs.filter { $0 == .finished }.count == 1)
        world.order(world.grant(world.client(9), Resources.internet, lease: "late"))
        #expect(world.grantAnswers.last?.code == "stopping")
    }

    @Test func `the portal is told when the number of connected clients changes`() {
        let world = GatewayWorld()
        world.run(for: .seconds(2))
        world.forget()
        _ = world.connectedClient(1)
        world.run(for: .seconds(2))
        let reports = world.outputs.compactMap { output -> UInt32? in
            if case .toPortal(.report(let report)) = output { report.clients } else { nil }
        }
        #expect(reports == [1])
    }

    @Test func `our own addresses become candidates, once`() {
        let world = GatewayWorld()
        world.forget()
        for _ in 0..<2 { world.say(.localAddresses([Address.of("192.0.2.1")], port: 51_820)) }
        #expect(world.outputs.count == 1)
        #expect(world.gateway.candidates.map(\.endpoint.description) == ["192.0.2.1:51820"])
    }

    @Test func `status shows clients, leases, names and flows`() {
        let world = GatewayWorld()
        let client = world.connectedClient()
        world.send(Packet.udp(from: client.address, 1, to: Address.proxy1), by: client)
        let status = world.gateway.status(at: world.now)
        #expect(status.name == "gateway")
        #expect(status.isPortalUp)
        let found = status.clients.first
        #expect(found?.id == client.id)
        #expect(found?.isConnected == true)
        #expect(found?.names == 1)
        #expect(found?.flows == 1)
        #expect(found?.leases.first?.name == "App")
        #expect(found?.leases.first.map { $0.remainingSeconds > 3_000 } == true)
    }
}
