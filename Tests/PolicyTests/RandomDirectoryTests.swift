import Control
import Foundation
import Policy
import SansIO
import Testing

@Suite("A directory at random")
struct RandomDirectoryTests {
    /// `SEED=n` replays one seed.
    static let seeds: [UInt64] = {
        let environment = ProcessInfo.processInfo.environment
        return environment["SEED"].flatMap(UInt64.init).map { [$0] } ?? Array(0..<24)
    }()

    static let clients = (0..<RandomDirectory.countMax).map { ClientID("c\($0)") }
    static let resources = (0..<RandomDirectory.countMax).map { ResourceID("r\($0)") }

    @Test("decisions agree with a naive scan, and every denial has a sentence")
    func decisions() {
        var (allowed, denied) = (0, 0)
        for seed in Self.seeds {
            var world = RandomDirectory(seed: seed)
            for step in 0..<600 {
                // Mostly grown first, then asked as often as changed.
                if step < 150 || step.isMultiple(of: 2) {
                    _ = try? world.directory.apply(world.change())
                }
                let context = world.context()
                let client = Self.clients[world.number()]
                let resource = Self.resources[world.number()]
                let directory = world.directory
                let decision = directory.decide(client: client, resource: resource, in: context)
                let naive = NaivePolicy.decide(directory, client, resource, context)
                let words = directory.explain(
                    decision,
                    client: client,
                    resource: resource,
                    in: context
                )
                switch decision {
                case .allow(let permit):
                    allowed += 1
                    #expect(permit.policy == naive?.policy, "seed \(seed)")
                    #expect(permit.until == naive?.until, "seed \(seed)")
                    #expect(permit.site == directory.resources[resource]?.site)
                case .deny(let denial):
                    denied += 1
                    #expect(naive == nil, "seed \(seed)")
                    check(denial, words, directory, resource, context)
                }
                #expect(words.person.hasSuffix(".") && words.administrator.hasSuffix("."))
            }
        }
        #expect(allowed > 100 && denied > 100 || Self.seeds.count == 1, "\(allowed), \(denied)")
    }

    private func check(
        _ denial: Denial,
        _ words: Explanation,
        _ directory: Directory,
        _ resource: ResourceID,
        _ context: Context
    ) {
        let refusal = directory.refusal(for: denial, words, at: context.now)
        #expect(refusal.sentence == words.person)
        #expect((refusal.kind == .retryAfter) == (denial.changesAt != nil))
        if case .conditions(let failures) = denial.reason {
            #expect(!failures.isEmpty)
            #expect(words.failed.count == failures.reduce(0) { $0 + $1.conditions.count })
            for failed in words.failed { #expect(!failed.sentence.isEmpty) }
        } else {
            // Nothing is given away of what is not the person's to know.
            #expect(words.failed.isEmpty)
            for group in directory.groups { #expect(!words.person.contains(group.name)) }
            #expect(!words.person.contains(resource.text.uppercased()))
        }
    }

    @Test("lists agree with a naive scan")
    func lists() {
        for seed in Self.seeds {
            var world = RandomDirectory(seed: seed)
            for _ in 0..<200 { _ = try? world.directory.apply(world.change()) }
            let directory = world.directory
            for client in directory.clients {
                let groups = directory.groups.filter { $0.members.contains(client.actor) }
                let reached = directory.policies.filter { policy in
                    groups.contains { $0.id == policy.group }
                }.map(\.resource)
                let isDisabled = directory.actors[client.actor]?.isDisabled ?? true
                let expected = isDisabled ? [] : Set(reached).sorted()
                #expect(directory.resources(for: client.id).map(\.id) == expected, "seed \(seed)")
                for resource in expected {
                    #expect(directory.clients(seeing: resource).contains(client), "seed \(seed)")
                }
                #expect(directory.groups(of: client.actor).map(\.id) == groups.map(\.id).sorted())
            }
        }
    }

    @Test("whoever notices a change is in its scope; a refused one changes nothing")
    func scopes() {
        var untouched = 0
        for seed in Self.seeds {
            var world = RandomDirectory(seed: seed)
            for step in 0..<250 {
                let before = world.directory
                let change = world.change()
                let context = world.context()
                guard let scope = try? world.directory.apply(change) else {
                    #expect(world.directory == before, "seed \(seed)")
                    continue
                }
                let after = world.directory
                for client in Self.clients {
                    let place = "seed \(seed), step \(step), \(client), \(change)"
                    if before.clients[client] != nil,
                        before.clients[client] != after.clients[client]
                    {
                        #expect(scope.touches(client), "\(place)")
                    }
                    guard before.clients[client] != nil else { continue }
                    let old = before.resources(for: client)
                    let new = after.resources(for: client)
                    for resource in Self.resources {
                        let touches = scope.touches(client, resource)
                        if !touches { untouched += 1 }
                        let answers = [before, after].map { directory in
                            let decision = directory.decide(
                                client: client,
                                resource: resource,
                                in: context
                            )
                            return decision.isHidden ? nil : decision
                        }
                        #expect(answers[0] == answers[1] || touches, "\(place), \(resource)")
                        #expect(
                            old.first { $0.id == resource } == new.first { $0.id == resource }
                                || touches,
                            "\(place), \(resource)"
                        )
                    }
                }
            }
        }
        #expect(untouched > 1_000)
    }

    @Test("a snapshot makes the same directory, also for decisions")
    func snapshots() throws {
        for seed in Self.seeds {
            var world = RandomDirectory(seed: seed)
            for _ in 0..<250 { _ = try? world.directory.apply(world.change()) }
            var copy = Directory(portal: world.directory.portal)
            try copy.apply(contentsOf: world.directory.snapshot)
            #expect(copy == world.directory, "seed \(seed)")
            let context = world.context()
            for client in Self.clients {
                for resource in Self.resources {
                    #expect(
                        copy.decide(client: client, resource: resource, in: context)
                            == world.directory.decide(
                                client: client,
                                resource: resource,
                                in: context
                            ),
                        "seed \(seed)"
                    )
                }
            }
        }
    }

    @Test("a plan from any directory to any other does it, and then nothing is left to do")
    func plans() throws {
        for seed in Self.seeds {
            var from = RandomDirectory(seed: seed)
            var to = RandomDirectory(seed: seed + 1_000)
            for _ in 0..<150 {
                _ = try? from.directory.apply(from.change())
                _ = try? to.directory.apply(to.change())
            }
            for gateway in from.directory.gateways {
                try from.directory.apply(.removeGateway(gateway.id))
            }
            let wanted = Configuration(exporting: to.directory)
            let reread = try Configuration(wanted.node)
            #expect(reread == wanted, "seed \(seed)")
            let plan = try from.directory.plan(to: wanted, using: &from.random)
            #expect(plan.changes.count == plan.lines.count)
            try from.directory.apply(contentsOf: plan.changes)
            let again = try from.directory.plan(to: wanted, using: &from.random)
            #expect(again.isEmpty, "seed \(seed): \(again.lines)")
            var exported = Configuration(exporting: from.directory)
            exported.account = wanted.account
            let same = Set(exported.policies ?? []) == Set(wanted.policies ?? [])
            #expect(same, "seed \(seed)")
            exported.policies = wanted.policies
            #expect(exported == wanted, "seed \(seed)")
        }
    }
}

extension Decision {
    /// Whether the person is told of no such resource, which is one answer whatever the reason.
    fileprivate var isHidden: Bool {
        guard case .deny(let denial) = self else { return false }
        return denial.reason == .unknownResource || denial.reason == .noPolicy
    }
}
