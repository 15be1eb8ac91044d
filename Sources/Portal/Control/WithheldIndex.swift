internal import Control
internal import DNS
internal import Policy

/// The fingerprints of all protected names, so that a client can be told which names to refuse
/// without being told the names.
struct WithheldIndex: Sendable {
    /// Bounds of what a client is told.
    enum Limits {
        /// Fingerprints in one list, some 400 KiB; names beyond are forwarded like any other.
        static let fingerprints = 16_384
    }

    private let salt: KeyText
    private var resources: [String: ResourceID] = [:]
    private var fingerprints: [(id: ResourceID, text: String)] = []

    init(salt: KeyText, _ directory: Directory) {
        self.salt = salt
        for resource in directory.resources {
            guard let text = Self.fingerprint(of: resource, salt) else { continue }
            if resources[text] == nil { resources[text] = resource.id }
            fingerprints.append((resource.id, text))
        }
    }

    /// The resource that a client asks for by its fingerprint; nil for none.
    func resource(_ fingerprint: String) -> ResourceID? { resources[fingerprint] }

    /// What somebody who sees `visible` must refuse; nil when nothing.
    func names(withoutAny visible: Set<ResourceID>) -> WithheldNames? {
        let texts = fingerprints.lazy.filter { !visible.contains($0.id) }
            .prefix(Limits.fingerprints).map(\.text)
        guard !texts.isEmpty else { return nil }
        return WithheldNames(salt: salt, fingerprints: Set(texts).sorted())
    }

    func isSame(as other: WithheldIndex) -> Bool { resources == other.resources }

    /// An exact name, or everything below a `*.` pattern; nil for any other pattern, whose fixed
    /// tail would catch neighbours.
    private static func fingerprint(of resource: Directory.Resource, _ salt: KeyText) -> String? {
        guard let text = resource.pattern?.lowercased(), let pattern = try? NamePattern(text) else {
            return nil
        }
        let name = pattern.literalSuffix.description.lowercased()
        if pattern.isLiteral {
            return WithheldNames.fingerprint(of: name, isSuffix: false, salt: salt)
        }
        guard text == "*." + name else { return nil }
        return WithheldNames.fingerprint(of: name, isSuffix: true, salt: salt)
    }
}
