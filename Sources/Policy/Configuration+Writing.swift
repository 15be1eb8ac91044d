internal import Control
internal import IP

extension Configuration {
    /// What a directory says, sections and their elements in order of their names.
    public init(exporting directory: Directory) {
        self.init()
        func byName<Row: TableRow>(_ table: Table<Row>, _ name: (Row) -> String) -> [Row] {
            table.sorted { (name($0).lowercased(), $0.id) < (name($1).lowercased(), $1.id) }
        }
        if !directory.account.isEmpty { account = directory.account }
        sites = byName(directory.sites, \.name).map { Site(name: $0.name) }
        resources = byName(directory.resources, \.name).map { resource in
            Resource(
                name: resource.name,
                address: resource.address,
                alias: resource.alias,
                site: directory.sites[resource.site]?.name ?? "",
                allow: resource.filters,
                family: resource.family
            )
        }
        groups = byName(directory.groups, \.name).map { group in
            let members = group.members.compactMap { directory.actors[$0]?.name }
            return Group(name: group.name, members: members.sorted())
        }
        policies = byName(directory.policies) { policy in
            let group = directory.groups[policy.group]?.name ?? ""
            return "\(group)\u{0}\(directory.resources[policy.resource]?.name ?? "")"
        }.map { policy in
            var conditions = policy.conditions
            conditions.providers = []
            return Policy(
                group: directory.groups[policy.group]?.name ?? "",
                resource: directory.resources[policy.resource]?.name ?? "",
                conditions: conditions,
                providers: policy.conditions.providers.compactMap { directory.providers[$0]?.name }
            )
        }
        dns = directory.dns
        addresses = directory.addresses
        providers = byName(directory.providers, \.name).map { provider in
            Provider(
                name: provider.name,
                issuer: provider.issuer,
                clientID: provider.clientID,
                clientSecretFile: provider.clientSecretFile
            )
        }
        relays = byName(directory.relays, \.name).map { relay in
            Relay(
                name: relay.name,
                udp: relay.udp,
                tcp: relay.tcp,
                tls: relay.tls,
                secretFile: relay.secretFile,
                region: relay.region
            )
        }
        tests = directory.tests
    }

    /// The document that ``init(_:)`` reads back to the same.
    public var node: Node {
        var writer = SectionWriter()
        writer.add("account", account)
        writer.add("sites", sites) { site, section in section.add("name", site.name) }
        writer.add("resources", resources) { $0.write(to: &$1) }
        writer.add("groups", groups) { group, section in
            section.add("name", group.name)
            section.add("members", words: group.members)
        }
        writer.add("policies", policies) { $0.write(to: &$1) }
        if let dns { writer.add("dns") { Self.write(dns, to: &$0) } }
        if let addresses {
            writer.add("addresses") { section in
                section.add("tunnel", words: addresses.tunnel.map(\.description))
                section.add("proxies", words: addresses.proxies.map(\.description))
                section.add("sentinels", words: addresses.sentinels.map(\.description))
            }
        }
        writer.add("providers", providers) { provider, section in
            section.add("name", provider.name)
            section.add("issuer", provider.issuer)
            section.add("client_id", provider.clientID)
            section.add("client_secret_file", provider.clientSecretFile)
        }
        writer.add("relays", relays) { relay, section in
            section.add("name", relay.name)
            section.addSome("udp", relay.udp.map(\.description))
            section.addSome("tcp", relay.tcp.map(\.description))
            section.addSome("tls", relay.tls.map(\.description))
            section.add("region", relay.region)
            section.add("secret_file", relay.secretFile)
        }
        writer.add("tests", tests) { Self.write($0, to: &$1) }
        return writer.node
    }

    private static func write(_ dns: DNSSettings, to section: inout SectionWriter) {
        section.add("upstreams", words: dns.upstreams)
        if !dns.zones.isEmpty {
            section.add("zones") { zones in
                for zone in dns.zones { zones.add(zone.name, words: zone.upstreams) }
            }
        }
        section.add("search", dns.search)
    }

    private static func write(_ test: PolicyTest, to section: inout SectionWriter) {
        section.add("who", test.who)
        section.add("reach", test.reach.description)
        section.add("from", test.from?.description)
        section.add("country", test.country)
        section.add("provider", test.provider)
        section.add("at", test.at?.description)
        if test.device.isVerified { section.add("verified", "true") }
        if test.device.version != nil || test.device.system != nil {
            section.add("client") { client in
                client.add("version", test.device.version?.description)
                client.add("os", test.device.system)
            }
        }
        section.add("expect", test.expect.rawValue)
    }
}

extension Configuration.Resource {
    fileprivate func write(to section: inout SectionWriter) {
        section.add("name", name)
        section.add("address", address.text)
        section.add("alias", alias)
        section.add("site", site)
        if !allow.isEmpty { section.add("allow", words: allow.map(\.description)) }
        if family != .both { section.add("family", family.rawValue) }
    }
}

extension Configuration.Policy {
    fileprivate func write(to section: inout SectionWriter) {
        section.add("group", group)
        section.add("resource", resource)
        guard !conditions.isEmpty || !providers.isEmpty else { return }
        section.add("when") { when in
            when.addSome("from", conditions.from.map(\.description))
            when.addSome("not_from", conditions.notFrom.map(\.description))
            when.addSome("countries", conditions.countries)
            when.addSome("not_countries", conditions.notCountries)
            if let hours = conditions.hours {
                when.add("hours") { section in
                    section.add("zone", hours.zone)
                    section.add("days", hours.days == .all ? nil : hours.days.description)
                    section.addSome("times", hours.times.map(\.description))
                }
            }
            when.addSome("providers", providers)
            if conditions.verified { when.add("verified", "true") }
            if conditions.version != nil || !conditions.systems.isEmpty {
                when.add("client") { client in
                    client.add("version", conditions.version?.description)
                    client.addSome("os", conditions.systems)
                }
            }
        }
    }
}

/// Gathers the entries of a section, leaving out what is nil.
private struct SectionWriter {
    private var entries: [Node.Entry] = []

    var node: Node { Node(.map(entries)) }

    mutating func add(_ key: String, _ word: String?) {
        if let word { entries.append(Node.Entry(key: key, value: Node(.scalar(word)))) }
    }

    mutating func add(_ key: String, words: [String]) {
        let list = words.map { Node(.scalar($0)) }
        entries.append(Node.Entry(key: key, value: Node(.list(list))))
    }

    mutating func addSome(_ key: String, _ words: [String]) {
        if !words.isEmpty { add(key, words: words) }
    }

    mutating func add(_ key: String, _ write: (inout SectionWriter) -> Void) {
        var section = SectionWriter()
        write(&section)
        entries.append(Node.Entry(key: key, value: section.node))
    }

    mutating func add<Element>(
        _ key: String,
        _ elements: [Element]?,
        _ write: (Element, inout SectionWriter) -> Void
    ) {
        guard let elements else { return }
        let list = elements.map { element in
            var section = SectionWriter()
            write(element, &section)
            return section.node
        }
        entries.append(Node.Entry(key: key, value: Node(.list(list))))
    }
}
