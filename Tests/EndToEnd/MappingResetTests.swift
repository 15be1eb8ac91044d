import Foundation
import Lab
import Testing

extension EndToEnd {
    @Suite("The client's router forgets its NAT mapping")
    struct MappingResetTests {
        @Test(
            "a download goes on within 1 s on the same connection, with no DNS query",
            .timeLimit(.minutes(3)),
            arguments: [Router.Mapping.preserving, .symmetric]
        )
        func download(mapping: Router.Mapping) throws {
            let demo = try RunningDemo("cvnat", mapping: mapping, ipv6: false)
            defer { demo.remove() }
            let (ada, site) = (demo.world.ada, demo.world.site)
            let big = "\(site.folder)/git.corp.example/big"
            try site.run("dd", "if=/dev/urandom", "of=\(big)", "bs=1M", "count=32", "status=none")
            let sum = try site.must("sha256sum", big).prefix(64)
            let copy = "\(ada.folder)/copy"
            let download = try ada.start(
                "download",
                [
                    "curl", "-4", "-sS", "--limit-rate", "3M", "-o", copy,
                    "http://git.corp.example/big",
                ]
            )
            let ping = try ada.start(
                "ping",
                ["ping", "-4", "-n", "-D", "-i", "0.1", "git.corp.example"]
            )
            try ping.waitForOutput("bytes from")
            let queries = try #require(ClientStatus(of: ada, roles).queries)
            for _ in 0..<3 {
                let seen = ping.output.count
                try demo.world.home.resetMappings(renumbers: true)
                let goesOn = Lab.waits(seconds: 5) {
                    ping.output.dropFirst(seen).split(separator: "\n").count > 10
                }
                #expect(goesOn, "\(demo.logs)")
            }
            #expect(download.wait(seconds: 30), "the download hangs: \(demo.logs)")
            #expect(download.code == 0, "\(download.output)")
            #expect(try ada.must("sha256sum", copy).prefix(64) == sum)
            #expect(ClientStatus(of: ada, roles).queries == queries)
            let gap = longestGap(ping.output)
            #expect(gap <= 1, "no answer for \(gap) s")
        }

        /// The longest time between two answers of `ping -D`, in seconds.
        private func longestGap(_ output: String) -> Double {
            let times = output.split(separator: "\n").compactMap { line -> Double? in
                guard line.contains("bytes from"), line.hasPrefix("[") else { return nil }
                return Double(line.dropFirst().prefix { $0 != "]" })
            }
            return zip(times, times.dropFirst()).map { $1 - $0 }.max() ?? .infinity
        }
    }
}
