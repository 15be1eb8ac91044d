internal import Control
internal import DNS
internal import IP

// Checks of what concerns addresses, names and conditions.
extension Directory {
    func check(_ resource: Resource) throws(ChangeError) {
        try checkName(resource.name, resource, in: resources)
        try checkExists(resource.site, in: sites, "site", field: "site")
        guard resource.filters.count <= ChannelLimits.filters else {
            throw ChangeError(field: "filters", .tooLong(countMax: ChannelLimits.filters))
        }
        switch resource.address {
        case .name(let pattern): try checkNames(of: resource, pattern)
        case .prefix(let prefix): try check(prefix)
        case .internet: break
        }
        guard case .name = resource.address else {
            if resource.alias != nil { throw ChangeError(field: "alias", .namesOnly) }
            if resource.family != .both { throw ChangeError(field: "family", .namesOnly) }
            return
        }
    }

    private func checkNames(of resource: Resource, _ pattern: String) throws(ChangeError) {
        try checkPattern(pattern, field: "address")
        if let alias = resource.alias {
            try checkPattern(alias, field: "alias")
            guard Self.form(pattern) != nil, Self.form(pattern) == Self.form(alias) else {
                throw ChangeError(field: "alias", .aliasForm)
            }
        }
        let field = resource.alias == nil ? "address" : "alias"
        guard let host = portal?.host, let name = Name(host),
            let seen = resource.pattern.flatMap({ try? NamePattern($0) })
        else { return }
        if seen.matches(name) { throw ChangeError(field: field, .coversPortal(host: host)) }
    }

    private func checkPattern(_ text: String, field: String) throws(ChangeError) {
        do {
            guard try ResourceAddress.canonicalName(text) == text else {
                throw ChangeError(field: field, .badAddress(.badAddress(text)))
            }
        } catch let error as AddressError {
            throw ChangeError(field: field, .badAddress(error))
        } catch {
            throw ChangeError(field: field, .badAddress(.badAddress(text)))
        }
    }

    /// How many labels with wildcards stand before the literal ones, for forms that can be mapped
    /// one to one: a name, and `*.` with a name.
    private static func form(_ pattern: String) -> Int? {
        let isBelow = pattern.hasPrefix("*.")
        let rest = isBelow ? pattern.dropFirst(2) : pattern[...]
        return rest.contains { $0 == "*" || $0 == "?" } ? nil : isBelow ? 1 : 0
    }

    private func check(_ prefix: IPPrefix) throws(ChangeError) {
        for own in addresses.all where own.overlaps(prefix) {
            throw ChangeError(field: "address", .overlapsOwnRange(range: own.description))
        }
        if let host = portal?.host, let address = IPAddress(host), prefix.contains(address) {
            throw ChangeError(field: "address", .coversPortal(host: host))
        }
    }

    func check(_ plan: AddressPlan) throws(ChangeError) {
        let lists = [
            ("tunnel", plan.tunnel, 8), ("proxies", plan.proxies, 8),
            ("sentinels", plan.sentinels, 4),
        ]
        for (field, prefixes, bitsMin) in lists {
            guard !prefixes.isEmpty else { throw ChangeError(field: field, .missing) }
            guard Set(prefixes.map(\.family)).count == prefixes.count else {
                throw ChangeError(field: field, .twiceOneFamily)
            }
            for prefix in prefixes where prefix.family.bitCount - prefix.bitCount < bitsMin {
                throw ChangeError(field: field, .rangeTooSmall(prefix.description))
            }
        }
        for tunnel in plan.tunnel {
            for other in plan.proxies + plan.sentinels where other.overlaps(tunnel) {
                throw ChangeError(field: "tunnel", .overlapsOwnRange(range: other.description))
            }
        }
        // Sentinels may lie inside the proxies' range: they are never handed out. Not the reverse.
        for sentinel in plan.sentinels {
            for proxies in plan.proxies
            where sentinel.overlaps(proxies) && sentinel.bitCount <= proxies.bitCount {
                throw ChangeError(field: "sentinels", .overlapsOwnRange(range: proxies.description))
            }
        }
        for resource in resources {
            guard case .prefix(let prefix) = resource.address else { continue }
            if plan.all.contains(where: { $0.overlaps(prefix) }) {
                throw ChangeError(field: "addresses", .overlapsResource(name: resource.name))
            }
        }
    }

