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
    /// The portal does not listen when a gateway says that it does not reach a resource.
    case ignoreReach = "ignore-reach"
    /// What a gateway leaves for the next process is given to two of them, one after the other.
    case resumeTwice = "resume-twice"
    /// The client's host puts questions that are for a site to its own nameserver.
    case askOutside = "ask-outside"
    /// The client's host loses the second piece of each datagram that it cuts.
    case losePieces = "lose-pieces"
    /// The client's host does not say that its nameservers are others.
    case keepResolvers = "keep-resolvers"
}

extension Scene {
    /// Makes the mistake from now on.
    func make(_ mistake: Mistake) {
        switch mistake {
        case .skipDeadline: client.skipsDeadlines = true
        case .dropPermissionRefresh:
            var first: [String: Instant] = [:]
            internet.isDropped = { [unowned world] bytes, sender, remote in
                guard STUNMessage.isSTUN(bytes.rawSpan),
                    let message = try? STUNMessage(bytes.rawSpan),
                    message.messageClass == .request,
                    message.method == .createPermission || message.method == .channelBind
                else { return false }
                // What was asked before, and is not just a repetition, is a refresh.
                return message.peerAddresses.contains { peer in
                    let key = "\(sender.name) \(remote) \(message.method) \(peer)"
                    let since = first[key, default: world.now]
                    first[key] = since
                    return since.duration(to: world.now) > .seconds(60)
                }
            }
        case .acceptStaleMapping: portal.believesFirstCandidates = true
        case .ignoreReach: portal.ignoresReach = true
        case .askOutside: client.asksOutside = true
        case .losePieces: client.losesPieces = true
        case .keepResolvers: client.keepsResolvers = true
        case .resumeTwice: for gateway in gateways { gateway.resumesTwice = true }
        }
    }
}
