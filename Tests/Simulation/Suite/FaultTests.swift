import SimulatedWorld
import Testing

/// Each kind of fault by itself, in the middle of traffic and after a rest; `culvert-simulate
/// --fault NAME` does the same for many worlds.
@Suite struct FaultTests {
    @Test(arguments: Fault.allCases)
    func isOverWithinItsBound(_ fault: Fault) {
        var options = Simulation.Options(length: .seconds(650))
        options.isClean = true
        options.fault = fault
        SeedTests.check(1...1, options)
    }
}
