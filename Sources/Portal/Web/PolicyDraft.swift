internal import Control
internal import Foundation
internal import IP
internal import Policy

/// A policy as somebody typed it.
struct PolicyDraft: Equatable {
    let group: String
    let resource: String
    let isVerified: Bool
    /// What was typed for each condition, by the field's name.
    private let texts: [String: String]

    private static let conditionFields: [(name: String, label: String, hint: String)] = [
        ("from", "From networks", "Such as 203.0.113.0/24; several with commas."),
        ("notFrom", "Not from networks", "Such as 198.51.100.0/24."),
        ("countries", "From countries", "Two letters each, such as NL, DE."),
        ("notCountries", "Not from countries", "Two letters each."),
        ("zone", "Time zone", "For the hours, such as Europe/Amsterdam."),
        ("days", "On days", "Such as mon-fri."),
        ("hours", "At times", "Such as 08:00-18:30; several with commas."),
        ("version", "Client version", "Such as >=1.1."),
        ("systems", "Operating systems", "Such as linux."),
        ("providers", "Signed in through", "Names of identity providers."),
    ]

    /// The fields that can show a fault.
    static let fieldNames = conditionFields.map(\.name) + ["group", "resource"]

    init(_ form: Form) {
        (group, resource) = (form["group"], form["resource"])
        isVerified = form["verified"] == "true"
        texts = Dictionary(
            uniqueKeysWithValues: Self.conditionFields.map { ($0.name, form[$0.name]) }
        )
    }

    init(_ policy: Directory.Policy, in directory: Directory) {
        let conditions = policy.conditions
        group = directory.groups[policy.group]?.name ?? ""
        resource = directory.resources[policy.resource]?.name ?? ""
        isVerified = conditions.verified
        func joined(_ values: [some CustomStringConvertible]) -> String {
            values.map(\.description).joined(separator: ", ")
        }
        texts = [
            "from": joined(conditions.from),
            "notFrom": joined(conditions.notFrom),
            "countries": joined(conditions.countries),
            "notCountries": joined(conditions.notCountries),
            "zone": conditions.hours?.zone ?? "",
            "days": conditions.hours.map { "\($0.days)" } ?? "",
            "hours": joined(conditions.hours?.times ?? []),
            "version": conditions.version.map { "\($0)" } ?? "",
            "systems": joined(conditions.systems),
            "providers": joined(conditions.providers.compactMap { directory.providers[$0]?.name }),
        ]
    }

    /// The policy that is meant; what cannot be understood is told with its field.
    func policy(_ id: PolicyID?, in directory: Directory) throws -> Directory.Policy {
        guard let group = directory.groups[named: group] else {
            throw FieldFault(field: "group", sentence: "Choose a group.")
        }
        guard let resource = directory.resources[named: resource] else {
            throw FieldFault(field: "resource", sentence: "Choose a resource.")
        }
        var random = SystemRandomNumberGenerator()
        return Directory.Policy(
            id: id ?? PolicyID(using: &random),
            group: group.id,
            resource: resource.id,
            conditions: try conditions(in: directory)
        )
    }

    /// The fields with what was typed, for the template.
    func fields(_ faults: [String: String]) -> [[String: Any]] {
        Self.conditionFields.map { field in
            let values: [String: Any?] = [
                "name": field.name, "label": field.label, "hint": field.hint,
                "value": texts[field.name], "fault": faults[field.name],
            ]
            return values.present
        }
    }

    private func conditions(in directory: Directory) throws -> Conditions {
        var conditions = Conditions()
        conditions.from = try networks("from")
        conditions.notFrom = try networks("notFrom")
        conditions.countries = words("countries").map { $0.uppercased() }
        conditions.notCountries = words("notCountries").map { $0.uppercased() }
        conditions.hours = try hours()
        conditions.verified = isVerified
        conditions.systems = words("systems").map { $0.lowercased() }
        if let text = texts["version"], !text.isEmpty {
            guard let version = VersionRequirement(text) else {
                throw FieldFault(
                    field: "version",
                    sentence: "“\(text)” is not a version; write such as >=1.1."
                )
            }
            conditions.version = version
        }
        conditions.providers = try words("providers").map { name in
            guard let provider = directory.providers[named: name] else {
                throw FieldFault(field: "providers", sentence: "There is no provider “\(name)”.")
            }
            return provider.id
        }
        return conditions
    }

    private func words(_ field: String) -> [String] {
        (texts[field] ?? "").split { $0 == "," || $0.isWhitespace }.map(String.init)
    }

    private func networks(_ field: String) throws -> [IPPrefix] {
        try words(field).map { word in
            guard let network = IPPrefix(word) else {
                throw FieldFault(
                    field: field,
                    sentence: "“\(word)” is not a network; write one such as 203.0.113.0/24."
                )
            }
            return network
        }
    }

    private func hours() throws -> Hours? {
        let (zone, days) = (texts["zone"] ?? "", texts["days"] ?? "")
        let ranges = words("hours")
        guard !zone.isEmpty || !days.isEmpty || !ranges.isEmpty else { return nil }
        guard !zone.isEmpty, TimeZone(identifier: zone) != nil else {
            let sentence = "Hours need a time zone; write one such as Europe/Amsterdam."
            throw FieldFault(field: "zone", sentence: sentence)
        }
        guard let week = days.isEmpty ? .all : Weekdays(days) else {
            throw FieldFault(
                field: "days",
                sentence: "“\(days)” are no days; write such as mon-fri, sun."
            )
        }
        let times = try ranges.map { word in
            guard let range = Hours.TimeRange(word) else {
                throw FieldFault(
                    field: "hours",
                    sentence: "“\(word)” is not a range of times; write such as 08:00-18:30."
                )
            }
            return range
        }
        return Hours(zone: zone, days: week, times: times)
    }
}
