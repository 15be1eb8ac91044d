import Bytes
import IP
import SansIO
import Testing
import WireGuard

@testable import Peering

@Suite("Where a gateway sends")
struct EndpointTests {
    static let elsewhere = Endpoint(IPAddress(ipv4: 0xc633_6477), port: 7777)

    @Test("neither a handshake message nor a probe moves the endpoint; data does")
    func moves() throws {
        let world = TwoPools(seed: 1)
        let index = world.connect()
        let home = world.clientHosts[0]
        func remote() -> Endpoint? {
            world.gateway.index(of: world.client.publicKey)
                .flatMap { world.gateway.status(of: $0)?.remote }
        }
        #expect(remote() == home)
        world.isCut = true
        world.run(for: .milliseconds(600))
        // Frames of the client that did not arrive: a path frame and probes, newest last.
        let probe = ControlFrame.probe(number: 1)
        world.clientSends(probe, to: index)
        let bytes = try #require(world.sentByClient.last).bytes
        world.inject(bytes, from: Self.elsewhere, to: .gateway)
        #expect(remote() == home)
        world.clientSends(TwoPools.packet(1), to: index)
        let data = try #require(world.sentByClient.last).bytes
        world.inject(data, from: Self.elsewhere, to: .gateway)
        #expect(remote() == Self.elsewhere)
    }

    @Test("an older packet that comes later by another way does not move it back")
    func newestOnly() throws {
        let world = TwoPools(seed: 2)
        let index = world.connect()
        world.isCut = true
        world.clientSends(TwoPools.packet(1), to: index)
        let older = try #require(world.sentByClient.last).bytes
        world.isCut = false
        world.clientSends(TwoPools.packet(2), to: index)
        world.run(for: .milliseconds(20))
        world.inject(older, from: Self.elsewhere, to: .gateway)
        let peer = try #require(world.gatewayPeer)
        #expect(world.gateway.status(of: peer)?.remote == world.clientHosts[0])
        #expect(world.heard(1, at: .gateway, since: Instant(nanoseconds: 0)) != nil)
    }

    @Test("a path frame names the way")
    func pathFrame() throws {
        let world = TwoPools(seed: 3)
        let index = world.connect()
        world.isCut = true
        world.clientSends(.path(number: 5), to: index)
        let frame = try #require(world.sentByClient.last).bytes
        world.inject(frame, from: Self.elsewhere, to: .gateway)
        let peer = try #require(world.gatewayPeer)
        #expect(world.gateway.status(of: peer)?.remote == Self.elsewhere)
    }

    @Test("a path frame that a newer probe overtook names the way all the same")
    func overtaken() throws {
        let world = TwoPools(seed: 6)
        let index = world.connect()
        world.isCut = true
        world.clientSends(.path(number: 5), to: index)
        let frame = try #require(world.sentByClient.last).bytes
        world.clientSends(.probe(number: 6), to: index)
        let probe = try #require(world.sentByClient.last).bytes
        world.inject(probe, from: world.clientHosts[0], to: .gateway)
        world.inject(frame, from: Self.elsewhere, to: .gateway)
        let peer = try #require(world.gatewayPeer)
        #expect(world.gateway.status(of: peer)?.remote == Self.elsewhere)
    }

