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
        let before = Measure.busySeconds()
        let outcome = try IPerf.run(
            from: pair.left,
            to: pair.rightInside,
            on: pair.right,
            listening: pair.rightInside,
            seconds: seconds
        )
        let busy = Measure.busySeconds() - before
        return Figure(
            gigabits: outcome.bitsPerSecond / 1e9,
            secondsPerGigabyte: busy / (outcome.byteCount / 1e9)
        )
    }
}
