import Control
import Policy
import Testing

/// What is believed of who reaches what.
@Suite struct ReachTableTests {
    private let start = WallTime(seconds: 1_800_000_000)

    @Test func `a gateway is passed over for longer each time, and for what lies long back not`() {
        var table = ReachTable()
        var now = start
        var times: [Int64] = []
        for _ in 0..<7 {
            let news1 = table.fail("gw", "git", nil, at: now)
            #expect(news1)
            var seconds: Int64 = 0
            while table.isPassedOver("gw", "git", at: now.advanced(by: seconds)) {
                seconds += 10
            }
            times.append(seconds)
            now = now.advanced(by: seconds)
        }
        #expect(times == [30, 60, 120, 240, 480, 600, 600])
        now = now.advanced(by: 601)
        _ = table.fail("gw", "git", nil, at: now)
        #expect(!table.isPassedOver("gw", "git", at: now.advanced(by: 30)))
    }

    @Test func `what is said again while it is believed is no news, and lasts from then on`() {
        var table = ReachTable()
        let news2 = table.fail("gw", "git", nil, at: start)
        #expect(news2)
        let news3 = table.fail("gw", "git", "no way", at: start.advanced(by: 20))
        #expect(!news3)
        #expect(table.isPassedOver("gw", "git", at: start.advanced(by: 49)))
        #expect(!table.isPassedOver("gw", "git", at: start.advanced(by: 51)))
        #expect(table.unreached(by: "gw", at: start.advanced(by: 30)).map(\.sentence) == ["no way"])
        #expect(!table.isPassedOver("other", "git", at: start))
        #expect(!table.isPassedOver("gw", "lab", at: start))
    }

    @Test func `one that heals is taken again at once, and forgotten when it starts anew`() {
        var table = ReachTable()
        _ = table.fail("gw", "git", nil, at: start)
        table.heal("gw", "git", at: start.advanced(by: 5))
        #expect(!table.isPassedOver("gw", "git", at: start.advanced(by: 6)))
        // It did that before: a little longer than the first time.
        _ = table.fail("gw", "git", nil, at: start.advanced(by: 10))
        #expect(table.isPassedOver("gw", "git", at: start.advanced(by: 65)))
        table.forget("gw")
        #expect(table.count == 0)
    }

    @Test func `no number of resources makes it grow`() {
        var table = ReachTable()
        for number in 0..<5_000 {
            _ = table.fail(
                "gw",
                ResourceID("r\(number)"),
                nil,
                at: start.advanced(by: Int64(number))
            )
        }
        #expect(table.count == ReachTable.Limits.count)
        #expect(table.isPassedOver("gw", "r4999", at: start.advanced(by: 5_000)))
    }
}
