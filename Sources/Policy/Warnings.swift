internal import DNS
public import Control

/// What is accepted, and does not do yet what somebody would expect of it.
extension Directory {
    /// Whether the conditions of `policy` can hold at all, and if not, why, in a sentence.
    public func warnings(of policy: Policy) -> [String] {
        var found: [String] = []
        let conditions = policy.conditions
        if !conditions.countries.isEmpty || !conditions.notCountries.isEmpty {
            found.append(
                "it asks for a country, and this version knows of no address in which country it "
                    + "is: nobody gets in by this policy."
            )
        }
        if !conditions.providers.isEmpty {
            found.append(
                "it asks for a sign-in through an identity provider, which this version does not "
                    + "offer: nobody gets in by this policy."
            )
        }
        return found
    }

    /// What of `settings` clients leave out so far, each in a sentence.
    public static func warnings(of settings: DNSSettings) -> [String] {
        var found: [String] = []
        for text in settings.upstreams where Upstream(text).map({ $0.transport != .plain }) ?? false
        {
            found.append(
                "clients of this version ask no nameserver over TLS or HTTPS, and leave \(text) out."
            )
        }
        if !settings.zones.isEmpty {
            found.append(
                "clients of this version ignore nameservers of single zones; names of "
                    + "\(settings.zones.map(\.name).joined(separator: ", ")) are asked of "
                    + "“upstreams” like any other."
            )
        }
        return found
    }
}

extension Planner {
    /// Warns of what the file says and is not done yet, whether it is new or not.
    mutating func warn(of configuration: Configuration) {
        if configuration.policies != nil {
            for policy in next.ordered(next.policies) {
                for sentence in next.warnings(of: policy) { warn(subject(policy), sentence) }
            }
        }
        if let dns = configuration.dns {
            for sentence in Directory.warnings(of: dns) { warn("dns", sentence) }
        }
    }

    private mutating func warn(_ subject: String, _ sentence: String) {
        plan.warnings.append(Plan.Line(sign: .warn, subject: subject, details: sentence))
    }
}
