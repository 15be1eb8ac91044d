import Bytes
import IP
import STUN
import SansIO
import Testing

@testable import Relay

@Suite("Clients by TCP and TLS, RFC 8656 section 3.1")
struct StreamTests {
    private let bridge = endpoint("127.0.0.1:40000")
    private let client = endpoint("203.0.113.9:5000")

    private func visitor(_ stage: Stage) -> Visitor {
        stage.handle(.streamOpened(bridge: bridge, client: client))
        let visitor = Visitor(stage, at: bridge.description)
        visitor.local = endpoint("127.0.0.1:3478")
        return visitor
    }

    @Test("the client's own address is told, and all goes by the bridge")
    func mapped() {
        let stage = Stage()
        let visitor = visitor(stage)
        let answer = visitor.allocate()
        #expect(answer?.mapped == client)
        #expect(Answer(visitor.send(visitor.bare(.binding).bytes).first)?.mapped == client)
        let peer = endpoint("192.0.2.7:700")
        visitor.bind(0x4000, peer)
        #expect(visitor.channel(0x4000, [1]).map(\.remote) == [peer])
        let lent = answer?.relayed.first ?? .unspecified
        let back = stage.receive([2], from: peer, to: lent)
        #expect(back.map(\.remote) == [bridge])
        #expect(back.map(\.bytes) == [channelData(0x4000, [2])])
        #expect(stage.relay.status(at: stage.now).allocations.first?.isStream == true)
    }

    @Test("the allocation ends with its connection")
    func closed() {
        let stage = Stage()
        let visitor = visitor(stage)
        visitor.allocate()
        stage.handle(.streamClosed(bridge: bridge))
        #expect(stage.allocationCount == 0)
        #expect(stage.ports.isEmpty)
        #expect(stage.events.last == .ended(client: client, name: "ada", .streamClosed))
        stage.handle(.streamClosed(bridge: bridge))
        stage.handle(.streamOpened(bridge: bridge, client: endpoint("203.0.113.77:1")))
        visitor.nonce = []
        #expect(visitor.allocate()?.mapped == endpoint("203.0.113.77:1"))
    }

    @Test("a connection that closes while its port is being opened leaves no port behind")
    func closedWhileOpening() {
        let stage = Stage()
        let visitor = visitor(stage)
        visitor.challenge()
        stage.answersPorts = false
        visitor.allocate()
        guard case .open(let port, ipv4: _, ipv6: _) = stage.requested.first else {
            Issue.record("no port was asked for")
            return
        }
        stage.handle(.streamClosed(bridge: bridge))
        #expect(stage.requested.count == 1)
        #expect(stage.handle(.portOpened(port)).isEmpty)
        #expect(stage.requested.last == .close(port))
    }

    @Test("a connection without allocation is ended after a minute, before or after one")
    func idle() {
        let stage = Stage()
        let visitor = visitor(stage)
        stage.pass(.seconds(59))
        #expect(visitor.allocate()?.isSuccess == true)
        stage.pass(.seconds(300))
        #expect(stage.closedStreams.isEmpty)
        visitor.refresh(0)
        stage.pass(.seconds(60) - .nanoseconds(1))
        #expect(stage.closedStreams.isEmpty)
        stage.pass(.nanoseconds(1))
        #expect(stage.closedStreams == [bridge])
    }

    @Test("connections are bounded: one too many is ended")
    func bounded() {
        let stage = Stage()
        for number in 0..<Relay.Limits.streams {
            let bridge = Endpoint(IPAddress(ipv4: 0x7f00_0002), port: UInt16(number + 1))
            stage.handle(.streamOpened(bridge: bridge, client: client))
        }
        #expect(stage.closedStreams.isEmpty)
        stage.handle(.streamOpened(bridge: bridge, client: client))
        #expect(stage.closedStreams == [bridge])
    }

    @Test("a stop closes ports and connections, then says that it is done")
    func shutdown() {
        let stage = Stage()
        let visitor = visitor(stage)
        visitor.allocate()
        Visitor(stage).allocate()
        let sent = stage.handle(.shutdown)
        #expect(sent.isEmpty, "nobody is told")
        #expect(stage.ports.isEmpty)
        #expect(stage.closedStreams == [bridge])
        #expect(stage.isFinished)
        #expect(stage.relay.nextDeadline == nil)
        #expect(visitor.send(visitor.bare(.binding).bytes).isEmpty)
        #expect(stage.batch.indices.isEmpty)
    }
}
