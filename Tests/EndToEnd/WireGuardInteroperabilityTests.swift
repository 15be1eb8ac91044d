import Foundation
import Lab
import Testing

extension EndToEnd {
    /// Begun by whoever comes first, since it mostly waits, and judged by its own test.
    static let wireGuardRounds = Beside { try WireGuardRounds().run() }

    @Suite("WireGuard with wireguard-go at the other end")
    struct WireGuardInteroperabilityTests {
        @Test(
            "as initiator and responder, with and without preshared key: 1 GB each, 3 min, a rekey",
            .timeLimit(.minutes(8))
        )
        func everyRole() async throws {
            let faults = try await wireGuardRounds.value
            #expect(faults.isEmpty, "\(faults.joined(separator: "\n"))")
        }
    }

    /// Transfers and pings between ours and wireguard-go, in both roles.
    struct WireGuardRounds {
        private struct Round {
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
        private static let rounds = [
            Round(name: "cvwg1", weInitiate: true, presharedKey: false),
            Round(name: "cvwg2", weInitiate: true, presharedKey: true),
            Round(name: "cvwg3", weInitiate: false, presharedKey: false),
            Round(name: "cvwg4", weInitiate: false, presharedKey: true),
        ]

        /// - Returns: What went wrong, in words; empty when nothing did.
        func run() throws -> [String] {
            let folder = NSTemporaryDirectory() + "culvert-interoperability-\(getpid())"
            try FileManager.default.createDirectory(
                atPath: folder,
                withIntermediateDirectories: true
            )
            defer { try? FileManager.default.removeItem(atPath: folder) }
            var pairs: [(round: Round, pair: TunnelPair)] = []
            defer { for (_, pair) in pairs { pair.network.remove() } }
            for round in Self.rounds { pairs.append((round, try round.pair())) }
            let began = Date.now.timeIntervalSince1970
            let pings = try pairs.map { _, pair in
                try pair.left.start(
                    "ping",
                    ["ping", "-n", "-D", "-i", "0.5", "-c", "380", pair.rightInside]
                )
            }
            var faults = try transfer(folder, pairs)
            for ((round, _), ping) in zip(pairs, pings) {
                guard ping.wait(seconds: 240) else {
                    faults.append("\(round.name): ping does not end")
                    continue
                }
                // A transfer overruns wireguard-go's queues, so only what comes after all of them
                // counts: from 110 s on, the rekey at 120 s with it.
                let lost = Set(220...380).subtracting(answered(ping.output)).sorted()
                guard !lost.isEmpty else { continue }
                faults.append("\(round.name): lost \(lost) \(ping.output.suffix(300))")
            }
            for (round, pair) in pairs {
                let theirs = round.weInitiate ? pair.right : pair.left
                let last = try theirs.must("wg", "show", "all", "latest-handshakes")
                    .split(whereSeparator: \.isWhitespace).last.flatMap { Double($0) }
                guard let last, last - began > 100 else {
                    faults.append("\(round.name) made no new handshake")
                    continue
                }
            }
            return faults
        }

        /// A gigabyte through each, checked by its hash.
        private func transfer(
            _ folder: String,
            _ pairs: [(round: Round, pair: TunnelPair)]
        ) throws -> [String] {
            let file = folder + "/gigabyte"
            try Lab.must([
                "dd", "if=/dev/urandom", "of=\(file)", "bs=1M", "count=1000", "status=none",
            ])
            let sum = try Lab.must(["sha256sum", file], seconds: 60).prefix(64)
            return try pairs.compactMap { round, pair in
                let port = "8000"
                let server = try pair.right.start(
                    "http",
                    [
                        "python3", "-m", "http.server", port, "--bind", pair.rightInside, "-d",
                        folder,
                    ]
                )
                defer { server.stop() }
                let listens = try Lab.waits(seconds: 10) {
                    try pair.right.run("ss", "-Hltn").output.contains(":\(port)")
                }
                guard listens else { return "\(round.name): \(server.output)" }
                let fetch = "curl -sS http://\(pair.rightInside):\(port)/gigabyte | sha256sum"
                let outcome = try pair.left.run("bash", "-c", fetch, seconds: 120)
                return outcome.output.contains(sum) ? nil : "\(round.name): \(outcome.output)"
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
