internal import Lab

/// Who is right where tayga and we differ, and by which clause. `docs/translation.md` has each row.
struct TaygaVerdict {
    /// What is different.
    let what: String
    let tayga: String
    let ours: String
    /// The clause that decides.
    let clause: String
    /// The groups of inputs in which it occurs; none for any.
    let groups: Set<String>
    /// Beginnings of the findings that it explains.
    let findings: [String]
    /// Words of which an input's name has one, or all parts of one with a `+`; none for any.
    let words: [String]

    init(
        _ what: String,
        tayga: String,
        ours: String,
        _ clause: String,
        in groups: Set<String> = [],
        _ findings: [String],
        naming words: [String] = []
    ) {
        (self.what, self.tayga, self.ours, self.clause) = (what, tayga, ours, clause)
        (self.groups, self.findings, self.words) = (groups, findings, words)
    }

    /// Whether it explains a finding.
    func explains(_ finding: String, of one: TaygaCase) -> Bool {
        (groups.isEmpty || groups.contains(one.group))
            && findings.contains { finding.hasPrefix($0) }
            && (words.isEmpty
                || words.contains { $0.split(separator: "+").allSatisfy(one.name.contains) })
    }

    /// The row as `docs/translation.md` has it.
    var row: String { "| \(what) | \(tayga) | \(ours) | \(clause) |" }
}
