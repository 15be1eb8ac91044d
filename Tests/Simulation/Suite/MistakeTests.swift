import SimulatedWorld
import Testing

/// What is done wrong on purpose is found: else silence would prove nothing. It begins with worlds
/// that find it at once; `culvert-simulate --mistake all` says how many it takes from the first on.
@Suite struct MistakeTests {
    @Test(arguments: Mistake.allCases)
    func isFoundWithinTwentyWorlds(_ mistake: Mistake) {
        let hunt = Hunt.run(mistake, seeds: 5...24)
        #expect(hunt.failure != nil, "\(mistake.rawValue) was not found in \(hunt.elapsed)")
    }
}
