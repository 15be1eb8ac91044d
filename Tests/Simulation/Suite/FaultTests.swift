import SimulatedWorld
import Testing

/// Each kind of fault by itself, in the middle of traffic and after a rest, for some worlds.
@Suite struct FaultTests {
    @Test(arguments: Fault.allCases)
    func isOverWithinItsBound(_ fault: Fault) {
        var options = Simulation.Options(length: .seconds(1_700))
        options.isClean = true
        options.fault = fault
        SeedTests.check(options)
    }
}
