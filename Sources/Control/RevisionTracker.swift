/// Follows the revisions of one channel and notices when something was missed.
///
/// ```
/// nothing ──welcome──▶ following ──gap or another instance──▶ waiting ──welcome──▶ following
/// ```
///
/// It survives reconnects: what it followed last goes into the next hello.
public struct RevisionTracker: Hashable, Sendable {
    /// What to do with a message that carries a revision.
    public enum Verdict: Hashable, Sendable {
        /// It is the next one: apply it.
        case apply
        /// It was applied before, or a welcome is on its way: ignore it.
        case ignore
        /// Something was missed: ignore it, and ask for welcome.
        case resync(reason: String)
    }

    private enum State: Hashable, Sendable {
        case nothing
        case following
        case waiting
    }

    private var state = State.nothing
    /// The portal's run that was followed last.
    public private(set) var instance: String?
    /// The last revision applied.
    public private(set) var revision: UInt64?

    public init() {}

    /// The whole state came; always to be applied.
    public mutating func welcome(instance: String, revision: UInt64) {
        state = .following
        (self.instance, self.revision) = (instance, revision)
    }

    /// Changes came that lead to `revision`.
    public mutating func changes(to revision: UInt64) -> Verdict {
        switch state {
        case .waiting: return .ignore
        case .nothing:
            state = .waiting
            return .resync(reason: "changes came before the first welcome")
        case .following:
            let last = self.revision ?? 0
            guard revision > last else { return .ignore }
            guard revision == last + 1 else {
                state = .waiting
                return .resync(reason: "revision \(revision) came after \(last)")
            }
            self.revision = revision
            return .apply
        }
    }

    /// Something of this channel could not be read: what is known may be wrong from now on.
    public mutating func unreadable() -> Verdict {
        guard state != .waiting else { return .ignore }
        state = .waiting
        return .resync(reason: "a message could not be read")
    }

    /// A new connection: what was asked for on the old one will not come.
    public mutating func reconnected() {
        if state == .waiting {
            (instance, revision) = (nil, nil)
            state = .nothing
        }
    }
}
