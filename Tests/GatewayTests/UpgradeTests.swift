import Bytes
import Control
import Gateway
import IP
import Peering
import SansIO
import Testing

@Suite struct Upgrades {
    @Test func `sessions, names, grants and flows go on without a handshake`() throws {
        let world = GatewayWorld()
        let client = world.connectedClient()
        world.send(Packet.tcp(from: client.address, to: Address.proxy1), by: client)
        world.resourceSends(
            Packet.tcp(from: Address.real1, 443, to: client.address, 40_000, [.syn, .ack])
        )
        let (key, leases) = (world.gateway.publicKey, world.gateway.leases)
        let handshakes = client.pool.counters.handshakes
        let questions = world.questions.count
        for _ in 0..<3 {
            world.forget()
            try world.upgrade()
            #expect(world.gateway.publicKey == key)
            #expect(world.gateway.leases == leases)
            world.resourceSends(
                Packet.tcp(from: Address.real1, 443, to: client.address, 40_000, .ack)
            )
            #expect(client.last?.source == Address.proxy1)
            world.send(Packet.tcp(from: client.address, to: Address.proxy1, 443, .ack), by: client)
            #expect(world.lastForwarded?.destination == Address.real1)
            #expect(world.lastForwarded?.sourcePort == 40_000)
            world.run(for: .seconds(2))
        }
        #expect(client.pool.counters.handshakes == handshakes)
        #expect(world.questions.count == questions)
        #expect(world.isConnected(client))
    }

    @Test func `the host is set up first, and what it was asked for before`() throws {
        let world = GatewayWorld()
        _ = world.connectedClient()
        world.forget()
        try world.upgrade()
        guard case .configure(let configuration) = world.outputs.first else {
            Issue.record("no configuration")
            return
        }
        #expect(configuration.tunnel.first == Address.gateway)
        #expect(configuration.addresses == .standard)
    }

    @Test func `a new flow to a known name is looked up and passes`() throws {
        let world = GatewayWorld()
        let client = world.connectedClient()
        try world.upgrade()
        world.send(Packet.udp(from: client.address, 1_111, to: Address.proxy2), by: client)
        #expect(world.lastForwarded?.destination == Address.real1)
    }

    @Test func `clients keep their slots, also beside gaps`() throws {
        let world = GatewayWorld()
        let clients = (1...4).map { world.connectedClient(UInt16($0)) }
        world.revoke("lease-1", "lease-3")
        try world.upgrade()
        for client in [clients[1], clients[3]] {
            world.send(Packet.udp(from: client.address, 1_111, to: Address.proxy1), by: client)
            #expect(world.lastForwarded?.source == client.address)
        }
        let fifth = world.connectedClient(5)
        world.send(Packet.udp(from: fifth.address, 1_111, to: Address.proxy1), by: fifth)
        #expect(world.lastForwarded?.source == fifth.address)
        #expect(world.gateway.status(at: world.now).clients.count == 3)
    }

    @Test func `leases end when they would have ended`() throws {
        let world = GatewayWorld()
        let client = world.client()
        world.order(world.grant(client, Resources.network("10.9.0.0/16"), seconds: 100))
        world.run(for: .seconds(50))
        try world.upgrade()
        world.say(.portalConnected(true))
        world.run(for: .seconds(49))
        #expect(world.gateway.leases == ["lease"])
        world.run(for: .seconds(2))
        #expect(world.gateway.leases.isEmpty)
    }

    @Test func `a portal that stays away ends all leases, as if nothing had been`() throws {
        let world = GatewayWorld(limitSeconds: 100)
        let client = world.client()
        world.order(world.grant(client, Resources.network("10.9.0.0/16")))
        world.say(.portalConnected(false))
        world.run(for: .seconds(60))
        try world.upgrade()
        world.run(for: .seconds(39))
        #expect(world.gateway.leases == ["lease"])
        world.run(for: .seconds(2))
        #expect(world.gateway.leases.isEmpty)
    }

