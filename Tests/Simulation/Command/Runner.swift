import Glibc
import SimulatedWorld

/// Runs seeds side by side and says what came of them.
struct Runner {
    /// Virtual hours of a seed unless told otherwise.
    private static let hours = 0.25

    let arguments: Arguments

    init(_ arguments: Arguments) { self.arguments = arguments }

    private var hours: Double { arguments.hours ?? Self.hours }

    private var options: Simulation.Options {
        var options = Simulation.Options(length: .seconds(hours * 3_600))
        if arguments.isClean { options.isClean = true }
        options.hasFaults = !arguments.isFaultless
        options.fault = arguments.fault
        options.avoidsKnown = !arguments.withKnown
        options.isTracing = arguments.isVerbose
        return options
    }

    private var seeds: ClosedRange<UInt64> {
        arguments.seed.map { $0...$0 } ?? arguments.from...arguments.from + arguments.seeds - 1
    }

    /// The command that runs `seed` again, with its trace.
    private func replay(_ seed: UInt64) -> String {
        var words = "culvert-simulate --seed \(seed) --hours \(hours)"
        if arguments.isClean { words += " --clean" }
        if arguments.isFaultless { words += " --faultless" }
        if arguments.withKnown { words += " --known" }
        if let fault = arguments.fault { words += " --fault \(fault.rawValue)" }
        return words + " --verbose"
    }

    /// - Returns: Whether all is well.
    func run() async -> Bool {
        let start = ContinuousClock.now
        let summary = await run(seeds, options)
        print(summary.text(wall: start.duration(to: .now)))
        guard arguments.wantsEveryFault, !summary.missing.isEmpty else {
            return summary.failed == 0
        }
        let names = summary.missing.map(\.rawValue).joined(separator: ", ")
        print("happened in no seed: \(names)")
        return false
    }

    /// So many seeds at a time as wanted; each is a world of its own.
    private func run(_ seeds: ClosedRange<UInt64>, _ options: Simulation.Options) async -> Summary {
        var summary = Summary()
        var waiting = seeds.makeIterator()
        await withTaskGroup(of: Simulation.Result.self) { group in
            for _ in 0..<arguments.jobs {
                guard let seed = waiting.next() else { break }
                group.addTask { Simulation.run(seed: seed, options) }
            }
            for await result in group {
                summary.add(result)
                report(result, options)
                guard let seed = waiting.next() else { continue }
                group.addTask { Simulation.run(seed: seed, options) }
            }
        }
        return summary
    }

    private func report(_ result: Simulation.Result, _ options: Simulation.Options) {
        if arguments.isVerbose { for line in result.trace { print(line) } }
        guard let failure = result.failure else {
            if arguments.isVerbose { print("seed \(result.seed): passed") }
            return
        }
        if !arguments.isVerbose {
            var again = options
            again.isTracing = true
            for line in Simulation.run(seed: result.seed, again).trace.suffix(60) {
                print("    \(line)")
            }
        }
        print("seed \(result.seed) failed \(failure)")
        print("replay: \(replay(result.seed))")
        fflush(nil)
    }
}
