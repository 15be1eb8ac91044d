internal import Foundation

/// One tunnel between two hosts: ours at both ends against Debian's `wireguard-go` at both ends,
/// MTU 1280 for both, by turns in one run.
public struct TunnelBench {
    private let executable: String
    private let runs: Int
    private let seconds: Int

    public init(executable: String, runs: Int, seconds: Int) {
        (self.executable, self.runs, self.seconds) = (executable, runs, seconds)
    }

    /// Runs it and prints the table.
    public func run(say: (String) -> Void) throws {
        say("tunnel: one TCP stream by iperf3, MTU 1280, \(runs) alternating runs of \(seconds) s")
        var ours: [Figure] = []
        var theirs: [Figure] = []
        for number in 1...runs {
            ours.append(try measure { try TunnelPair(oursNamed: "cvbo", executable: executable) })
            theirs.append(try measure { try TunnelPair(wireGuardGoNamed: "cvbg") })
            let ratio = ours[number - 1].gigabits / theirs[number - 1].gigabits
            say(
                "  run \(number): ours \(ours[number - 1]), wireguard-go \(theirs[number - 1]), "
                    + "ratio \(Measure.text(ratio))"
            )
        }
        let ratios = zip(ours, theirs).map { $0.gigabits / $1.gigabits }.sorted()
        say("")
        say("| what | ours | wireguard-go | ratio (min–max) | CPU s/GB ours | CPU s/GB theirs |")
        say("|---|---|---|---|---|---|")
        let columns = [
            "tunnel TCP, one stream",
            "\(Measure.text(Measure.median(ours.map(\.gigabits)))) Gbit/s",
            "\(Measure.text(Measure.median(theirs.map(\.gigabits)))) Gbit/s",
            "\(Measure.text(Measure.median(ratios))) (\(Measure.text(ratios[0]))–"
                + "\(Measure.text(ratios[ratios.count - 1])))",
            Measure.text(Measure.median(ours.map(\.secondsPerGigabyte))),
            Measure.text(Measure.median(theirs.map(\.secondsPerGigabyte))),
        ]
        say("| \(columns.joined(separator: " | ")) |")
        say("")
        say("machine: \(Measure.machine)")
    }

    private struct Figure: CustomStringConvertible {
        let gigabits: Double
        let secondsPerGigabyte: Double
        var description: String { "\(Measure.text(gigabits)) Gbit/s" }
    }

    private func measure(_ make: () throws -> TunnelPair) throws -> Figure {
        let pair = try make()
        defer { pair.network.remove() }
        let server = try pair.right.start("iperf3", ["iperf3", "-s", "-1", "-B", pair.rightInside])
        let listens = try Lab.waits(seconds: 5) {
            try pair.right.run("ss", "-Hltn", "sport", "=", ":5201").output.contains(":5201")
        }
        guard listens else { throw LabError("iperf3 does not listen: \(server.output)") }
        let before = Measure.busySeconds()
        let outcome = try pair.left.run(
            "iperf3",
            "-c",
            pair.rightInside,
            "-t",
            "\(seconds)",
            "-J",
            seconds: Double(seconds) + 20
        )
        let busy = Measure.busySeconds() - before
        let json =
            try? JSONSerialization.jsonObject(with: Data(outcome.output.utf8)) as? [String: Any]
        guard let end = json?["end"] as? [String: Any],
            let sum = end["sum_received"] as? [String: Any],
            let rate = sum["bits_per_second"] as? Double, let bytes = sum["bytes"] as? Double,
            bytes > 0
        else {
            throw LabError("iperf3 ended with \(outcome.code): \(outcome.output.suffix(1_000))")
        }
        return Figure(gigabits: rate / 1e9, secondsPerGigabyte: busy / (bytes / 1e9))
    }
}
