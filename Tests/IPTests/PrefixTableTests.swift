@testable import IP
import SansIO
import Testing

@Suite("PrefixTable")
struct PrefixTableTests {
    /// The slow model: a list.
    struct Model {
        var entries: [(prefix: IPPrefix, value: Int)] = []

        mutating func insert(_ value: Int, for prefix: IPPrefix) -> Int? {
            let old = remove(prefix)
            entries.append((prefix, value))
            return old
        }

        mutating func remove(_ prefix: IPPrefix) -> Int? {
            guard let index = entries.firstIndex(where: { $0.prefix == prefix }) else { return nil }
            return entries.remove(at: index).value
        }

        func matches(_ address: IPAddress) -> [(prefix: IPPrefix, value: Int)] {
            entries.filter { $0.prefix.contains(address) }
                .sorted { $0.prefix.bitCount > $1.prefix.bitCount }
        }

        var sorted: [(prefix: IPPrefix, value: Int)] {
            entries.sorted {
                let (one, other) = ($0.prefix, $1.prefix)
                guard one.family == other.family else { return one.family == .ipv4 }
                return (one.address, one.bitCount) < (other.address, other.bitCount)
            }
        }
    }

    @Test("random inserts and removals match as a list of all prefixes does")
    func model() {
        for seed in 0..<20 {
            var random = RandomSource(seed: UInt64(seed))
            var (table, model) = (PrefixTable<Int>(), Model())
            for step in 0..<400 {
                let prefix = Self.prefix(&random)
                if Int.random(in: 0..<3, using: &random) > 0 {
                    #expect(table.insert(step, for: prefix) == model.insert(step, for: prefix))
                } else {
                    let victim =
                        Bool.random(using: &random)
                        ? model.entries.randomElement(using: &random)?.prefix ?? prefix : prefix
                    #expect(table.remove(victim) == model.remove(victim))
                }
                let address = Self.address(&random)
                let (found, expected) = (table.matches(address), model.matches(address))
                #expect(found.map(\.prefix) == expected.map(\.prefix), "seed \(seed) step \(step)")
                #expect(found.map(\.value) == expected.map(\.value))
                #expect(table.value(for: address) == expected.first?.value)
                #expect(table.longestMatch(address)?.prefix == expected.first?.prefix)
                let even = table.longestMatch(address) { _, value in value.isMultiple(of: 2) }
                #expect(even?.value == expected.first { $0.value.isMultiple(of: 2) }?.value)
                #expect(table.count == model.entries.count)
            }
            #expect(table.entries.map(\.prefix) == model.sorted.map(\.prefix), "seed \(seed)")
            #expect(table.entries.map(\.value) == model.sorted.map(\.value))
            for entry in model.entries { #expect(table[entry.prefix] == entry.value) }
            for entry in model.entries { table[entry.prefix] = nil }
            #expect(table.isEmpty && table.entries.isEmpty)
        }
    }

    @Test("the default routes of the two families are apart")
    func families() throws {
        var table = PrefixTable<String>()
        table.insert("six", for: try #require(IPPrefix("::/0")))
        #expect(table.value(for: Sample.client4) == nil)
        table.insert("four", for: try #require(IPPrefix("0.0.0.0/0")))
        #expect(table.value(for: Sample.client4) == "four")
        #expect(table.value(for: Sample.client6) == "six")
        #expect(table.entries.map(\.value) == ["four", "six"])
    }

    @Test("prefixes of every length hold one another")
    func nested() throws {
        for family in IPFamily.allCases {
            var table = PrefixTable<Int>()
            let address = Sample.server(family)
            for bits in (0...family.bitCount).shuffled() {
                table.insert(bits, for: try #require(IPPrefix(address, bitCount: bits)))
            }
            #expect(table.matches(address).map(\.value) == (0...family.bitCount).reversed())
            #expect(table.longestMatch(address) { prefix, _ in prefix.bitCount < 9 }?.value == 8)
        }
    }

    @Test("a removed network leaves no node behind")
    func nodes() {
        var random = RandomSource(seed: 8)
        var (trie, held) = (PrefixTrie(), [Int]())
        for _ in 0..<3000 {
            if Bool.random(using: &random), let index = held.indices.randomElement(using: &random) {
                trie.remove(held.remove(at: index))
            } else {
                let node = trie.insert(Self.prefix(&random))
                if !held.contains(node) { held.append(node) }
            }
            #expect(trie.nodeCount <= max(0, 2 * held.count))
        }
        for node in held { trie.remove(node) }
        #expect(trie.nodeCount == 0)
    }

    /// Few bits differ, so that prefixes nest and share.
    private static func address(_ random: inout RandomSource) -> IPAddress {
        let word = random.next()
        if word & 1 == 0 { return IPAddress(ipv4: 0x0a00_0000 | UInt32(word >> 32) & 0x8003_0f0f) }
        return IPAddress(high: 0xfd00 << 48 | word & 0xf00f, low: word >> 8 & 0xf000_0000_0000_000f)
    }

    private static func prefix(_ random: inout RandomSource) -> IPPrefix {
        let address = address(&random)
        let bits = Int.random(in: 0...address.family.bitCount, using: &random)
        return IPPrefix(address, bitCount: bits) ?? IPPrefix(host: address)
    }
}
