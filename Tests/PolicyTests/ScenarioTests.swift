import Control
import Foundation
import IP
import Policy
import Testing

/// Decision tables: the files `Tests/Scenarios/policy-*.scenario`.
///
/// A line is one of `given …`, `change …`, `| …` (a line of a configuration file), which change the
/// directory; `query CLIENT RESOURCE …`, which decides; `expect …`, `person …`, `administrator …`,
/// which say what must have come out; `test …`, a policy test that must pass, `because …`, why.
@Suite("Policy scenarios")
struct ScenarioTests {
    static let files: [String] = {
        let folder = URL(filePath: #filePath).deletingLastPathComponent()
            .deletingLastPathComponent().appending(path: "Scenarios")
        let names = (try? FileManager.default.contentsOfDirectory(atPath: folder.path())) ?? []
        return names.filter { $0.hasPrefix("policy-") && $0.hasSuffix(".scenario") }.sorted()
            .map { folder.appending(path: $0).path() }
    }()

    @Test("there are scenarios")
    func some() { #expect(Self.files.count >= 4) }

    @Test("a scenario comes out as written", arguments: files)
    func scenario(file: String) throws {
        let text = try String(contentsOfFile: file, encoding: .utf8)
        var runner = ScenarioRunner()
        for (number, line) in text.split(separator: "\n", omittingEmptySubsequences: false)
            .enumerated()
        {
            guard !line.isEmpty, !line.hasPrefix("#") else { continue }
            let place = "\(file):\(number + 1)"
            do {
                if let failure = try runner.run(line) { Issue.record("\(place): \(failure)") }
            } catch {
                Issue.record("\(place): cannot be run: \(error)")
            }
        }
    }
}

/// Runs the lines of one scenario.
struct ScenarioRunner {
    struct Unreadable: Error { let text: String }

    private var directory = Directory(portal: PortalURL("https://portal.example.net"))
    private var zones = ZoneOffsets()
    private var decision: Decision?
    private var explanation: Explanation?
    private var outcome: PolicyTest.Outcome?
    private var configuration = ""
    private var policyCount = 0

    /// What was not as expected; nil when all was.
    mutating func run(_ line: Substring) throws -> String? {
        if line.hasPrefix("|") {
            configuration += line.dropFirst(2) + "\n"
            return nil
        }
        if !configuration.isEmpty {
            directory = try ConfigurationTests.applied(configuration, to: directory)
            configuration = ""
        }
        var words = Words(line)
        switch try words.next() {
        case "given": try give(&words)
        case "change": try change(&words)
        case "query": try query(&words)
        case "expect": return try compare(&words)
        case "person":
            let found = explanation?.person ?? ""
            return found == words.rest ? nil : "the person reads: \(found)"
        case "administrator":
            let found = explanation?.administrator ?? ""
            return found == words.rest ? nil : "the administrator reads: \(found)"
        case "test": return try test(words.rest)
        case "because":
            let found = outcome?.sentence ?? ""
            return found == words.rest ? nil : "the reason reads: \(found)"
        case let verb: throw Unreadable(text: verb)
        }
        return nil
    }

    /// Both what must pass and, expecting the opposite, what must fail.
    private mutating func test(_ text: String) throws -> String? {
        let fails = text.hasSuffix(", fails")
        let body = text.replacing(", fails", with: "")
        let node = NodeText.parse("tests:\n  - { \(body) }")
        var test = try #require(try Configuration(node).tests?.first)
        let zones = zones
        let now = WallTime(seconds: 1_780_000_000)
        let outcome = directory.outcome(of: test, now: now) { _ in zones }
        self.outcome = outcome
        test.expect = test.expect == .allow ? .deny : .allow
        let opposite = directory.outcome(of: test, now: now) { _ in zones }
        if fails { return !outcome.isPassed && !opposite.isPassed ? nil : "the test passes" }
        if outcome.isPassed && opposite.isPassed { return "the opposite passes too" }
        return outcome.isPassed ? nil : "the test fails: \(outcome.sentence)"
    }

    private mutating func give(_ words: inout Words) throws {
        let kind = try words.next()
        let name = try words.next()
        switch kind {
        case "zone": zones[name] = try zone(&words)
        case "site": try directory.apply(.upsertSite(.init(id: SiteID(name), name: name)))
        case "provider":
            let issuer = try words.next()
            try directory.apply(
                .upsertProvider(
                    .init(id: ProviderID(name), name: name, issuer: issuer, clientID: "culvert")
                )
            )
        case "resource":
            let address = try ResourceAddress(parsing: try words.next())
            let site = SiteID(try words.next())
            try directory.apply(
                .upsertResource(
                    .init(id: ResourceID(name), name: name, address: address, site: site)
                )
            )
        case "group":
            var members: [ActorID] = []
            while let member = words.nextIfAny() {
                members.append(ActorID(member))
                try directory.apply(.upsertActor(.init(id: ActorID(member), name: member)))
            }
            try directory.apply(
                .upsertGroup(.init(id: GroupID(name), name: name, members: members))
            )
        case "client":
            let actor = ActorID(try words.next())
            let device = try device(&words)
            try directory.apply(
                .upsertClient(
                    .init(id: ClientID(name), actor: actor, name: name, device: device)
                )
            )
        case "policy": try addPolicy(name, &words)
        default: throw Unreadable(text: kind)
        }
    }

    private mutating func addPolicy(_ group: String, _ words: inout Words) throws {
        let resource = ResourceID(try words.next())
        policyCount += 1
        let policy = Directory.Policy(
            id: PolicyID("policy-\(policyCount)"),
            group: GroupID(group),
            resource: resource,
            conditions: try conditions(&words)
        )
        try directory.apply(.upsertPolicy(policy))
    }

    private mutating func change(_ words: inout Words) throws {
        let verb = try words.next()
        let name = try words.next()
        switch verb {
        case "join":
            let actor = ActorID(try words.next())
            try directory.apply(.addMember(group: GroupID(name), actor: actor))
        case "leave":
            let actor = ActorID(try words.next())
            try directory.apply(.removeMember(group: GroupID(name), actor: actor))
        case "enable", "disable":
            var actor = try #require(directory.actors[ActorID(name)])
            actor.isDisabled = verb == "disable"
            try directory.apply(.upsertActor(actor))
        case "remove-actor": try directory.apply(.removeActor(ActorID(name)))
        case "remove-policy", "replace-policy":
            let resource = ResourceID(try words.next())
            for policy in directory.policies(of: GroupID(name)) where policy.resource == resource {
                try directory.apply(.removePolicy(policy.id))
            }
            guard verb == "replace-policy" else { break }
            policyCount += 1
            let policy = Directory.Policy(
                id: PolicyID("policy-\(policyCount)"),
                group: GroupID(name),
                resource: resource,
                conditions: try conditions(&words)
            )
            try directory.apply(.upsertPolicy(policy))
        default: throw Unreadable(text: verb)
        }
    }

    private mutating func query(_ words: inout Words) throws {
        let client = ClientID(try words.next())
        let resource = ResourceID(try words.next())
        var context = Context(now: WallTime(seconds: 1_780_000_000), zones: zones)
        while let key = words.nextIfAny() {
            let value = try words.next()
            switch key {
            case "at": context.now = try #require(WallTime(value))
            case "from": context.remote = try read(value)
            case "country": context.country = value
            case "provider": context.provider = ProviderID(value)
            default: throw Unreadable(text: key)
            }
        }
        let decision = directory.decide(client: client, resource: resource, in: context)
        let explanation = directory.explain(
            decision,
            client: client,
            resource: resource,
            in: context
        )
        self.decision = decision
        self.explanation = explanation
    }

    private func compare(_ words: inout Words) throws -> String? {
        let decision = try #require(decision)
        let found: String
        var expected = words.rest
        switch decision {
        case .allow(let permit):
            let group = directory.policies[permit.policy]?.group.text ?? "nobody"
            let end = permit.until.map { " until \($0)" } ?? ""
            found = "allow\(end)" + (expected.contains(" by ") ? " by \(group)" : "")
        case .deny(let denial):
            let opens = denial.changesAt.map { " opens \($0)" } ?? ""
            found = "deny \(Self.word(for: denial.reason))\(opens)"
        }
        // Times may be written with any offset.
        expected = expected.split(separator: " ").map { word in
            word.count > 18 ? WallTime(String(word))?.description ?? String(word) : String(word)
        }.joined(separator: " ")
        return found == expected ? nil : "found \(found)"
    }

    private static func word(for reason: Denial.Reason) -> String {
        switch reason {
        case .unknownClient: "unknown-client"
        case .disabledActor: "disabled-actor"
        case .unknownResource: "unknown-resource"
        case .noPolicy: "no-policy"
        case .conditions(let failures):
            failures.flatMap { $0.conditions.map(\.rawValue) }.joined(separator: " ")
        }
    }

    private func zone(_ words: inout Words) throws -> ZoneOffsets.Zone {
        func seconds(_ text: String) throws -> Int64 {
            let midnight = try #require(WallTime("1970-01-02T00:00:00\(text)"))
            return 86_400 - midnight.seconds
        }
        let first = try seconds(try words.next())
        var transitions: [ZoneOffsets.Transition] = []
        while let time = words.nextIfAny() {
            let at = try #require(WallTime(time))
            transitions.append(.init(at: at, offsetSeconds: try seconds(try words.next())))
        }
        return ZoneOffsets.Zone(offsetSeconds: first, transitions: transitions)
    }

    private func device(_ words: inout Words) throws -> Device {
        var device = Device()
        while let key = words.nextIfAny() {
            switch key {
            case "verified": device.isVerified = true
            case "version": device.version = try read(try words.next())
            case "os": device.system = try words.next()
            default: throw Unreadable(text: key)
            }
        }
        return device
    }

    private func conditions(_ words: inout Words) throws -> Conditions {
        var conditions = Conditions()
        while let key = words.nextIfAny() {
            let values = words.valuesUpToKey()
            switch key {
            case "from": conditions.from = try values.map { try #require(IPPrefix($0)) }
            case "not_from": conditions.notFrom = try values.map { try #require(IPPrefix($0)) }
            case "countries": conditions.countries = values
            case "not_countries": conditions.notCountries = values
            case "providers": conditions.providers = values.map { ProviderID($0) }
            case "verified": conditions.verified = true
            case "version": conditions.version = try read(values[0])
            case "os": conditions.systems = values
            case "hours":
                let zone = try #require(values.last)
                let days = try #require(Weekdays(values[0]))
                let times = try values.dropFirst().dropLast().map {
                    try #require(Hours.TimeRange($0))
                }
                conditions.hours = Hours(zone: zone, days: days, times: times)
            default: throw Unreadable(text: key)
            }
        }
        return conditions
    }
}

/// A value that stands as its text.
func read<Value: LosslessStringConvertible>(_ text: String) throws -> Value {
    guard let value = Value(text) else { throw ScenarioRunner.Unreadable(text: text) }
    return value
}

/// The words of a line.
struct Words {
    private var words: ArraySlice<Substring>

    static let keys: Set = [
        "from", "not_from", "countries", "not_countries", "providers", "verified", "version", "os",
        "hours",
    ]

    init(_ line: Substring) { words = line.split(separator: " ")[...] }

    var rest: String { words.joined(separator: " ") }

    mutating func nextIfAny() -> String? { words.popFirst().map(String.init) }

    mutating func next() throws -> String {
        guard let word = nextIfAny() else { throw ScenarioRunner.Unreadable(text: "end of line") }
        return word
    }

    mutating func valuesUpToKey() -> [String] {
        var values: [String] = []
        while let word = words.first, !Self.keys.contains(String(word)) {
            values.append(String(word))
            words.removeFirst()
        }
        return values
    }
}
