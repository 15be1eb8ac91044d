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
        // Not every world allows every fault: the first that does.
        let seed = (1...8 as ClosedRange<UInt64>).first { seed in
            SeedTests.check(seed...seed, options).contains { $0.faults[fault] != nil }
        }
        #expect(seed != nil, "\(fault) happens in no world")
    }
}
