import Bytes
import Control
import SansIO
import Testing

@Suite("Parts of a session")
struct SessionTests {
    @Test("revisions in order are applied, repeated ones ignored")
    func inOrder() {
        var tracker = RevisionTracker()
        tracker.welcome(instance: "a", revision: 7)
        #expect(tracker.changes(to: 8) == .apply)
        #expect(tracker.changes(to: 8) == .ignore)
        #expect(tracker.changes(to: 7) == .ignore)
        #expect(tracker.changes(to: 9) == .apply)
        #expect(tracker.revision == 9)
    }

    @Test("after a gap everything is ignored until welcome, which is asked for once")
    func gap() {
        var tracker = RevisionTracker()
        tracker.welcome(instance: "a", revision: 7)
        #expect(tracker.changes(to: 9) == .resync(reason: "revision 9 came after 7"))
        #expect(tracker.changes(to: 8) == .ignore)
        #expect(tracker.changes(to: 10) == .ignore)
        #expect(tracker.unreadable() == .ignore)
        tracker.welcome(instance: "b", revision: 3)
        #expect(tracker.changes(to: 4) == .apply)
        #expect(tracker.instance == "b")
    }

    @Test("a reconnect goes on from the last revision, unless something was missed")
    func reconnect() {
        var tracker = RevisionTracker()
        #expect(tracker.changes(to: 1) == .resync(reason: "changes came before the first welcome"))
        tracker.welcome(instance: "a", revision: 7)
        tracker.reconnected()
        #expect(tracker.changes(to: 8) == .apply)
        #expect(tracker.unreadable() == .resync(reason: "a message could not be read"))
        tracker.reconnected()
        #expect(tracker.revision == nil)
        #expect(tracker.instance == nil)
    }

    @Test("delays grow by half, ± 50 %, to a minute, and start again after a success")
    func backoff() {
        var random = RandomSource(seed: 1)
        for _ in 0..<200 {
            var backoff = Backoff()
            var middle = 0.5
            for _ in 0..<40 {
                let delay = backoff.delay(using: &random) / .seconds(1)
                #expect(delay >= middle * 0.499 && delay <= min(middle * 1.501, 60))
                middle = min(middle * 1.5, 60)
            }
            backoff.reset()
            #expect(backoff.delay(using: &random) <= .milliseconds(750))
        }
    }

    @Test("what the portal asks for is obeyed, within an hour")
    func retryAfter() {
        var random = RandomSource(seed: 2)
        for _ in 0..<200 {
            var backoff = Backoff()
            let delay = backoff.delay(retryAfter: .seconds(20), using: &random)
            #expect(delay >= .seconds(20) && delay <= .seconds(25))
            let year = backoff.delay(retryAfter: .seconds(31_536_000), using: &random)
            #expect(year <= .seconds(4_500))
            #expect(backoff.delay(retryAfter: .seconds(-5), using: &random) > .zero)
        }
    }

    @Test("the same request again gets the same answer; the oldest is forgotten first")
    func answers() {
        var cache = AnswerCache<RequestID, Int>(countMax: 2)
        func word(_ lookup: AnswerCache<RequestID, Int>.Lookup) -> String {
            switch lookup {
            case .new: "new"
            case .underWay: "under way"
            case .answered(let answer): "\(answer)"
            }
        }
        #expect(word(cache.begin("a")) == "new")
        #expect(word(cache.begin("a")) == "under way")
        cache.finish("a", with: 1)
        #expect(word(cache.begin("a")) == "1")
        #expect(word(cache.begin("b")) == "new")
        #expect(word(cache.begin("c")) == "new")
        cache.finish("a", with: 2)
        #expect(cache.count == 2)
        #expect(word(cache.begin("a")) == "new")
        #expect(word(cache.begin("c")) == "under way")
        #expect(word(cache.begin("b")) == "new")
    }

    @Test("three pings without an answer end a connection, whatever else is late")
    func heartbeat() {
        var now = Instant(nanoseconds: 0)
        var heartbeat = Heartbeat(interval: .seconds(10), at: now)
        var actions: [Heartbeat.Action] = []
        for _ in 0..<4 {
            #expect(heartbeat.advance(to: now) == nil)
            now = heartbeat.nextDeadline.advanced(by: .seconds(1))
            if let action = heartbeat.advance(to: now) { actions.append(action) }
        }
        #expect(actions == [.ping, .ping, .ping, .close])
        heartbeat.heard()
        heartbeat.setInterval(.seconds(3), at: now)
        #expect(heartbeat.nextDeadline == now.advanced(by: .seconds(3)))
        #expect(heartbeat.advance(to: heartbeat.nextDeadline) == .ping)
    }

    @Test("a hastened ping that is not answered within a second ends a connection")
    func hastened() {
        let now = Instant(nanoseconds: 0)
        var heartbeat = Heartbeat(interval: .seconds(10), at: now)
        heartbeat.hasten(at: now)
        #expect(heartbeat.advance(to: now) == .ping)
        heartbeat.heard()
        #expect(heartbeat.advance(to: now.advanced(by: .seconds(1))) == nil)
        heartbeat.hasten(at: now)
        // Again and again does not put the end off.
        heartbeat.hasten(at: now.advanced(by: .milliseconds(500)))
        #expect(heartbeat.advance(to: now.advanced(by: .milliseconds(500))) == .ping)
        #expect(heartbeat.nextDeadline == now.advanced(by: .seconds(1)))
        #expect(heartbeat.advance(to: now.advanced(by: .seconds(1))) == .close)
    }

    @Test("a frame is measured before it is decoded")
    func depth() throws {
        func check(_ text: String) throws(JSONDepth.Refusal) {
            try JSONDepth.check(Array(text.utf8).rawSpan)
        }
        let deep = String(repeating: "[", count: 32)
        try check(deep + String(repeating: "]", count: 32))
        try check(#"{"a":"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[\"[[[","b":"\\"}"#)
        try check(#"{"a":"\""# + deep + deep + #""}"#)
        try check(String(repeating: "[]", count: 1_000) + "]]]]")
        #expect(throws: JSONDepth.Refusal.tooDeep(offset: 32)) { try check(deep + "{") }
        #expect(throws: JSONDepth.Refusal.tooDeep(offset: 36)) { try check(#""\\""# + deep + "[") }
        #expect(throws: JSONDepth.Refusal.tooLarge(byteCount: 1_048_577)) {
            try check(String(repeating: " ", count: 1_048_577))
        }
    }
}
