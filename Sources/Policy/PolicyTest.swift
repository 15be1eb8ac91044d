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
    /// Tries `test` here: at `now` where it names no time, with the clocks that `zones` gives for
    /// ``zoneNames`` at a time.
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
        if let resource = Self.choice(for: test.reach, among: resources(for: actor.id)) {
            guard resource.filters.permit(test.reach.transport, port: test.reach.port) else {
                let traffic = test.reach.traffic
                return outcome(.deny, "\(resource.name) does not let \(traffic) through.")
            }
            let (isAllowed, words) = verdict(actor, test.device, resource, context)
            return outcome(isAllowed ? .allow : .deny, words)
        }
        // What others may reach tells why this one may not.
        guard let hidden = Self.choice(for: test.reach, among: Array(resources)) else {
            return outcome(.deny, "No resource covers \(test.reach).")
        }
        return outcome(.deny, verdict(actor, test.device, hidden, context).words)
    }

    private func verdict(
        _ actor: Actor,
        _ device: Device,
        _ resource: Resource,
        _ context: Context
    ) -> (isAllowed: Bool, words: String) {
        let decision = decide(
            actor: actor.id,
            device: device,
            resource: resource.id,
            in: context
        )
        let words = explain(
            decision,
            actor: actor,
            device: device,
            resource: resource.id,
            in: context
        )
        return (decision.isAllowed, words.administrator)
    }
}
