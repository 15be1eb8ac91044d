import Bytes
import IP
import STUN
import SansIO
import Testing

@testable import Relay

/// The client machine of module STUN on this relay, as Culvert's roles use it.
@Suite("The relay and TURNClient")
struct ClientTests {
    @Test("an allocation of both families, data by indication, then under a channel")
    func talk() throws {
        let pair = Pair()
        let (stage, ada) = (pair.stage, pair.add("203.0.113.9:5000", "ada"))
        let peer = endpoint("192.0.2.7:700")
        ada.client.permit(peer.address, at: stage.now)
        pair.settle()
        #expect(ada.client.relayedAddresses.map(\.address.family) == [.ipv4, .ipv6])
        #expect(ada.client.mappedAddresses == [ada.place])
        #expect(ada.client.framing(to: peer) == .indication)
        #expect(pair.send([1, 2, 3], from: ada, to: peer).map(\.bytes) == [[1, 2, 3]])
        let lent = try #require(ada.client.relayedAddresses.first)
        pair.deliver(stage.receive([4, 5], from: peer, to: lent))
        #expect(ada.received == [Indication(peer: peer, data: [4, 5])])
        ada.client.bind(peer, at: stage.now)
        pair.settle()
        guard case .channel = ada.client.framing(to: peer) else {
            Issue.record("no channel")
            return
        }
        #expect(pair.send([6], from: ada, to: peer).map(\.bytes) == [[6]])
        pair.deliver(stage.receive([7], from: peer, to: lent))
        #expect(ada.received.last == Indication(peer: peer, data: [7]))
        #expect(ada.losses.isEmpty)
    }

    @Test("it stands for hours: refreshes, permissions, channels, nonces, and no data are lost")
    func hours() throws {
        let pair = Pair()
        let (stage, ada) = (pair.stage, pair.add("203.0.113.9:5000", "ada"))
        let (framed, plain) = (endpoint("192.0.2.7:700"), endpoint("192.0.2.8:700"))
        ada.client.bind(framed, at: stage.now)
        ada.client.permit(plain.address, at: stage.now)
        pair.settle()
        let lent = try #require(ada.client.relayedAddresses.first)
        for minute in 0..<240 {
            pair.pass(.seconds(60))
            #expect(ada.client.relayedAddresses.first == lent, "minute \(minute)")
            for peer in [framed, plain] {
                #expect(pair.send([1], from: ada, to: peer).count == 1, "minute \(minute)")
                pair.deliver(stage.receive([2], from: peer, to: lent))
            }
        }
        #expect(ada.received.count == 480)
        #expect(ada.losses.isEmpty)
        #expect(stage.counters.staleNonces > 0)
        #expect(stage.counters.answersLimited == 0)
        #expect(stage.allocationCount == 1)
    }

    @Test("credentials that end are replaced, and the allocation stands")
    func renewal() throws {
        let pair = Pair()
        let (stage, ada) = (pair.stage, pair.add("203.0.113.9:5000", "ada", seconds: 900))
        pair.settle()
        let lent = try #require(ada.client.relayedAddresses.first)
        pair.pass(.seconds(600))
        ada.client.update(pair.server("ada", seconds: 7_200), at: stage.now)
        pair.pass(.seconds(3_000))
        #expect(ada.client.relayedAddresses.first == lent)
        #expect(ada.losses.isEmpty)
    }

    @Test("a relay that begins anew is noticed, and the allocation made again")
    func restart() throws {
        let pair = Pair()
        let (stage, ada) = (pair.stage, pair.add("203.0.113.9:5000", "ada"))
        let peer = endpoint("192.0.2.7:700")
        ada.client.bind(peer, at: stage.now)
        pair.pass(.seconds(60))
        stage.relay = Relay(
            configuration: Stage.configuration(),
            random: RandomSource(seed: 99)
        )
        pair.pass(.seconds(600))
        #expect(ada.losses == [.mismatch])
        #expect(pair.send([1], from: ada, to: peer).map(\.bytes) == [[1]])
    }

    @Test("two clients meet inside the relay, each under the other's channel")
    func meeting() throws {
        let pair = Pair()
        let ada = pair.add("203.0.113.9:5000", "ada")
        let bob = pair.add("203.0.113.10:5000", "bob")
        pair.settle()
        let adaAt = try #require(ada.client.relayedAddresses.last)
        let bobAt = try #require(bob.client.relayedAddresses.last)
        ada.client.bind(bobAt, at: pair.stage.now)
        bob.client.bind(adaAt, at: pair.stage.now)
        pair.settle()
        pair.deliver(pair.send([1, 2], from: ada, to: bobAt))
        pair.deliver(pair.send([3], from: bob, to: adaAt))
        #expect(bob.received == [Indication(peer: adaAt, data: [1, 2])])
        #expect(ada.received == [Indication(peer: bobAt, data: [3])])
        #expect(pair.stage.counters.packetsInside == 2)
    }

