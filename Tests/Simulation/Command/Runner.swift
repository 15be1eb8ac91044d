import Glibc
import SimulatedWorld

/// Runs the seeds side by side and says what came of them.
struct Runner {
    let arguments: Arguments

    init(_ arguments: Arguments) { self.arguments = arguments }

    /// - Returns: How many seeds failed.
    func run() async -> Int {
        var options = Simulation.Options(length: .seconds(arguments.hours * 3_600))
        if arguments.isClean { options.isClean = true }
        options.hasFaults = !arguments.isFaultless
        options.fault = arguments.fault
        options.mistake = arguments.mistake
        options.avoidsKnown = !arguments.withKnown
        options.isTracing = arguments.isVerbose
        let seeds =
            arguments.seed.map { $0...$0 } ?? arguments.from...arguments.from + arguments.seeds - 1
        let start = ContinuousClock.now
        let summary = await run(seeds, options)
        print(summary.text(wall: start.duration(to: .now)))
        return summary.failed
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
        print("replay: \(arguments.replay(result.seed))")
        fflush(nil)
    }
}
