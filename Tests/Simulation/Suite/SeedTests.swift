import Foundation
import SimulatedWorld
import Testing

/// A handful of seeds, each time the same ones; many more by `culvert-simulate`.
@Suite struct SeedTests {
    /// `SEED=17` runs that seed alone.
    private static let wanted = ProcessInfo.processInfo.environment["SEED"].flatMap { UInt64($0) }

    /// Runs worlds, each of which must pass.
    @discardableResult
    static func check(
        _ seeds: ClosedRange<UInt64>,
        _ options: Simulation.Options
    ) -> [Simulation.Result] {
        (wanted.map { $0...$0 } ?? seeds).map { seed in
            let result = Simulation.run(seed: seed, options)
            guard let failure = result.failure else { return result }
            var again = options
            again.isTracing = true
            let trace = Simulation.run(seed: seed, again).trace.suffix(40).joined(separator: "\n")
            Issue.record("seed \(seed) failed \(failure); replay: SEED=\(seed) make unit\n\(trace)")
            return result
        }
    }

    @Test func everyProbeGetsWhatTheModelSaysWhenNothingIsLost() {
        var options = Simulation.Options(length: .seconds(300))
        options.isClean = true
        Self.check(1...3, options)
    }

    @Test func everyProbeGetsWhatTheModelSaysOnLinksThatLose() {
        Self.check(1...3, Simulation.Options(length: .seconds(300)))
    }

    @Test func anHourWithoutFaultsPasses() {
        var options = Simulation.Options(length: .seconds(3_600))
        options.hasFaults = false
        Self.check(1...2, options)
    }

    @Test func theSameSeedGivesTheSameWorld() {
        let options = Simulation.Options(length: .seconds(100))
        let one = Simulation.run(seed: 5, options)
        let other = Simulation.run(seed: 5, options)
        let different = Simulation.run(seed: 6, options)
        #expect(one.fingerprint == other.fingerprint)
        #expect(one.fingerprint != different.fingerprint)
    }
}