    @Test("data and path frames sent before the one that named the way do not turn it back")
    func reordered() throws {
        let world = TwoPools(seed: 7)
        let index = world.connect()
        world.isCut = true
        var older: [[UInt8]] = []
        for mark in 1...3 {
            world.clientSends(TwoPools.packet(UInt8(mark)), to: index)
            older.append(try #require(world.sentByClient.last).bytes)
            world.clientSends(.path(number: UInt64(mark)), to: index)
            older.append(try #require(world.sentByClient.last).bytes)
        }
        world.clientSends(.path(number: 9), to: index)
        let newest = try #require(world.sentByClient.last).bytes
        world.inject(newest, from: Self.elsewhere, to: .gateway)
        for bytes in older.reversed() {
            world.inject(bytes, from: world.clientHosts[0], to: .gateway)
        }
        let peer = try #require(world.gatewayPeer)
        #expect(world.gateway.status(of: peer)?.remote == Self.elsewhere)
        #expect(world.heard(1, at: .gateway, since: Instant(nanoseconds: 0)) != nil)
    }

    @Test("what comes late of the session before does not turn the way back")
    func rekeyed() throws {
        let world = TwoPools(seed: 8)
        let index = world.connect()
        world.isCut = true
        world.clientSends(TwoPools.packet(1), to: index)
        let older = try #require(world.sentByClient.last).bytes
        world.isCut = false
        for _ in 0..<130 {
            world.clientSends(TwoPools.packet(2), to: index)
            world.run(for: .seconds(1))
        }
        #expect(world.initiations.count == 2)
        world.inject(older, from: Self.elsewhere, to: .gateway)
        let peer = try #require(world.gatewayPeer)
        #expect(world.gateway.status(of: peer)?.remote == world.clientHosts[0])
    }

    @Test("openers go first where they open something: strangers before neighbours")
    func openerOrder() throws {
        let world = TwoPools(seed: 9)
        let texts = [
            "10.0.0.1:5000", "192.168.0.1:5000", "[fd00::1]:5000", "198.51.100.9:5000",
        ]
        let hosts = texts.compactMap { Endpoint($0) }.map { Candidate(.host, $0) }
        let reflexive = Candidate(
            .serverReflexive,
            Endpoint(IPAddress(ipv4: 0x0102_0304), port: 4000)
        )
        let lent = Candidate(.relayed, Endpoint(IPAddress(ipv4: 0x0808_0808), port: 50_000))
        world.tellGateway(candidates: hosts + [lent, reflexive])
        let expected = [reflexive, lent, hosts[3], hosts[0], hosts[1]].map(\.endpoint)
        #expect(world.sentByGateway.map(\.destination) == expected)
        #expect(world.sentByGateway.allSatisfy { $0.bytes.count <= 64 })
    }

    @Test("openers: five at most, of 64 bytes at most, to allowed candidates only")
    func openers() throws {
        let world = TwoPools(seed: 4)
        world.gateway.setRefusedNetworks([try #require(IPPrefix("10.9.0.0/16"))])
        let texts = [
            "127.0.0.1:5000", "169.254.1.1:5000", "224.0.0.1:5000", "255.255.255.255:5000",
            "10.9.1.1:5000", "192.0.2.1:1023", "192.0.2.1:0", "0.0.0.0:5000", "[::1]:5000",
            "[fe80::1]:5000", "[ff02::1]:5000",
        ]
        let bad = texts.compactMap { Endpoint($0) }
        let good = (1...20).map { Endpoint(IPAddress(ipv4: 0xc000_0200 + $0), port: 5000) }
        world.tellGateway(candidates: (bad + good).map { Candidate(.host, $0) })
        #expect(world.sentByGateway.map(\.destination) == Array(good.prefix(5)))
        #expect(world.sentByGateway.allSatisfy { $0.bytes.count <= 64 })
        // A session there, the same by probes inside it.
        let index = try #require(
            world.tellClient(
                candidates: [Candidate(.host, Endpoint(IPAddress(ipv4: 0xcb00_7105), port: 51_830))]
            )
        )
        world.clientSends(TwoPools.packet(1), to: index)
        world.run(for: .milliseconds(100))
        let before = world.sentByGateway.count
        world.punch()
        let probes = world.sentByGateway[before...]
        #expect(probes.count <= 6)
        #expect(probes.allSatisfy { $0.bytes.count <= 64 && $0.bytes[0] == 4 })
        #expect(probes.allSatisfy { !bad.contains($0.destination) })
    }

    @Test("at most twelve candidates a peer")
    func candidates() {
        let rules = CandidateRules(isStrict: true)
        let many = (0..<50).map {
            Candidate(.host, Endpoint(IPAddress(ipv4: 0x0a00_0100 + $0), port: 5000))
        }
        #expect(rules.allowed(many + many).count == 12)
    }

    @Test("a gateway that hears nothing probes at most six ways, and stops after a while")
    func quietGateway() {
        let world = TwoPools(seed: 5)
        world.tellGateway(
            candidates: (1...12).map {
                Candidate(.host, Endpoint(IPAddress(ipv4: 0xc000_0200 + $0), port: 5000))
            }
        )
        _ = world.tellClient(
            candidates: [Candidate(.host, Endpoint(IPAddress(ipv4: 0xcb00_7105), port: 51_830))]
        )
        world.run(for: .seconds(1))
        world.isCut = true
        let before = world.sentByGateway.count
        world.gatewaySends(TwoPools.packet(1))
        world.run(for: .seconds(60))
        let sent = world.sentByGateway.count - before
        #expect((6...400).contains(sent))
        let later = world.sentByGateway.count
        world.run(for: .seconds(60))
        #expect(world.sentByGateway.count - later < 10)
    }
}

@Suite("Peers that speak no frames")
struct ForeignPeerTests {
    @Test("another WireGuard gets packets and keepalives, never a frame, and roams by any packet")
    func foreign() throws {
        let world = TwoPools(seed: 1)
        let index = try #require(world.introduce(speaksFrames: false))
        world.clientSends(TwoPools.packet(1), to: index)
        world.run(for: .seconds(1))
        #expect(world.client.status(of: index)?.isConnected == true)
        world.flow(from: .client, to: index, every: .seconds(1), for: .seconds(130))
        world.run(for: .seconds(300))
        #expect(world.clientSends(.probe(number: 1), to: index) == .refused)
        #expect(world.client.counters.framesRefused == 0)
        // Every datagram is a handshake message, a packet of ours or a keepalive.
        let size = Tunnel.datagramByteCount(inner: TwoPools.packet(1).count)
        let sizes = Set((world.sentByClient + world.sentByGateway).map(\.bytes.count))
        #expect(sizes.subtracting([8, 148, 92, 32, size]).isEmpty)
        let start = world.now
        world.clientHosts = [Endpoint(IPAddress(ipv4: 0x0a00_0063), port: 9)]
        world.clientSends(TwoPools.packet(2), to: index)
        world.run(for: .milliseconds(20))
        world.gatewaySends(TwoPools.packet(3))
        world.run(for: .milliseconds(20))
        #expect(world.heard(3, at: .client, since: start) != nil)
    }
}

@Suite("What comes out of the tunnel")
struct ContentTests {
    @Test("congestion of the outer header is marked inside, checksum and all; unmarkable: dropped")
    func congestion() throws {
        let world = TwoPools(seed: 1)
        let index = world.connect()
        world.isCut = true
        let before = world.gatewayHeard.count
        for inner in [UInt8(1), 2, 3, 0] {
            let ip = IPHeader(
                from: IPAddress(ipv4: 0x6440_0002),
                to: IPAddress(ipv4: 0x0a00_0001),
                transportProtocol: .udp,
                trafficClass: inner
            )
            let packet = ip.packet(UDPHeader(sourcePort: 1, destinationPort: 2), payload: [inner])
            world.clientSends(packet, to: index)
            let sent = try #require(world.sentByClient.last)
            #expect(sent.ecn == inner)
            world.inject(sent.bytes, from: world.clientHosts[0], to: .gateway, ecn: 3)
        }
        let heard = world.gatewayHeard[before...].map(\.bytes)
        #expect(heard.count == 3)
        for bytes in heard {
            let header = try PacketHeader(bytes.rawSpan)
            #expect(header.ecn == 3)
            #expect(Checksum.sum(bytes.rawSpan.extracting(0..<20)) == 0xffff)
        }
        #expect(world.gateway.counters.packetsMalformed == 1)
    }

    @Test("a large packet is cut into segments that fill one run, and all arrive")
    func large() throws {
        let world = TwoPools(seed: 2)
        let index = world.connect()
        let before = world.gatewayHeard.count
        let ip = IPHeader(
            from: IPAddress(ipv4: 0x6440_0002),
            to: IPAddress(ipv4: 0x0a00_0001),
            transportProtocol: .tcp
        )
        let tcp = TCPHeader(sourcePort: 1, destinationPort: 2, window: 100)
        let payload = (0..<30_000).map { UInt8(truncatingIfNeeded: $0 / 7) }
        let packet = ip.packet(tcp, payload: payload)
        let offload = Offload(
            segmentation: .tcpIPv4,
            needsChecksum: true,
            checksumStart: 20,
            checksumOffset: 16,
            headerByteCount: 40,
            segmentByteCount: 1240
        )
        #expect(world.clientSends(packet, offload, to: index) == .sent)
        world.run(for: .milliseconds(20))
        let heard = world.gatewayHeard[before...].map(\.bytes)
        #expect(heard.count == 25)
        #expect(heard.flatMap { $0.dropFirst(40) } == payload)
        for bytes in heard.prefix(3) { #expect(try PacketHeader(bytes.rawSpan).isTCP) }
        // What is larger than the tunnel's MTU and may not be cut is refused.
        #expect(world.clientSends(packet, to: index) == .refused)
    }
}