    @Test("through a bridge, where no datagram gets through")
    func stream() throws {
        let pair = Pair()
        let stage = pair.stage
        let bridge = endpoint("127.0.0.1:41000")
        stage.handle(.streamOpened(bridge: bridge, client: endpoint("203.0.113.9:5000")))
        let ada = pair.add(bridge.description, "ada", endpoints: [])
        ada.client.useStream(Stage.main, at: stage.now)
        let peer = endpoint("192.0.2.7:700")
        ada.client.bind(peer, at: stage.now)
        pair.pass(.seconds(1_800))
        #expect(ada.client.isAllocated)
        #expect(pair.send([1], from: ada, to: peer).map(\.remote) == [peer])
        #expect(stage.closedStreams.isEmpty)
        ada.client.close(at: stage.now)
        pair.settle()
        #expect(stage.allocationCount == 0)
    }
}

/// Clients and a relay without anything between them.
private final class Pair {
    final class Guest {
        let place: Endpoint
        var client: TURNClient
        var received: [Indication] = []
        var losses: [TURNFailure] = []

        init(_ place: Endpoint, _ client: TURNClient) {
            (self.place, self.client) = (place, client)
        }
    }

    let stage = Stage()
    var guests: [Guest] = []

    func server(_ name: String, seconds: UInt64, endpoints: [Endpoint] = [Stage.main]) -> TURNServer
    {
        let end = Stage.unixStart + seconds
        let credentials = SharedSecret(Stage.secret).credentials(for: name, until: end)
        return TURNServer(
            id: "relay",
            endpoints: endpoints,
            username: credentials.username,
            password: credentials.password
        )
    }

    func add(
        _ place: String,
        _ name: String,
        seconds: UInt64 = 86_400,
        endpoints: [Endpoint] = [Stage.main]
    ) -> Guest {
        let guest = Guest(
            endpoint(place),
            TURNClient(
                server: server(name, seconds: seconds, endpoints: endpoints),
                random: RandomSource(seed: UInt64(guests.count + 7)),
                at: stage.now
            )
        )
        guests.append(guest)
        return guest
    }

    /// Until nobody has anything to say.
    func settle() {
        for _ in 0..<100 {
            var isQuiet = true
            for guest in guests {
                while let output = guest.client.pollOutput() {
                    isQuiet = false
                    switch output {
                    case .send(let bytes, to: let server):
                        deliver(stage.receive(bytes, from: guest.place, to: server))
                    case .event(.lost(let failure)): guest.losses.append(failure)
                    case .event: break
                    }
                }
            }
            if isQuiet { return }
        }
        Issue.record("never quiet")
    }

    /// What the relay sent to clients.
    func deliver(_ sent: [Stage.Sent]) {
        for datagram in sent {
            guard let guest = guests.first(where: { $0.place == datagram.remote }) else {
                continue
            }
            let bytes = datagram.bytes.rawSpan
            let received = guest.client.receive(bytes, from: Stage.main, at: stage.now)
            guard case .data(from: let peer, let range) = received else { continue }
            guest.received.append(Indication(peer: peer, data: Array(datagram.bytes[range])))
        }
    }

    /// Data of a client, framed as it says; what left the relay.
    func send(_ data: [UInt8], from guest: Guest, to peer: Endpoint) -> [Stage.Sent] {
        switch guest.client.framing(to: peer) {
        case .unavailable: return []
        case .channel(let number):
            return stage.receive(channelData(number, data), from: guest.place)
        case .indication:
            var writer = STUNWriter(.indication, .send, TransactionID(high: 1, low: 2))
            writer.append(.xorPeerAddress, peer)
            writer.append(.data, data)
            return stage.receive(writer.bytes, from: guest.place)
        }
    }

    /// Time passes from deadline to deadline of all.
    func pass(_ duration: Duration) {
        settle()
        let end = stage.now.advanced(by: duration)
        for _ in 0..<100_000 {
            var next = stage.relay.nextDeadline
            for guest in guests {
                if let other = guest.client.nextDeadline { next = min(next ?? other, other) }
            }
            guard let next, next <= end else { break }
            stage.now = max(stage.now, next)
            stage.relay.advance(to: stage.now, into: &stage.outbox)
            deliver(stage.settle())
            for guest in guests { guest.client.advance(to: stage.now) }
            settle()
        }
        stage.now = end
    }
}
