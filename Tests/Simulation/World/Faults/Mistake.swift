internal import Bytes
internal import SansIO
internal import STUN

/// Mistakes that hosts make on purpose, at the edge of the cores: a simulation that does not find
/// them would not find them in a core either.
public enum Mistake: String, Sendable, CaseIterable {
    /// The client's host sleeps through a deadline now and then.
    case skipDeadline = "skip-deadline"
    /// No refresh of a permission or channel reaches a relay.
    case dropPermissionRefresh = "drop-permission-refresh"
    /// The portal goes on telling where a role could be reached at first, whatever it says later.
    case acceptStaleMapping = "accept-stale-mapping"
}

extension Scene {
    /// Makes the mistake from now on.
    func make(_ mistake: Mistake) {
        switch mistake {
        case .skipDeadline: client.skipsDeadlines = true
        case .dropPermissionRefresh:
            internet.isDropped = { bytes, _, _ in
                guard STUNMessage.isSTUN(bytes.rawSpan),
                    let message = try? STUNMessage(bytes.rawSpan),
                    message.messageClass == .request
                else { return false }
                return message.method == .createPermission || message.method == .channelBind
            }
        case .acceptStaleMapping: portal.believesFirstCandidates = true
        }
    }
}
