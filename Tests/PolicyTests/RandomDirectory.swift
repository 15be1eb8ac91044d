import Control
import IP
import Policy
import SansIO

/// A directory that grows and changes at random; every change is valid or refused.
struct RandomDirectory {
    var directory = Directory(portal: PortalURL("https://portal.example.net"))
    var random: RandomSource

    /// Begins with some of everything but policies.
    init(seed: UInt64) {
        random = RandomSource(seed: seed)
        for index in 0..<Self.countMax {
            let (site, actor) = (SiteID("s\(index)"), ActorID("a\(index)"))
            let changes: [Change] = [
                .upsertSite(.init(id: site, name: "S\(index)")),
                .upsertActor(.init(id: actor, name: "a\(index)@example.com")),
                .upsertGroup(.init(id: GroupID("g\(index)"), name: "G\(index)", members: [actor])),
                .upsertClient(.init(id: ClientID("c\(index)"), actor: actor, name: "C\(index)")),
            ]
            for change in changes { _ = try? directory.apply(change) }
            _ = try? directory.apply(.upsertResource(resource(index)))
        }
    }

    static let countMax = 8

    mutating func number() -> Int { Int.random(in: 0..<Self.countMax, using: &random) }
    mutating func chance(_ outOf: Int) -> Bool { Int.random(in: 0..<outOf, using: &random) == 0 }

    /// A change that may be valid.
    mutating func change() -> Change {
        let (first, second) = (number(), number())
        switch Int.random(in: 0..<26, using: &random) {
        case 0:
            let name = "a\(first)@example.com"
            return .upsertActor(
                .init(id: ActorID("a\(first)"), name: name, isDisabled: chance(5))
            )
        case 1: return chance(5) ? .removeActor(ActorID("a\(first)")) : .account(name: "Example")
        case 2:
            let members = directory.actors.map(\.id).filter { _ in chance(3) }
            return .upsertGroup(
                .init(id: GroupID("g\(first)"), name: "G\(first)", members: members)
            )
        case 3: return .removeGroup(GroupID("g\(first)"))
        case 4, 5, 6:
            return .addMember(group: GroupID("g\(first)"), actor: ActorID("a\(second)"))
        case 7: return .removeMember(group: GroupID("g\(first)"), actor: ActorID("a\(second)"))
        case 8: return .upsertSite(.init(id: SiteID("s\(first)"), name: "S\(number())"))
        case 9: return .removeSite(SiteID("s\(first)"))
        case 10, 11, 12: return .upsertResource(resource(first))
        case 13: return .removeResource(ResourceID("r\(first)"))
        case 14, 15, 16, 17: return .upsertPolicy(policy())
        case 18: return .removePolicy(PolicyID("p\(number() + Self.countMax * (number() % 3))"))
        case 19, 20: return .upsertClient(client(first))
        case 21:
            return chance(2) ? .removeClient(ClientID("c\(first)")) : .upsertClient(client(first))
        case 22:
            return .upsertGateway(
                .init(id: GatewayID("w\(first)"), name: "W\(first)", site: SiteID("s\(second)"))
            )
        case 23:
            return .upsertRelay(
                .init(
                    id: RelayID("y\(first)"),
                    name: "Y\(second)",
                    udp: [RelayAddress("192.0.2.\(first)", over: .udp)].compactMap(\.self),
                    secretFile: "/secret",
                    region: chance(2) ? "eu" : nil
                )
            )
        case 24: return .removeRelay(RelayID("y\(first)"))
        default:
            return .upsertProvider(
                .init(
                    id: ProviderID("o\(first)"),
                    name: "O\(first)",
                    issuer: "https://o\(first).example",
                    clientID: "culvert"
                )
            )
        }
    }

    private mutating func resource(_ index: Int) -> Directory.Resource {
        let addresses: [ResourceAddress] = [
            .name("r\(index).example.com"), .name("*.r\(index).example.com"), .internet,
            .prefix(
                IPPrefix(IPAddress(ipv4: 0x0a00_0000 + UInt32(index) << 16), bitCount: 16)
                    ?? IPPrefix(host: IPAddress(ipv4: 1))
            ),
        ]
        let address = addresses[number() % 4]
        var isName = false
        if case .name = address { isName = true }
        return .init(
            id: ResourceID("r\(index)"),
            name: "R\(index)",
            address: address,
            family: isName && chance(3) ? .ipv4 : .both,
            filters: chance(2) ? [Filter(.tcp, ports: 443...443), Filter(.icmp)] : [],
            site: SiteID("s\(number())")
        )
    }

    private mutating func policy() -> Directory.Policy {
        .init(
            id: PolicyID("p\(number() + Self.countMax * (number() % 3))"),
            group: GroupID("g\(number())"),
            resource: ResourceID("r\(number())"),
            conditions: conditions()
        )
    }