    @Test func `the portal's welcome, with the same leases, changes nothing`() throws {
        let world = GatewayWorld()
        let client = world.connectedClient()
        world.send(Packet.udp(from: client.address, 1_111, to: Address.proxy1), by: client)
        try world.upgrade()
        let grant = world.grant(
            client,
            Resources.app(),
            lease: "lease-1",
            name: "app.example.com",
            proxies: [Address.proxy1, Address.proxy2, Address.proxy6]
        )
        world.forget()
        world.welcome([grant])
        world.say(.portalConnected(true))
        #expect(world.events.isEmpty)
        world.resourceSends(Packet.udp(from: Address.real1, 53, to: client.address, 1_111))
        #expect(client.last?.source == Address.proxy1)
    }

    @Test func `a flow that is not permitted any more ends`() throws {
        let world = GatewayWorld()
        let client = world.connectedClient()
        world.send(Packet.udp(from: client.address, 1_111, to: Address.proxy1), by: client)
        try world.upgrade()
        world.say(
            .portal(.resource(.init(resource: Resources.app([Filter(.tcp)]))))
        )
        world.forget()
        world.resourceSends(Packet.udp(from: Address.real1, 53, to: client.address, 1_111))
        #expect(client.received.isEmpty)
    }

    @Test func `the flow log knows flows of the process before`() throws {
        let world = GatewayWorld()
        world.say(.logsFlows(true))
        let client = world.connectedClient()
        world.send(Packet.udp(from: client.address, 1_111, to: Address.proxy1), by: client)
        try world.upgrade()
        world.say(.logsFlows(true))
        world.run(for: .seconds(400))
        var flows: [FlowRecord] = []
        for case .flows(let records) in world.outputs { flows += records }
        #expect(flows.map(\.name) == ["app.example.com"])
        #expect(flows.map(\.resource) == ["app"])
        #expect(flows.first?.packetsOut == 1)
    }
}

@Suite struct UnreadableState {
    private func filledWorld() -> GatewayWorld {
        let world = GatewayWorld()
        let client = world.connectedClient(filters: [Filter(.udp), Filter(.icmp)])
        world.send(Packet.udp(from: client.address, 1_111, to: Address.proxy1), by: client)
        world.order(world.grant(client, Resources.network("10.9.0.0/16"), lease: "network"))
        return world
    }

    @Test func `another version is told apart`() {
        let world = filledWorld()
        #expect(throws: StorageError.unknownVersion(0)) { try world.upgrade { $0[0] = 0 } }
    }

    @Test func `fewer bytes are refused, wherever they end`() {
        let world = filledWorld()
        let byteCount = world.gateway.retire(at: world.now).count
        for length in 0..<byteCount {
            #expect(throws: StorageError.self) {
                try world.upgrade { $0.removeLast($0.count - length) }
            }
        }
        #expect(throws: StorageError.malformed) { try world.upgrade { $0.append(0) } }
    }

    /// What can be read in spite of it must work like any gateway.
    @Test func `a wrong byte anywhere never traps`() throws {
        let world = filledWorld()
        let client = try #require(world.clients.first)
        let byteCount = world.gateway.retire(at: world.now).count
        var read = 0
        for place in 0..<byteCount {
            for flip in [0x01, 0xff] as [UInt8] {
                let before = world.gateway.retire(at: world.now)
                guard (try? world.upgrade { $0[place % $0.count] ^= flip }) != nil else { continue }
                read += 1
                world.send(Packet.udp(from: client.address, 2, to: Address.proxy1), by: client)
                world.resourceSends(Packet.udp(from: Address.real1, 53, to: client.address, 1_111))
                _ = world.gateway.status(at: world.now)
                try world.upgrade { $0 = before }
            }
        }
        #expect(read > byteCount / 2)
    }
}
