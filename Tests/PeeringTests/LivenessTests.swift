import SansIO
import Testing

@testable import Peering

@Suite("Whether a peer still hears us")
struct LivenessTests {
    static func time(_ milliseconds: Int) -> Instant {
        Instant(nanoseconds: 1_000_000_000).advanced(by: .milliseconds(milliseconds))
    }

    /// What is due at that time, until nothing is.
    static func due(_ liveness: inout Liveness, _ milliseconds: Int) -> [Liveness.Due] {
        var all: [Liveness.Due] = []
        for _ in 0..<8 {
            guard let next = liveness.popDue(at: time(milliseconds), roundTrip: nil) else { break }
            all.append(next)
        }
        return all
    }

    @Test("silence is asked about, becomes distress, and after two seconds the peer is lost")
    func silence() {
        var liveness = Liveness(.client)
        _ = liveness.sentTraffic(at: Self.time(0))
        #expect(Self.due(&liveness, 125) == [.ask])
        #expect(Self.due(&liveness, 250) == [.distress])
        var lostAt: Int?
        for now in stride(from: 260, to: 3_000, by: 10) where lostAt == nil {
            if Self.due(&liveness, now).contains(.lost) { lostAt = now }
        }
        #expect(lostAt == 2_000)
    }

    @Test(
        "what could not be heard in one's sleep is no silence",
        arguments: [[], [125], [125, 250], [125, 250, 350, 450]]
    )
    func sleep(looks: [Int]) {
        var liveness = Liveness(.client)
        _ = liveness.sentTraffic(at: Self.time(0))
        for look in looks { _ = Self.due(&liveness, look) }
        #expect(!Self.due(&liveness, 60_000).contains(.lost))
        #expect(!Self.due(&liveness, 61_500).contains(.lost))
    }

    @Test("what is heard by another path does not answer for the chosen one")
    func heardElsewhere() {
        var liveness = Liveness(.client)
        _ = liveness.sentTraffic(at: Self.time(0))
        _ = liveness.heard(isTraffic: false, isByChosenPath: false, at: Self.time(100))
        _ = liveness.sentTraffic(at: Self.time(110))
        #expect(Self.due(&liveness, 125) == [.ask])
        #expect(Self.due(&liveness, 250) == [.distress])
    }

    @Test("a peer that is heard by another path after it was asked is not silent")
    func heardElsewhereLater() {
        var liveness = Liveness(.client)
        _ = liveness.sentTraffic(at: Self.time(0))
        #expect(Self.due(&liveness, 125) == [.ask])
        _ = liveness.heard(isTraffic: false, isByChosenPath: false, at: Self.time(200))
        #expect(Self.due(&liveness, 250).isEmpty)
    }
}
