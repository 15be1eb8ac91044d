import Bytes
import Control
import IP
import Peering
import RelayUse
import SansIO
import Testing

/// What a role keeps of the relays that the portal deals.
@Suite struct DealtRelaysTests {
    private static func relay(_ id: RelayID) -> RelayForRole {
        RelayForRole(
            id: id,
            udp: [],
            tcp: [],
            tls: [Endpoint(IPAddress(ipv4: 0xcb00_7101), port: 443)],
            username: "1800000000:client",
            password: "secret",
            lifetimeSeconds: 3600
        )
    }

    private static func second(_ count: UInt64) -> Instant {
        Instant(nanoseconds: count * 1_000_000_000)
    }

    @Test("the stream to a relay that is dealt no more ends after 30 s, since it may be in use")
    func leaves() {
        var relays = DealtRelays()
        _ = relays.take([Self.relay("a"), Self.relay("b")], at: Self.second(0))
        #expect(relays.wantStream(to: "a")?.id == "a")
        #expect(relays.wantStream(to: "a") == nil)
        _ = relays.take([Self.relay("b")], at: Self.second(10))
        #expect(relays.isKnown("a"))
        #expect(relays.popLeft(at: Self.second(39)) == nil)
        #expect(relays.popLeft(at: Self.second(40)) == "a")
        #expect(!relays.isKnown("a"))
        #expect(relays.popLeft(at: Self.second(40)) == nil)
    }

    @Test("a relay that was missing for a moment keeps its stream")
    func returns() {
        var relays = DealtRelays()
        _ = relays.take([Self.relay("a")], at: Self.second(0))
        _ = relays.wantStream(to: "a")
        _ = relays.take([], at: Self.second(10))
        _ = relays.take([Self.relay("a")], at: Self.second(11))
        #expect(relays.popLeft(at: Self.second(60)) == nil)
        // The host still has it.
        #expect(relays.wantStream(to: "a") == nil)
    }

    @Test("a stream to a relay that came back or moved is made anew at once, one in use is not")
    func anew() {
        var relays = DealtRelays()
        #expect(relays.take([Self.relay("a"), Self.relay("b")], at: Self.second(0)).isEmpty)
        for id in ["a", "b"] as [RelayID] { _ = relays.wantStream(to: id) }
        relays.noteStream(to: "a", stands: true)
        relays.noteStream(to: "b", stands: true)
        relays.noteStream(to: "b", stands: false)
        #expect(relays.take([], at: Self.second(10)).isEmpty)
        let back = relays.take([Self.relay("a"), Self.relay("b")], at: Self.second(11))
        #expect(back.map(\.id) == ["b"])
        #expect(relays.take([Self.relay("b"), Self.relay("a")], at: Self.second(12)).isEmpty)
        var moved = Self.relay("a")
        moved.tlsFingerprint = String(repeating: "ab", count: 32)
        #expect(relays.take([moved, Self.relay("b")], at: Self.second(13)) == [moved])
    }

    @Test("times are waited for once; later ones are looked at by whatever wakes us")
    func times() {
        var relays = DealtRelays()
        _ = relays.take([Self.relay("a")], at: Self.second(0))
        #expect(relays.nextDeadline == Self.second(1))
        #expect(relays.areTimesDue(at: Self.second(1)))
        var status = RelayStatus(id: "a")
        status.roundTrip = .milliseconds(20)
        let times = relays.newTimes([status], at: Self.second(1), isTold: true)
        #expect(times?.map(\.milliseconds) == [20])
        #expect(relays.nextDeadline == nil)
        #expect(!relays.areTimesDue(at: Self.second(30)))
        #expect(relays.areTimesDue(at: Self.second(31)))
        // What hardly changed is no news.
        status.roundTrip = .milliseconds(23)
        #expect(relays.newTimes([status], at: Self.second(31), isTold: true) == nil)
        status.roundTrip = .milliseconds(60)
        #expect(relays.newTimes([status], at: Self.second(61), isTold: true)?.count == 1)
    }
}
