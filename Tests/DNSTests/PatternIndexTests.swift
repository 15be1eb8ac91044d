import DNS
import SansIO
import Testing

@Suite struct PatternIndexTests {
    /// A slow model: every pattern is tried.
    static func model(_ all: [(NamePattern, Int)], _ name: Name) -> [Int] {
        all.filter { $0.0.matches(name) }.sorted { left, right in
            if left.0.isMoreSpecific(than: right.0) { return true }
            if right.0.isMoreSpecific(than: left.0) { return false }
            return left.1 < right.1
        }.map(\.1)
    }

    @Test func `the index finds what a slow model finds, in the same order`() throws {
        let labels = ["a", "b", "ab", "aab", "c"]
        let parts = labels + ["*", "**", "?", "a*", "*b", "a?", "?*"]
        for seed in 0..<60 as Range<UInt64> {
            var random = RandomSource(seed: seed)
            var index = PatternIndex<Int>()
            var all: [(NamePattern, Int)] = []
            for id in 0..<40 {
                let text = (0...random.below(4)).map { _ in random.pick(parts) }
                let pattern = try pattern(text.joined(separator: "."))
                index.insert(pattern, id)
                all.append((pattern, id))
            }
            for step in 0..<120 {
                if step % 3 == 0, !all.isEmpty {
                    let gone = all.remove(at: random.below(all.count))
                    index.remove(gone.0, gone.1)
                }
                #expect(index.count == all.count)
                let text = (0...random.below(5)).map { _ in random.pick(labels) }
                let name = try name(text.joined(separator: "."))
                let expected = Self.model(all, name)
                #expect(index.matches(of: name) == expected, "seed \(seed): \(name)")
                #expect(index.hasMatch(of: name) == !expected.isEmpty)
            }
        }
    }

    @Test func `what lies below a name is found as by trying names`() throws {
        let labels = ["a", "b", "ab", "c"]
        let parts = labels + ["*", "**", "?", "a*", "*b", "a?", "?*"]
        var below: [[String]] = [[]]
        var last: [[String]] = [[]]
        for _ in 0..<4 {
            last = last.flatMap { tail in labels.map { [$0] + tail } }
            below += last
        }
        for seed in 0..<30 as Range<UInt64> {
            var random = RandomSource(seed: seed)
            var index = PatternIndex<Int>()
            for id in 0..<4 {
                let text = (0...random.below(3)).map { _ in random.pick(parts) } + ["x"]
                index.insert(try pattern(text.joined(separator: ".")), id)
            }
            for _ in 0..<6 {
                let tail = (0..<random.below(3)).map { _ in random.pick(labels) } + ["x"]
                let expected = try below.dropFirst().contains {
                    index.hasMatch(of: try name(($0 + tail).joined(separator: ".")))
                }
                let asked = try name(tail.joined(separator: "."))
                #expect(index.hasPattern(below: asked) == expected, "seed \(seed): \(asked)")
            }
        }
    }

    @Test func `the lower id comes first among equals (the anchor's choice hung on map order)`()
        throws
    {
        var index = PatternIndex<String>()
        for id in ["c", "a", "b"] { index.insert(try pattern("*.example.com"), id) }
        index.insert(try pattern("www.example.com"), "z")
        #expect(index.matches(of: try name("www.example.com")) == ["z", "a", "b", "c"])
        #expect(index.matches(of: try name("example.com")) == ["a", "b", "c"])
    }

    @Test func `the same pair is held once, and one that is not there is not taken away`() throws {
        var index = PatternIndex<Int>()
        let pattern = try pattern("a.b")
        index.insert(pattern, 1)
        index.insert(pattern, 1)
        index.remove(pattern, 2)
        index.remove(try NamePattern("c.b"), 1)
        #expect(index.count == 1)
        index.remove(pattern, 1)
        #expect(index.count == 0)
        #expect(index.matches(of: try name("a.b")).isEmpty)
    }

    @Test func `many stars against a long name end soon`() throws {
        var index = PatternIndex<Int>()
        index.insert(try pattern("**.a.**.a.**.a.**.a.**.a.**.a.**.a.**.b"), 1)
        index.insert(try pattern("a*a*a*a*a*a*a*a*a*a*b.x"), 2)
        let deep = try Name(
            labels: Array(repeating: Array("a".utf8), count: 126) + [Array("b".utf8)]
        )
        #expect(index.matches(of: deep) == [1])
        let wide = try name(String(repeating: "a", count: 63) + ".x")
        #expect(index.matches(of: wide).isEmpty)
    }

    @Test func `the root matches only patterns of any labels`() throws {
        var index = PatternIndex<Int>()
        index.insert(try pattern("**"), 1)
        index.insert(try pattern("*"), 2)
        #expect(index.matches(of: .root) == [1])
    }
}
