import Glibc
import SimulatedWorld

/// Runs the seeds one after the other and says what came of them.
struct Runner {
    let arguments: Arguments

    init(_ arguments: Arguments) { self.arguments = arguments }

    /// - Returns: How many seeds failed.
    func run() -> Int {
        var options = Simulation.Options(length: .seconds(arguments.hours * 3_600))
        if arguments.isClean { options.isClean = true }
        options.avoidsKnown = !arguments.withKnown
        let seeds =
            arguments.seed.map { $0...$0 } ?? arguments.from...arguments.from + arguments.seeds - 1
        let start = ContinuousClock.now
        var summary = Summary()
        for seed in seeds {
            options.isTracing = arguments.isVerbose
            let result = Simulation.run(seed: seed, options)
            summary.add(result)
            report(result, options)
        }
        print(summary.text(wall: start.duration(to: .now)))
        return summary.failed
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