    func check(_ policy: Policy) throws(ChangeError) {
        try checkExists(policy.group, in: groups, "group", field: "group")
        try checkExists(policy.resource, in: resources, "resource", field: "resource")
        let conditions = policy.conditions
        let counts = [
            ("conditions.from", conditions.from.count + conditions.notFrom.count),
            ("conditions.countries", conditions.countries.count + conditions.notCountries.count),
            ("conditions.providers", conditions.providers.count),
            ("conditions.client.os", conditions.systems.count),
        ]
        for (field, count) in counts where count > Conditions.Limits.entries {
            throw ChangeError(field: field, .tooLong(countMax: Conditions.Limits.entries))
        }
        for country in conditions.countries + conditions.notCountries
        where country.utf8.count != 2 || !country.utf8.allSatisfy({ (65...90).contains($0) }) {
            throw ChangeError(field: "conditions.countries", .badCountry(country))
        }
        for provider in conditions.providers {
            try checkExists(provider, in: providers, "provider", field: "conditions.providers")
        }
        if let hours = conditions.hours { try check(hours) }
    }

    private func check(_ hours: Hours) throws(ChangeError) {
        guard !hours.days.isEmpty else {
            throw ChangeError(field: "conditions.hours", .neverTrue)
        }
        guard hours.times.count <= Hours.Limits.times else {
            throw ChangeError(field: "conditions.hours", .tooLong(countMax: Hours.Limits.times))
        }
        guard Self.isZoneName(hours.zone) else {
            throw ChangeError(field: "conditions.hours.zone", .badZone(hours.zone))
        }
    }

    /// Whether `text` has the form of a zone's name; which zones there are is for the edge to know.
    static func isZoneName(_ text: String) -> Bool {
        guard (1...64).contains(text.utf8.count), !text.hasPrefix("/"), !text.hasSuffix("/") else {
            return false
        }
        return text.utf8.allSatisfy { byte in
            switch byte {
            case 48...57, 65...90, 97...122, UInt8(ascii: "/"), UInt8(ascii: "_"),
                UInt8(ascii: "-"), UInt8(ascii: "+"):
                true
            default: false
            }
        }
    }

    func check(_ settings: DNSSettings) throws(ChangeError) {
        try checkUpstreams(settings.upstreams, field: "upstreams")
        guard settings.zones.count <= Limits.zones else {
            throw ChangeError(field: "zones", .tooLong(countMax: Limits.zones))
        }
        var names: Set<String> = []
        for zone in settings.zones {
            guard ResourceAddress.isHostName(zone.name), let name = Name(zone.name) else {
                throw ChangeError(field: "zones", .badAddress(.badAddress(zone.name)))
            }
            guard names.insert(name.description.lowercased()).inserted else {
                throw ChangeError(field: "zones", .nameTaken(zone.name))
            }
            guard !zone.upstreams.isEmpty else { throw ChangeError(field: "zones", .missing) }
            try checkUpstreams(zone.upstreams, field: "zones")
        }
        if let search = settings.search, !ResourceAddress.isHostName(search) {
            throw ChangeError(field: "search", .badAddress(.badAddress(search)))
        }
    }

    private func checkUpstreams(_ upstreams: [String], field: String) throws(ChangeError) {
        guard upstreams.count <= Limits.upstreams else {
            throw ChangeError(field: field, .tooLong(countMax: Limits.upstreams))
        }
        for text in upstreams {
            guard let upstream = Upstream(text) else {
                throw ChangeError(field: field, .badUpstream(text))
            }
            guard let address = upstream.address else { continue }
            for own in addresses.sentinels where own.contains(address) {
                throw ChangeError(field: field, .overlapsOwnRange(range: own.description))
            }
        }
    }
}
