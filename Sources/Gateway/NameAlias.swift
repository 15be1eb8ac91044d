internal import DNS

/// What clients ask for, and what the gateway resolves instead.
///
/// `wiki.berlin.example` for `wiki.fritz.box`, `*.berlin.example` for `*.fritz.box`: the labels
/// that a wildcard stands for stay, the fixed tail is exchanged.
struct NameAlias: Sendable {
    let asked: NamePattern
    private let real: NamePattern
    private let isSame: Bool

    init(asked: String, real: String) throws(GrantRefusal) {
        do { self.asked = try NamePattern(asked) } catch { throw .unreadablePattern(asked) }
        do { self.real = try NamePattern(real) } catch { throw .unreadablePattern(real) }
        isSame = self.asked == self.real
        guard isSame || self.asked.isLiteral == self.real.isLiteral else {
            throw .unusableAlias(alias: asked, address: real)
        }
    }

    /// The name to resolve for `name`; nil unless the patterns cover both.
    func realName(of name: Name) -> Name? {
        isSame && asked.matches(name) ? name : Self.exchanged(name, asked, for: real)
    }

    /// What clients call `name`, where that is one that the resource stands for.
    func askedName(of name: Name) -> Name? {
        isSame ? nil : Self.exchanged(name, real, for: asked)
    }

    private static func exchanged(
        _ name: Name,
        _ from: NamePattern,
        for other: NamePattern
    ) -> Name? {
        let tail = from.literalSuffix
        guard from.matches(name), name.isAtOrBelow(tail) else { return nil }
        let kept = name.labels.dropLast(tail.labelCount)
        guard let exchanged = try? Name(labels: kept + other.literalSuffix.labels),
            other.matches(exchanged)
        else { return nil }
        return exchanged
    }
}
