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

    /// Whether nothing is to be done.
    public var isEmpty: Bool { changes.isEmpty }
}

/// Why a configuration cannot be applied.
public struct PlanError: Error, Hashable, Sendable {
    /// What is wrong, such as `resource Git`.
    public let subject: String
    /// What is wrong with it.
    public let sentence: String
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
        var planner = Planner(next: self)
        try planner.checkNames(of: configuration)
        try planner.remove(for: configuration)
        if let account = configuration.account { try planner.set(account: account) }
        if let plan = configuration.addresses { try planner.set(addresses: plan) }
        if let dns = configuration.dns { try planner.set(dns: dns) }
        for provider in configuration.providers ?? [] { try planner.set(provider, &random) }
        for site in configuration.sites ?? [] { try planner.set(site, &random) }
        for group in configuration.groups ?? [] { try planner.set(group, &random) }
        for resource in configuration.resources ?? [] { try planner.set(resource, &random) }
        if let policies = configuration.policies { try planner.set(policies, &random) }
        try planner.removeUnused(for: configuration)
        if let tests = configuration.tests { try planner.set(tests: tests) }
        return planner.plan
    }
}