    private mutating func conditions() -> Conditions {
        var conditions = Conditions()
        if chance(4) { conditions.from = [IPPrefix("203.0.113.0/24")].compactMap(\.self) }
        if chance(6) { conditions.notFrom = [IPPrefix("203.0.113.7/32")].compactMap(\.self) }
        if chance(6) { conditions.countries = ["NL", "DE"] }
        if chance(8) { conditions.notCountries = ["FR"] }
        if chance(3) {
            let start = Int.random(in: 0..<24, using: &random) * 60
            let end = Int.random(in: 1...24, using: &random) * 60
            conditions.hours = Hours(
                zone: chance(8) ? "Mars/Olympus" : "Europe/Amsterdam",
                days: Weekdays(rawValue: UInt8.random(in: 1...127, using: &random)),
                times: [Hours.TimeRange(start: start, end: end)].compactMap(\.self)
            )
        }
        if chance(8) { conditions.providers = [ProviderID("o\(number())")] }
        if chance(8) { conditions.verified = true }
        if chance(8) { conditions.version = VersionRequirement(">=1.1, <3") }
        if chance(8) { conditions.systems = ["linux"] }
        return conditions
    }

    private mutating func client(_ index: Int) -> Directory.Client {
        let versions = ["1.0", "1.1", "1.10", "3"]
        return .init(
            id: ClientID("c\(index)"),
            actor: ActorID("a\(number())"),
            name: "C\(index)",
            device: Device(
                isVerified: chance(2),
                version: chance(5) ? nil : SoftwareVersion(versions[number() % 4]),
                system: chance(5) ? nil : chance(3) ? "macos" : "linux"
            )
        )
    }

    mutating func context() -> Context {
        var zones = ZoneOffsets()
        zones["Europe/Amsterdam"] = ZoneOffsets.Zone(
            offsetSeconds: 3_600,
            transitions: [
                .init(at: WallTime(seconds: 1_774_746_000), offsetSeconds: 7_200),
                .init(at: WallTime(seconds: 1_792_890_000), offsetSeconds: 3_600),
            ]
        )
        let remotes: [IPAddress?] = [
            IPAddress("203.0.113.7"), IPAddress("203.0.113.9"), IPAddress("192.0.2.1"), nil,
        ]
        return Context(
            now: WallTime(seconds: Int64.random(in: 1_774_000_000...1_794_000_000, using: &random)),
            remote: remotes[number() % 4],
            country: ["NL", "FR", "DE", nil][number() % 4],
            provider: chance(2) ? ProviderID("o\(number())") : nil,
            zones: zones
        )
    }
}

/// Decisions by looking at everything, one policy after the other.
enum NaivePolicy {
    static func decide(
        _ directory: Directory,
        _ client: ClientID,
        _ resource: ResourceID,
        _ context: Context
    ) -> (until: WallTime?, policy: PolicyID)? {
        guard let client = directory.clients.first(where: { $0.id == client }),
            let actor = directory.actors.first(where: { $0.id == client.actor }),
            !actor.isDisabled, directory.resources.contains(where: { $0.id == resource })
        else { return nil }
        var allowed: [(until: WallTime?, policy: PolicyID)] = []
        for policy in directory.policies where policy.resource == resource {
            let group = directory.groups.first { $0.id == policy.group }
            guard group?.members.contains(client.actor) == true,
                holds(policy.conditions, client.device, context)
            else { continue }
            let zone = policy.conditions.hours.flatMap { context.zones[$0.zone] }
            let until = zone.flatMap { zone in
                policy.conditions.hours?.nextChange(after: context.now, in: zone)
            }
            allowed.append((until, policy.id))
        }
        return allowed.sorted { left, right in
            let (mine, theirs) = (left.until?.seconds ?? .max, right.until?.seconds ?? .max)
            return mine != theirs ? mine > theirs : left.policy < right.policy
        }.first
    }

    private static func holds(
        _ conditions: Conditions,
        _ device: Device,
        _ context: Context
    ) -> Bool {
        if !conditions.from.isEmpty || !conditions.notFrom.isEmpty {
            guard let remote = context.remote else { return false }
            let inside = conditions.from.filter { $0.contains(remote) }.count
            if !conditions.from.isEmpty, inside == 0 { return false }
            for prefix in conditions.notFrom where prefix.contains(remote) { return false }
        }
        if !conditions.countries.isEmpty || !conditions.notCountries.isEmpty {
            guard let country = context.country else { return false }
            if !conditions.countries.isEmpty, !conditions.countries.contains(country) {
                return false
            }
            if conditions.notCountries.contains(country) { return false }
        }
        if let hours = conditions.hours {
            guard let zone = context.zones[hours.zone] else { return false }
            if !hours.contains(context.now, in: zone) { return false }
        }
        if !conditions.providers.isEmpty {
            guard let provider = context.provider else { return false }
            if !conditions.providers.contains(provider) { return false }
        }
        if conditions.verified, !device.isVerified { return false }
        if let wanted = conditions.version {
            guard let version = device.version else { return false }
            if !wanted.admits(version) { return false }
        }
        if !conditions.systems.isEmpty {
            guard let system = device.system else { return false }
            if !conditions.systems.contains(system) { return false }
        }
        return true
    }
}
