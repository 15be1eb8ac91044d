internal import SansIO

/// One seed, run for a while of virtual time, and what came of it.
public struct Simulation {
    /// What to run.
    public struct Options: Sendable {
        /// Virtual time of the workload.
        public var length: Duration
        /// One kind of fault alone, in a short play of its own; nil: everything, as the seed says.
        public var fault: Fault?
        /// A mistake made on purpose, which must be found.
        public var mistake: Mistake?
        /// Whether anything but traffic happens.
        public var hasFaults = true
        /// Whether anything is lost on the way; nil: as the seed says.
        public var isClean: Bool?
        /// Whether what is known to go wrong is left out.
        public var avoidsKnown = true
        /// Whether lines are kept for people.
        public var isTracing = false

        public init(length: Duration) { self.length = length }
    }

    /// What came of it.
    public struct Result: Sendable {
        /// What it followed from.
        public let seed: UInt64
        /// What went wrong first; nil: nothing.
        public let failure: String?
        /// The last lines of the trace.
        public let trace: [String]
        /// The same for each run of one seed.
        public let fingerprint: UInt64
        /// Virtual time that passed.
        public let elapsed: Duration
        /// Packets, questions and faults, and how many verdicts nothing disturbed.
        public let probes: Int
        public let strictProbes: Int
        /// Probes that went in pieces.
        public let largeProbes: Int
        public let queries: Int
        /// How many of those a site answered.
        public let siteAnswers: Int
        public let faults: [Fault: Int]
        public let datagrams: Int
        /// The longest recovery after each kind of fault, from the next packet.
        public let recoveries: [(label: String, longest: Duration, count: Int)]
    }

    /// Runs `seed`; the same seed and options give the same result.
    public static func run(seed: UInt64, _ options: Options) -> Result {
        let world = World(seed: seed, isTracing: options.isTracing)
        let settings = SceneSettings.drawn(
            in: world,
            isClean: options.isClean,
            avoidsKnown: options.avoidsKnown
        )
        let scene = Scene(world, settings)
        if let mistake = options.mistake { scene.make(mistake) }
        let end = world.now.advanced(by: options.length)
        let workload = Workload(scene, until: end, hasFaults: options.hasFaults)
        if let fault = options.fault { workload.begin(with: fault) } else { workload.begin() }
        // Everything that began has time to end.
        world.run(until: end.advanced(by: .seconds(30)))
        return Result(
            seed: seed,
            failure: world.failure,
            trace: world.trace,
            fingerprint: world.fingerprint,
            elapsed: world.elapsed,
            probes: scene.prober.tally.values.reduce(0, +),
            strictProbes: scene.prober.strictCount,
            largeProbes: scene.prober.largeCount,
            queries: scene.queries.count,
            siteAnswers: scene.queries.siteCount,
            faults: workload.faultCounts,
            datagrams: scene.internet.datagramCount,
            recoveries: scene.calm.recoveries
        )
    }
}
