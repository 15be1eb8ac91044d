internal import Control

/// What makes a directory match a configuration file: changes, and the same for people to read.
public struct Plan: Hashable, Sendable {
    /// One line for people.
    public struct Line: Hashable, Sendable, CustomStringConvertible {
        /// What happens.
        public enum Sign: String, Sendable {
            case add = "+"
            case change = "~"
            case remove = "-"
            /// Nothing happens, and somebody should know.
            case warn = "!"
        }

        public let sign: Sign
        /// What it happens to, such as `resource Git`.
        public let subject: String
        /// What changes about it; empty where that is plain.
        public let details: String

        public var description: String {
            "\(sign.rawValue) \(subject)" + (details.isEmpty ? "" : ": \(details)")
        }
    }

    /// In an order in which each is valid.
    public internal(set) var changes: [Change] = []
    /// In the same order.
    public internal(set) var lines: [Line] = []

    /// What is accepted and does not do yet what somebody would expect of it.
    public internal(set) var warnings: [Line] = []

    /// Whether nothing is to be done.
    public var isEmpty: Bool { changes.isEmpty }
}

/// Why a configuration cannot be applied.
public struct PlanError: Error, Hashable, Sendable {
    /// What is wrong, such as `resource Git`.
    public let subject: String
    /// What is wrong with it.
    public let sentence: String
    /// Where in the file; nil when it was made without one.
    public let place: Node.Place?

    init(subject: String, sentence: String, place: Node.Place?) {
        (self.subject, self.sentence, self.place) = (subject, sentence, place)
    }
}

extension Directory {
    /// What has to be done so that this directory says what `configuration` says.
    ///
    /// Names are what things are known by; new ones get identifiers from `random`. Applying the
    /// plan and planning again gives an empty plan. Actors, clients, gateways are never removed.
    public func plan(
        to configuration: Configuration,
        using random: inout some RandomNumberGenerator
    ) throws(PlanError) -> Plan {
        var planner = Planner(before: self, next: self)
        try planner.checkNames(of: configuration)
        try planner.remove(for: configuration)
        try planner.setSingle(configuration)
        try planner.removeRelays(for: configuration)
        for relay in configuration.relays ?? [] { try planner.set(relay, &random) }
        for provider in configuration.providers ?? [] { try planner.set(provider, &random) }
        for site in configuration.sites ?? [] { try planner.set(site, &random) }
        for group in configuration.groups ?? [] { try planner.set(group, &random) }
        for resource in configuration.resources ?? [] { try planner.set(resource, &random) }
        if let policies = configuration.policies { try planner.set(policies, &random) }
        try planner.removeUnused(for: configuration)
        if let tests = configuration.tests {
            try planner.set(tests: tests, at: configuration.places)
        }
        planner.warn(of: configuration)
        return planner.plan
    }
}
