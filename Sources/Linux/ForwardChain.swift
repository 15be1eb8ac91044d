/// A chain of somebody else's on the forward hook, where packets of the tunnel may be dropped. An
/// accept in a table of ours would not help: every chain on a hook must accept.
struct ForwardChain: Sendable, Equatable {
    /// nft's word for the family: `ip`, `ip6`, `inet`.
    let family: String
    let table: String
    let name: String
    /// Whether it drops what none of its rules decides.
    let dropsByPolicy: Bool

    /// The chain as nft names it.
    var words: [String] { [family, table, name] }

    /// Chains of type filter on the forward hook, in what `nft list chains` printed.
    ///
    /// - Parameters:
    ///   - listing: The text.
    ///   - own: Tells which tables are a gateway's.
    /// - Returns: Other people's chains, in the order of the listing.
    static func all(in listing: String, except own: (String) -> Bool) -> [ForwardChain] {
        var chains: [ForwardChain] = []
        var (family, table, name) = ("", "", "")
        for line in listing.split(separator: "\n") {
            let words = line.split { " \t;".contains($0) }.map(String.init)
            switch words.first {
            case "table" where words.count >= 3: (family, table) = (words[1], words[2])
            case "chain" where words.count >= 2: name = words[1]
            case "type":
                let isForward = words.starts(with: ["type", "filter", "hook", "forward"])
                let isInternet = ["ip", "ip6", "inet"].contains(family)
                guard isForward, isInternet, !(family == "inet" && own(table)) else { break }
                let policy = words.drop { $0 != "policy" }.dropFirst().first
                chains.append(
                    ForwardChain(
                        family: family,
                        table: table,
                        name: name,
                        dropsByPolicy: policy == "drop"
                    )
                )
            default: break
            }
        }
        return chains
    }

    /// The rules in a listing of one chain, without the lines that frame them.
    static func rules(in listing: String) -> [String] {
        listing.split(separator: "\n").map { $0.trimmingBlanks() }.filter { line in
            !["table ", "chain ", "type ", "#", "}"].contains { line.hasPrefix($0) }
        }
    }

    /// Whether what these rules do not decide is dropped or refused.
    func drops(rules: [String]) -> Bool {
        guard !dropsByPolicy, let last = rules.last else { return dropsByPolicy }
        // As firewalld's last rule: without a condition, so that nothing passes it.
        let start = last.hasPrefix("counter ") ? last.dropFirst("counter ".count) : last[...]
        return start == "drop" || start == "reject" || start.hasPrefix("reject with ")
    }

    /// Whether a rule lets through what comes by `interface`, and another what goes back.
    static func accepts(_ interface: String, rules: [String]) -> Bool {
        let accepting = rules.filter { $0.contains(" accept") || $0 == "accept" }
        let comes = accepting.contains { $0.contains("iifname \"\(interface)\"") }
        let returns = accepting.contains {
            $0.contains("oifname \"\(interface)\"") || $0.contains("established")
        }
        return comes && returns
    }
}

extension Substring {
    /// Without blanks and tabs around it.
    fileprivate func trimmingBlanks() -> String {
        var rest = self
        while rest.first?.isWhitespace == true { rest.removeFirst() }
        while rest.last?.isWhitespace == true { rest.removeLast() }
        return String(rest)
    }
}
