public import Control
internal import DNS

extension StubResolver {
    /// Takes over the names that are protected, but not for us; nil means that there are none.
    ///
    /// They get proxy addresses like any protected name, so that their first packet asks the
    /// portal, which says why not.
    ///
    /// - Returns: Whether anything changed: caches on the host must be emptied then.
    public mutating func setWithheld(_ names: WithheldNames?) -> Bool {
        guard names != withheld else { return false }
        withheld = names
        withheldFingerprints = Set(names?.fingerprints ?? [])
        resourcesChanged()
        return true
    }

    /// What to call the resource that withholds `name`, and whether its pattern is the name alone;
    /// nil when none does. Asked only for names that no resource of ours matches.
    func withholding(_ name: Name) -> (id: ResourceID, isLiteral: Bool)? {
        guard let withheld, !withheldFingerprints.isEmpty else { return nil }
        let salt = withheld.salt
        let whole = Self.fingerprintText(name)
        let exact = WithheldNames.fingerprint(of: whole, isSuffix: false, salt: salt)
        if withheldFingerprints.contains(exact) { return (WithheldNames.resource(exact), true) }
        var tail: Name? = name
        while let suffix = tail, !suffix.isRoot {
            let text = Self.fingerprintText(suffix)
            let below = WithheldNames.fingerprint(of: text, isSuffix: true, salt: salt)
            if withheldFingerprints.contains(below) {
                return (WithheldNames.resource(below), false)
            }
            tail = suffix.parent
        }
        return nil
    }

    private static func fingerprintText(_ name: Name) -> String { name.description.lowercased() }
}
