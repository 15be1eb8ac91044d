internal import Control
internal import IP

extension Configuration {
    /// Reads a document.
    ///
    /// Everything that is wrong is told at once: unknown keys, missing ones, values that are not
    /// understood, each with its place.
    public init(_ node: Node) throws(ConfigurationError) {
        var reader = SectionReader(node, "The configuration")
        self.init(&reader)
        let problems = reader.finish().sorted { $0.place < $1.place }
        guard problems.isEmpty else { throw ConfigurationError(problems: problems) }
    }

    /// Reads several documents as one; a section may stand in several of them where it is a list.
    public init(documents: [Node]) throws(ConfigurationError) {
        self.init()
        var problems: [ConfigurationError.Problem] = []
        for node in documents {
            do {
                let part = try Configuration(node)
                problems += merge(part, at: node.place)
            } catch {
                problems += error.problems
            }
        }
        guard problems.isEmpty else { throw ConfigurationError(problems: problems) }
    }

    private mutating func merge(
        _ other: Configuration,
        at place: Node.Place
    ) -> [ConfigurationError.Problem] {
        var problems: [ConfigurationError.Problem] = []
        func only<Value>(_ mine: Value?, _ theirs: Value?, _ key: String) -> Value? {
            if mine != nil, theirs != nil {
                let sentence = "“\(key)” stands in another file already; keep one."
                problems.append(ConfigurationError.Problem(place: place, sentence: sentence))
            }
            return mine ?? theirs
        }
        func both<Value>(_ mine: [Value]?, _ theirs: [Value]?) -> [Value]? {
            mine.map { $0 + (theirs ?? []) } ?? theirs
        }
        account = only(account, other.account, "account")
        dns = only(dns, other.dns, "dns")
        addresses = only(addresses, other.addresses, "addresses")
        sites = both(sites, other.sites)
        resources = both(resources, other.resources)
        groups = both(groups, other.groups)
        policies = both(policies, other.policies)
        providers = both(providers, other.providers)
        relays = both(relays, other.relays)
        tests = both(tests, other.tests)
        places = Places(places, other.places)
        return problems
    }

    private init(_ reader: inout SectionReader) {
        places = reader.places
        account = reader.text("account")
        sites = reader.sections("sites") { Site(&$0) }
        resources = reader.sections("resources") { Resource(&$0) }
        groups = reader.sections("groups") { Group(&$0) }
        policies = reader.sections("policies") { Policy(&$0) }
        dns = reader.section("dns") { Self.dns(&$0) }
        addresses = reader.section("addresses") { section in
            AddressPlan(
                tunnel: section.list("tunnel", Parse.prefix) ?? AddressPlan.standard.tunnel,
                proxies: section.list("proxies", Parse.prefix) ?? AddressPlan.standard.proxies,
                sentinels: section.list("sentinels", Parse.prefix)
                    ?? AddressPlan.standard.sentinels
            )
        }
        providers = reader.sections("providers") { Provider(&$0) }
        relays = reader.sections("relays") { Relay(&$0) }
        tests = reader.sections("tests") { Self.test(&$0) }
    }

    private static func dns(_ section: inout SectionReader) -> DNSSettings {
        let upstreams = section.list("upstreams", Parse.upstream) ?? []
        let zones = section.section("zones") { zones in
            zones.takeAll().map { entry in
                DNSSettings.Zone(
                    // What is no name is refused with the rest of the settings.
                    name: (try? ResourceAddress.canonicalName(entry.key)) ?? entry.key,
                    upstreams: zones.list(entry.key, Parse.upstream) ?? []
                )
            }
        }
        return DNSSettings(
            upstreams: upstreams,
            zones: zones ?? [],
            search: section.value("search", Parse.name)
        )
    }

