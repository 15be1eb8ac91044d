/// What happens to the gateway's part of the host's firewall, a sentence each.
public enum FirewallNote: Sendable, Equatable, CustomStringConvertible {
    /// Somebody removed or changed the table; it is there again.
    case restored(table: String)
    /// Somebody does so again and again.
    case fought(table: String)
    /// The table cannot be set, or the ruleset cannot be read.
    case lost(NftablesError)
    /// A chain that drops forwarded packets lets the tunnel's through now.
    case opened(chain: String, by: String)
    /// A chain drops forwarded packets, and only the administrator can help.
    case blocked(chain: String, command: String)
    /// Packets do not get through, and no chain is known to drop them.
    case unseen
    /// Nothing is known to drop packets of the tunnel any more.
    case passes

    /// What is to be said of a chain; nil: nothing new.
    init?(_ finding: ForwardAccess.Finding) {
        switch finding.outcome {
        case .opened(let means): self = .opened(chain: finding.chain.title, by: means)
        case .blocked(let command): self = .blocked(chain: finding.chain.title, command: command)
        case .open: return nil
        }
    }

    /// Whether somebody should look at it.
    public var isWarning: Bool {
        switch self {
        case .restored, .fought, .lost, .blocked, .unseen: true
        case .opened, .passes: false
        }
    }

    public var description: String {
        switch self {
        case .restored(let table):
            "The firewall table \(table) was removed or changed by somebody; it is set again."
        case .fought(let table):
            "The firewall table \(table) is removed again and again; it is set again every 10 s "
                + "only. Find out what loads a ruleset, and let it leave that table alone."
        case .lost(let error):
            "The firewall table cannot be kept, so packets of clients may leave with addresses "
                + "that nobody answers. \(error) It is tried again every 10 s."
        case .opened(let chain, let means):
            "\(chain) drops forwarded packets; the tunnel's get through by \(means)."
        case .blocked(let chain, let command):
            "\(chain) drops forwarded packets, so those of clients may not get out. Let them "
                + "through with: \(command)"
        case .unseen:
            "Packets come from the tunnel and do not get through this host's forwarding. A "
                + "firewall that nft does not list drops them; look at: iptables-legacy -S FORWARD"
        case .passes: "Packets of clients get through this host's forwarding now."
        }
    }
}

extension ForwardChain {
    /// The chain as a sentence begins with it.
    var title: String { "The firewall chain \(name) of table \(family) \(table)" }
}
