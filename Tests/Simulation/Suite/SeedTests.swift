import Foundation
import SimulatedWorld
import Testing

/// A handful of seeds, each time the same ones; many more by `culvert-simulate`.
@Suite struct SeedTests {
    /// `SEED=17` runs that seed alone.
    static let seeds: ClosedRange<UInt64> = {
        let wanted = ProcessInfo.processInfo.environment["SEED"].flatMap { UInt64($0) }
        return wanted.map { $0...$0 } ?? 1...4
    }()

    static func check(_ options: Simulation.Options) {
        for seed in seeds {
            let result = Simulation.run(seed: seed, options)
            guard let failure = result.failure else { continue }
            var again = options
            again.isTracing = true
            let trace = Simulation.run(seed: seed, again).trace.suffix(40).joined(separator: "\n")
            Issue.record("seed \(seed) failed \(failure); replay: SEED=\(seed) make test\n\(trace)")
        }
    }

    @Test func everyProbeGetsWhatTheModelSaysWhenNothingIsLost() {
        var options = Simulation.Options(length: .seconds(600))
        options.isClean = true
        Self.check(options)
    }

    @Test func everyProbeGetsWhatTheModelSaysOnLinksThatLose() {
        Self.check(Simulation.Options(length: .seconds(600)))
    }

    @Test func hoursWithoutFaultsPass() {
        var options = Simulation.Options(length: .seconds(4 * 3_600))
        options.hasFaults = false
        Self.check(options)
    }

    @Test func theSameSeedGivesTheSameWorld() {
        let options = Simulation.Options(length: .seconds(300))
        let one = Simulation.run(seed: 5, options)
        let other = Simulation.run(seed: 5, options)
        let different = Simulation.run(seed: 6, options)
        #expect(one.fingerprint == other.fingerprint)
        #expect(one.fingerprint != different.fingerprint)
    }
}