    private static func test(_ section: inout SectionReader) -> PolicyTest {
        var test = PolicyTest(
            who: section.requiredText("who"),
            reach: Destination(host: .name(""), port: 0),
            expect: .deny
        )
        section.require("reach")
        section.require("expect")
        if let reach = section.value("reach", Parse.destination) { test.reach = reach }
        if let expect = section.value("expect", Parse.expectation) { test.expect = expect }
        test.from = section.value("from", Parse.address)
        test.country = section.value("country", Parse.country)
        test.provider = section.text("provider")
        test.at = section.value("at", Parse.time)
        test.device.isVerified = section.value("verified", Parse.boolean) ?? false
        section.section("client") { client in
            test.device.version = client.value("version", Parse.version)
            test.device.system = client.text("os")?.lowercased()
        }
        return test
    }
}

extension Configuration.Site {
    fileprivate init(_ section: inout SectionReader) {
        places = section.places
        name = section.requiredText("name")
    }
}

extension Configuration.Group {
    fileprivate init(_ section: inout SectionReader) {
        places = section.places
        name = section.requiredText("name")
        members = section.list("members") { .success($0) } ?? []
    }
}

extension Configuration.Provider {
    fileprivate init(_ section: inout SectionReader) {
        places = section.places
        name = section.requiredText("name")
        issuer = section.requiredText("issuer")
        clientID = section.requiredText("client_id")
        clientSecretFile = section.text("client_secret_file")
    }
}

extension Configuration.Resource {
    fileprivate init(_ section: inout SectionReader) {
        places = section.places
        name = section.requiredText("name")
        section.require("address")
        address = section.value("address", Parse.resourceAddress) ?? .internet
        alias = section.value("alias", Parse.name)
        site = section.requiredText("site")
        allow = section.list("allow", Parse.filter) ?? []
        family = section.value("family", Parse.family) ?? .both
    }
}

extension Configuration.Relay {
    fileprivate init(_ section: inout SectionReader) {
        places = section.places
        name = section.requiredText("name")
        func addresses(_ key: String, _ transport: RelayAddress.Transport) -> [RelayAddress] {
            section.list(key) { Parse.relayAddress($0, transport) } ?? []
        }
        let both = addresses("address", .udp)
        (udp, tcp, tls) = (addresses("udp", .udp), addresses("tcp", .tcp), addresses("tls", .tls))
        if section.take("address") != nil {
            if !udp.isEmpty || !tcp.isEmpty {
                let sentence = "“address” stands for both “udp” and “tcp”; write it or them."
                section.report(sentence, at: section.place)
            }
            (udp, tcp) = (both, both)
        } else if !section.has("udp"), !section.has("tcp"), !section.has("tls") {
            section.require("address")
        }
        secretFile = section.requiredText("secret_file")
        region = section.text("region")
    }
}

extension Configuration.Policy {
    fileprivate init(_ section: inout SectionReader) {
        places = section.places
        group = section.requiredText("group")
        resource = section.requiredText("resource")
        var conditions = Conditions()
        var providers: [String] = []
        section.section("when") { when in
            conditions.from = when.list("from", Parse.prefix) ?? []
            conditions.notFrom = when.list("not_from", Parse.prefix) ?? []
            conditions.countries = when.list("countries", Parse.country) ?? []
            conditions.notCountries = when.list("not_countries", Parse.country) ?? []
            conditions.hours = when.section("hours") { Self.hours(&$0) }
            providers = when.list("providers") { .success($0) } ?? []
            conditions.verified = when.value("verified", Parse.boolean) ?? false
            when.section("client") { client in
                conditions.version = client.value("version", Parse.requirement)
                conditions.systems = client.list("os") { .success($0.lowercased()) } ?? []
            }
        }
        (self.conditions, self.providers) = (conditions, providers)
    }

    private static func hours(_ section: inout SectionReader) -> Hours {
        let zone = section.requiredText("zone")
        let days = section.list("days", Parse.weekdays)
        let times = section.list("times", Parse.timeRange) ?? []
        let all = days?.reduce(into: Weekdays()) { $0.formUnion($1) } ?? .all
        return Hours(zone: zone, days: all, times: times)
    }
}
