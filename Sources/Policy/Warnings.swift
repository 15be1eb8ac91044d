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
}

extension Planner {
    /// Warns of what the file says and is not done yet, whether it is new or not.
    mutating func warn(of configuration: Configuration) {
        if configuration.policies != nil {
            for policy in next.ordered(next.policies) {
                for sentence in next.warnings(of: policy) { warn(subject(policy), sentence) }
            }
        }
    }

    private mutating func warn(_ subject: String, _ sentence: String) {
        plan.warnings.append(Plan.Line(sign: .warn, subject: subject, details: sentence))
    }
}
