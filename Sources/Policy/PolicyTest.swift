internal import Control
public import IP

/// A sentence about who may reach what, checked against a directory before it is changed.
public struct PolicyTest: Hashable, Sendable, Codable {
    /// What must come out.
    public enum Expectation: String, Sendable, Codable, CaseIterable {
        case allow, deny
    }

    /// An actor's name.
    public var who: String
    /// What it wants to reach.
    public var reach: Destination
    /// The remote address; nil means unknown.
    public var from: IPAddress?
    /// Its country; nil means unknown.
    public var country: String?
    /// The name of the provider that it signed in through; nil means none.
    public var provider: String?
    /// When; nil means now.
    public var at: WallTime?
    /// The client that it uses.
    public var device: Device
    public var expect: Expectation

    public init(who: String, reach: Destination, expect: Expectation) {
        (self.who, self.reach, self.expect) = (who, reach, expect)
        device = Device()
    }
}

extension PolicyTest {
    /// What came out of a test.
    public struct Outcome: Hashable, Sendable {
        /// Whether that is what was expected.
        public let isPassed: Bool
        /// Who may or may not reach what, and why, for an administrator.
        public let sentence: String
    }
}

extension Directory {
    /// Tries `test` here.
    ///
    /// - Parameters:
    ///   - now: For a test that names no time.
    ///   - zones: The clocks at a time, for ``zoneNames``.
    public func outcome(
        of test: PolicyTest,
        now: WallTime,
        zones: (WallTime) -> ZoneOffsets
    ) -> PolicyTest.Outcome {
        func outcome(_ found: PolicyTest.Expectation, _ sentence: String) -> PolicyTest.Outcome {
            PolicyTest.Outcome(isPassed: found == test.expect, sentence: sentence)
        }
        guard let actor = actors[named: test.who] else {
            return outcome(.deny, "There is nobody called “\(test.who)”.")
        }
        if let name = test.provider, providers[named: name] == nil {
            return PolicyTest.Outcome(
                isPassed: false,
                sentence: "There is no provider called “\(name)”."
            )
        }
        let time = test.at ?? now
        let context = Context(
            now: time,
            remote: test.from,
            country: test.country,
            provider: test.provider.flatMap { providers[named: $0]?.id },
            zones: zones(time)
        )
        let own = resources(for: actor.id)
        guard let resource = Self.choice(for: test.reach, among: own) else {
            guard let hidden = Self.choice(for: test.reach, among: Array(resources)) else {
                return outcome(.deny, "No resource covers \(test.reach).")
            }
            let decision = decide(
                actor: actor.id,
                device: test.device,
                resource: hidden.id,
                in: context
            )
            let words = explain(
                decision,
                actor: actor,
                device: test.device,
                resource: hidden.id,
                in: context
            )
            return outcome(.deny, words.administrator)
        }
        guard resource.filters.permit(test.reach.transport, port: test.reach.port) else {
            return outcome(.deny, "\(resource.name) does not let \(test.reach.traffic) through.")
        }
        let decision = decide(
            actor: actor.id,
            device: test.device,
            resource: resource.id,
            in: context
        )
        let words = explain(
            decision,
            actor: actor,
            device: test.device,
            resource: resource.id,
            in: context
        )
        return outcome(decision.isAllowed ? .allow : .deny, words.administrator)
    }
}
