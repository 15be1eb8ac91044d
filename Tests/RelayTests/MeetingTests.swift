import Bytes
import IP
import STUN
import SansIO
import Testing

@testable import Relay

@Suite("Two clients of one relay")
struct MeetingTests {
    private let stage = Stage()

    private func allocated(_ place: String, _ name: String) -> (Visitor, [Endpoint]) {
        let visitor = Visitor(stage, at: place, name: name)
        let answer = visitor.allocate { $0.append(.additionalAddressFamily, IPFamily.ipv6) }
        return (visitor, answer?.relayed ?? [])
    }

    @Test("their data never touch a socket, in both families", arguments: [0, 1])
    func meet(family: Int) {
        let (ada, adaAt) = allocated("203.0.113.9:5000", "ada")
        let (bob, bobAt) = allocated("[2001:db8:7::1]:5000", "bob")
        ada.bind(0x4000, bobAt[family])
        #expect(ada.channel(0x4000, [1]).isEmpty, "bob has not let her in")
        #expect(stage.counters.noPermission == 1)
        bob.permit(adaAt[family])
        let first = ada.channel(0x4000, [1, 2])
        #expect(Indication(first.last) == Indication(peer: adaAt[family], data: [1, 2]))
        #expect(first.map(\.remote) == [bob.endpoint])
        #expect(first.map(\.local) == [Endpoint(Stage.mainIPv6.address, port: 0)])
        bob.bind(0x4abc, adaAt[family])
        let framed = ada.channel(0x4000, [3])
        #expect(framed.map(\.bytes) == [channelData(0x4abc, [3])])
        let back = bob.indicate([4], to: adaAt[family])
        #expect(back.map(\.bytes) == [channelData(0x4000, [4])])
        #expect(back.map(\.remote) == [ada.endpoint])
        #expect(stage.counters.packetsInside == 3)
    }

    @Test("ECN is carried, equal sizes stay one run, and both credentials pay")
    func burst() {
        let (ada, adaAt) = allocated("203.0.113.9:5000", "ada")
        let (bob, bobAt) = allocated("203.0.113.10:5000", "bob")
        ada.bind(0x4000, bobAt[0])
        bob.bind(0x4001, adaAt[0])
        let framed = channelData(0x4000, [UInt8](repeating: 1, count: 1_000))
        stage.hold(
            Array((0..<30).map { _ in framed }.joined()),
            from: ada.endpoint,
            segmentByteCount: framed.count,
            ecn: 2
        )
        _ = stage.relay.receive(
            stage.batch,
            from: .network,
            at: stage.now,
            into: &stage.outbox
        )
        #expect(stage.outbox.runCount == 1)
        #expect(stage.outbox.run(0).count == 30)
        #expect(stage.outbox.run(0).ecn == 2)
        let status = stage.relay.status(at: stage.now)
        #expect(status.allocations.map(\.bytesToPeers) == [30_000, 0])
        #expect(status.allocations.map(\.bytesToClient) == [0, 30_000])
    }

    @Test("when one goes, the other's data go nowhere, not to who has the port next")
    func gone() {
        let (ada, adaAt) = allocated("203.0.113.9:5000", "ada")
        let (bob, bobAt) = allocated("203.0.113.10:5000", "bob")
        ada.bind(0x4000, bobAt[0])
        bob.permit(adaAt[0])
        #expect(ada.channel(0x4000, [1]).count == 1)
        bob.refresh(0)
        #expect(ada.channel(0x4000, [1]).isEmpty)
        #expect(stage.counters.ownAddress == 1)
    }
}
