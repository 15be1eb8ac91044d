import Foundation
import Lab
import Testing

extension EndToEnd {
    @Suite("WireGuard with wireguard-go at the other end")
    struct WireGuardInteroperabilityTests {
        struct Case: Sendable {
            let name: String
            let weInitiate: Bool
            let presharedKey: Bool

            func pair() throws -> TunnelPair {
                let ours = TunnelPair.Kind.ours(executable: executable)
                return try TunnelPair(
                    name: name,
                    left: weInitiate ? ours : .wireGuardGo,
                    right: weInitiate ? .wireGuardGo : ours,
                    presharedKey: presharedKey
                )
            }
        }

        /// Side by side, since the three minutes are mostly waiting for the rekey.
        static let cases = [
            Case(name: "cvwg1", weInitiate: true, presharedKey: false),
            Case(name: "cvwg2", weInitiate: true, presharedKey: true),
            Case(name: "cvwg3", weInitiate: false, presharedKey: false),
            Case(name: "cvwg4", weInitiate: false, presharedKey: true),
        ]

        @Test(
            "as initiator and responder, with and without preshared key: 1 GB each, 3 min, a rekey",
            .timeLimit(.minutes(8))
        )
        func everyRole() throws {
            let folder = NSTemporaryDirectory() + "culvert-interoperability-\(getpid())"
            try FileManager.default.createDirectory(
                atPath: folder,
                withIntermediateDirectories: true
            )
            defer { try? FileManager.default.removeItem(atPath: folder) }
            let file = folder + "/gigabyte"
            try Lab.must([
                "dd", "if=/dev/urandom", "of=\(file)", "bs=1M", "count=1000", "status=none",
            ])
            let sum = try Lab.must(["sha256sum", file], seconds: 60).prefix(64)

            var pairs: [TunnelPair] = []
            defer { for pair in pairs { pair.network.remove() } }
            for row in Self.cases { pairs.append(try row.pair()) }
            let began = Date.now.timeIntervalSince1970
            let pings = try pairs.map { pair in
                try pair.left.start(
                    "ping",
                    ["ping", "-n", "-D", "-i", "0.5", "-c", "380", pair.rightInside]
                )
            }
            for (row, pair) in zip(Self.cases, pairs) {
                let port = "8000"
                let server = try pair.right.start(
                    "http",
                    [
                        "python3", "-m", "http.server", port, "--bind", pair.rightInside, "-d",
                        folder,
                    ]
                )
                let listens = try Lab.waits(seconds: 10) {
                    try pair.right.run("ss", "-Hltn").output.contains(":\(port)")
                }
                #expect(listens, "\(server.output)")
                let fetch = "curl -sS http://\(pair.rightInside):\(port)/gigabyte | sha256sum"
                let outcome = try pair.left.run("bash", "-c", fetch, seconds: 120)
                #expect(outcome.output.contains(sum), "\(row.name): \(outcome.output)")
                server.stop()
            }
            for (row, ping) in zip(Self.cases, pings) {
                #expect(ping.wait(seconds: 240), "\(row.name)")
                // A transfer overruns wireguard-go's queues, so only what comes after all of them
                // counts: from 110 s on, the rekey at 120 s with it.
                let lost = Set(220...380).subtracting(answered(ping.output)).sorted()
                #expect(lost.isEmpty, "\(row.name): \(lost) \(ping.output.suffix(300))")
            }
            for (row, pair) in zip(Self.cases, pairs) {
                let theirs = row.weInitiate ? pair.right : pair.left
                let last = try theirs.must("wg", "show", "all", "latest-handshakes")
                    .split(whereSeparator: \.isWhitespace).last.flatMap { Double($0) }
                #expect(try #require(last) - began > 100, "\(row.name) made no new handshake")
            }
        }

        /// The sequence numbers that `ping` got answers to.
        private func answered(_ output: String) -> Set<Int> {
            Set(
                output.matches(of: #/icmp_seq=(\d+) ttl/#).compactMap { Int($0.1) }
            )
        }
    }
}
