import DNS
import Gateway
import Testing

@Suite struct ResolverOptionsReading {
    @Test func `what resolv.conf says of search and options is taken over`() {
        let options = ResolverOptions(
            search: ["corp.example", "not..a.name", "lab.example."],
            words: ["ndots:2", "timeout:1", "attempts:3", "rotate", "edns0", "trust-ad"]
        )
        #expect(options.search.map(\.description) == ["corp.example", "lab.example"])
        #expect(options.dots == 2)
        #expect(options.timeoutSeconds == 1)
        #expect(options.attempts == 3)
        #expect(options.rotates)
    }

    @Test func `numbers keep within the bounds of glibc, and nonsense changes nothing`() {
        let large = ResolverOptions(search: [], words: ["ndots:99", "timeout:99", "attempts:99"])
        #expect(large.dots == 15)
        #expect(large.timeoutSeconds == 30)
        #expect(large.attempts == 5)
        let small = ResolverOptions(search: [], words: ["ndots:-1", "timeout:0", "attempts:0"])
        #expect(small.dots == 0)
        #expect(small.timeoutSeconds == 1)
        #expect(small.attempts == 1)
        let words = ["ndots", "ndots:x", "timeout:", ":", "rotate:1", ""]
        #expect(ResolverOptions(search: ["."], words: words) == ResolverOptions())
    }
}
