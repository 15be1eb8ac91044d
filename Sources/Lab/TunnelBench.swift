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
                    + "ratio \(Self.text(ratio))"
            )
        }
        let ratios = zip(ours, theirs).map { $0.gigabits / $1.gigabits }.sorted()
        say("")
        say("| what | ours | wireguard-go | ratio (min–max) | CPU s/GB ours | CPU s/GB theirs |")
        say("|---|---|---|---|---|---|")
        let columns = [
            "tunnel TCP, one stream", "\(Self.text(Self.median(ours.map(\.gigabits)))) Gbit/s",
            "\(Self.text(Self.median(theirs.map(\.gigabits)))) Gbit/s",
            "\(Self.text(Self.median(ratios))) (\(Self.text(ratios[0]))–"
                + "\(Self.text(ratios[ratios.count - 1])))",
            Self.text(Self.median(ours.map(\.secondsPerGigabyte))),
            Self.text(Self.median(theirs.map(\.secondsPerGigabyte))),
        ]
        say("| \(columns.joined(separator: " | ")) |")
        say("")
        say("machine: \(Self.machine())")
    }

    private struct Figure: CustomStringConvertible {
        let gigabits: Double
        let secondsPerGigabyte: Double
        var description: String { "\(TunnelBench.text(gigabits)) Gbit/s" }
    }

    private func measure(_ make: () throws -> TunnelPair) throws -> Figure {
        let pair = try make()
        defer { pair.network.remove() }
        let server = try pair.right.start("iperf3", ["iperf3", "-s", "-1", "-B", pair.rightInside])
        let listens = try Lab.waits(seconds: 5) {
            try pair.right.run("ss", "-Hltn", "sport", "=", ":5201").output.contains(":5201")
        }
        guard listens else { throw LabError("iperf3 does not listen: \(server.output)") }
        let before = Self.busySeconds()
        let outcome = try pair.left.run(
            "iperf3",
            "-c",
            pair.rightInside,
            "-t",
            "\(seconds)",
            "-J",
            seconds: Double(seconds) + 20
        )
        let busy = Self.busySeconds() - before
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

    /// Seconds that all processors were not idle, since the start.
    private static func busySeconds() -> Double {
        let stat = (try? String(contentsOfFile: "/proc/stat", encoding: .utf8)) ?? ""
        let fields = stat.prefix { $0 != "\n" }.split(separator: " ").dropFirst().compactMap {
            Double($0)
        }
        guard fields.count >= 8 else { return 0 }
        return (fields[0] + fields[1] + fields[2] + fields[5] + fields[6] + fields[7]) / 100
    }

    private static func machine() -> String {
        let info = (try? String(contentsOfFile: "/proc/cpuinfo", encoding: .utf8)) ?? ""
        let model =
            info.split(separator: "\n").first { $0.hasPrefix("model name") }
            .map { $0.drop { $0 != ":" }.dropFirst(2) } ?? "unknown processor"
        let system = (try? Lab.run(["uname", "-sr"]).output.trimmed) ?? ""
        return "\(ProcessInfo.processInfo.processorCount) × \(model), \(system)"
    }

    private static func median(_ values: [Double]) -> Double { values.sorted()[values.count / 2] }
    fileprivate static func text(_ value: Double) -> String { String(format: "%.2f", value) }
}
