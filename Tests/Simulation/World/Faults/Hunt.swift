/// How soon a mistake that is made on purpose is found.
public struct Hunt: Sendable {
    /// Worlds that were tried, with the one that found it.
    public let seeds: Int
    /// Virtual time of all of them.
    public let elapsed: Duration
    /// What was found; nil: nothing.
    public let failure: String?
    /// The last one's trace.
    public let trace: [String]

    /// Runs worlds, with faults and without loss, until one fails.
    ///
    /// - Parameters:
    ///   - mistake: What is done wrong.
    ///   - seeds: Which worlds, at most.
    ///   - isTracing: Whether lines are kept for people.
    /// - Returns: What came of it.
    public static func run(
        _ mistake: Mistake,
        seeds: ClosedRange<UInt64>,
        isTracing: Bool = false
    ) -> Hunt {
        var options = Simulation.Options(length: .seconds(900))
        options.isClean = true
        options.mistake = mistake
        options.isTracing = isTracing
        var (count, elapsed) = (0, Duration.zero)
        var trace: [String] = []
        for seed in seeds {
            let result = Simulation.run(seed: seed, options)
            (count, elapsed, trace) = (count + 1, elapsed + result.elapsed, result.trace)
            if let failure = result.failure {
                let words = "seed \(seed) \(failure)"
                return Hunt(seeds: count, elapsed: elapsed, failure: words, trace: trace)
            }
        }
        return Hunt(seeds: count, elapsed: elapsed, failure: nil, trace: trace)
    }
}
