internal import IP

/// Lets packets of the tunnel through the chains of other programs on the forward hook, by the way
/// that each program leaves to others; says which command would help where it knows none.
///
/// Rules of iptables are made by iptables: it refuses to show a chain in which nft has put what it
/// does not know, and Docker and ufw with it.
struct ForwardAccess: Sendable {
    enum Limits {
        /// How long a program of a firewall may take; firewall-cmd is slow.
        static var time: Duration { .seconds(20) }
        /// The words by which our rules are known again.
        static var comment: String { "culvert" }
    }

    /// How packets get through a chain that drops.
    enum Way: Sendable, Equatable {
        /// A chain of iptables that its owner leaves to others, and calls first.
        case iptables(IPFamily, chain: String)
        /// Firewalld's zone that trusts what comes in.
        case firewalld
        /// Only who runs this host knows; the command that would help.
        case command(String)
    }

    /// What is known of one chain that drops.
    struct Finding: Sendable, Equatable {
        enum Outcome: Sendable, Equatable {
            /// Packets get through, by what was done just now.
            case opened(String)
            /// Packets get through by what was done before.
            case open
            /// The command that would help.
            case blocked(command: String)
        }

        let chain: ForwardChain
        let rules: [String]
        let outcome: Outcome

        var isBlocked: Bool { if case .blocked = outcome { true } else { false } }
    }

    let interface: String

    // MARK: - What to do

    /// Finds the way through a chain that drops.
    ///
    /// - Parameters:
    ///   - chain: The chain.
    ///   - rules: Its rules as nft lists them.
    ///   - interface: The tunnel device.
    /// - Returns: The way that its owner leaves to others, or the command that would help.
    static func way(through chain: ForwardChain, rules: [String], interface: String) -> Way {
        if chain.family == "inet", chain.table == "firewalld" { return .firewalld }
        guard chain.table == "filter", chain.name == "FORWARD",
            let family = chain.family == "ip" ? IPFamily.ipv4 : chain.family == "ip6" ? .ipv6 : nil
        else {
            let name = chain.words.joined(separator: " ")
            return .command(
                "nft 'insert rule \(name) iifname \"\(interface)\" accept; insert rule \(name) "
                    + "oifname \"\(interface)\" ct state established,related accept'"
            )
        }
        for candidate in chains(of: family) {
            if rules.contains(where: { $0.hasSuffix("jump \(candidate)") }) {
                return .iptables(family, chain: candidate)
            }
        }
        let commands = accepts(interface).map { words in
            ([program(family), "-I", "FORWARD"] + words).joined(separator: " ")
        }
        return .command(commands.joined(separator: " && "))
    }

    /// The chains that Docker and ufw leave to others.
    private static func chains(of family: IPFamily) -> [String] {
        ["DOCKER-USER", family == .ipv4 ? "ufw-before-forward" : "ufw6-before-forward"]
    }

    private static func program(_ family: IPFamily) -> String {
        family == .ipv4 ? "iptables" : "ip6tables"
    }

    /// The matches and targets of our rules of iptables.
    static func accepts(_ interface: String) -> [[String]] {
        let rest = ["-m", "comment", "--comment", Limits.comment, "-j", "ACCEPT"]
        return [
            ["-i", interface] + rest,
            ["-o", interface, "-m", "conntrack", "--ctstate", "RELATED,ESTABLISHED"] + rest,
        ]
    }

    /// Those of our rules in what `iptables -S CHAIN` printed whose interface `isGone` or is ours:
    /// the words that delete them.
    static func deletions(in listing: String, of isGone: (String) -> Bool) -> [[String]] {
        listing.split(separator: "\n").compactMap { line in
            let words = line.split(separator: " ").map { $0.filter { $0 != "\"" } }
            guard words.first == "-A", words.count > 3,
                let comment = words.firstIndex(of: "--comment"), comment + 1 < words.count,
                words[comment + 1] == Limits.comment, ["-i", "-o"].contains(words[2]),
                isGone(words[3])
            else { return nil }
            return ["-D"] + words.dropFirst()
        }
    }

    // MARK: - Doing it

    /// Looks at every chain on the forward hook, and opens those that it may.
    ///
    /// - Returns: One finding for each chain that drops.
    func open() throws(NftablesError) -> [Finding] {
        guard let listing = try Nftables.list(["chains"]) else { return [] }
        var findings: [Finding] = []
        for chain in ForwardChain.all(in: listing, except: Self.isOwn) {
            guard let text = try Nftables.list(["chain"] + chain.words) else { continue }
            let rules = ForwardChain.rules(in: text)
            guard chain.drops(rules: rules) else { continue }
            if ForwardChain.accepts(interface, rules: rules) { continue }
            findings.append(
                Finding(chain: chain, rules: rules, outcome: open(chain, rules))
            )
        }
        return findings
    }

    /// Whether a table of family inet is a gateway's.
    static func isOwn(_ table: String) -> Bool { table.hasPrefix("culvert") }

    private func open(_ chain: ForwardChain, _ rules: [String]) -> Finding.Outcome {
        switch Self.way(through: chain, rules: rules, interface: interface) {
        case .iptables(let family, let name):
            let program = Self.program(family)
            let missing = Self.accepts(interface).filter { !holds(program, ["-C", name] + $0) }
            for words in missing where !holds(program, ["-I", name, "1"] + words) {
                return .blocked(command: ([program, "-I", name] + words).joined(separator: " "))
            }
            return missing.isEmpty
                ? .open : .opened("rules with the comment \(Limits.comment) in its chain \(name)")
        case .firewalld:
            if isTrusted() { return .open }
            let words = ["--zone=trusted", "--change-interface=\(interface)"]
            return holds("firewall-cmd", words)
                ? .opened("\(interface) in firewalld's zone trusted")
                : .blocked(command: (["firewall-cmd"] + words).joined(separator: " "))
        case .command(let command): return .blocked(command: command)
        }
    }

    /// Takes our rules out again, also those of a gateway that was killed.
    func close() throws(NftablesError) {
        guard let listing = try Nftables.list(["chains"]) else { return }
        let links = try? Netlink.links().map(\.name)
        let isGone = { name in name == interface || links?.contains(name) == false }
        for family in IPFamily.allCases {
            let table = family == .ipv4 ? "table ip filter " : "table ip6 filter "
            for chain in Self.chains(of: family)
            where listing.contains(table) && listing.contains("chain \(chain) ") {
                let program = Self.program(family)
                let text = run(program, ["-S", chain])?.output ?? ""
                for words in Self.deletions(in: text, of: isGone) { _ = holds(program, words) }
            }
        }
        guard listing.contains("table inet firewalld ") else { return }
        let trusted = run("firewall-cmd", ["--zone=trusted", "--list-interfaces"])?.output ?? ""
        for name in trusted.split(whereSeparator: \.isWhitespace).map(String.init)
        where name.hasPrefix(Limits.comment) && isGone(name) {
            _ = holds("firewall-cmd", ["--zone=trusted", "--remove-interface=\(name)"])
        }
    }

    private func isTrusted() -> Bool {
        holds("firewall-cmd", ["--zone=trusted", "--query-interface=\(interface)"])
    }

    private func holds(_ program: String, _ words: [String]) -> Bool {
        run(program, words)?.status == 0
    }

    /// Runs a firewall's program; nil when it is not there or cannot be run.
    private func run(_ program: String, _ words: [String]) -> Subprocess.Outcome? {
        // What nft sees was made by this kind of iptables, whatever the host's alternative is.
        let names = program.hasSuffix("tables") ? [program + "-nft", program] : [program]
        guard let path = names.lazy.compactMap(Subprocess.find).first else { return nil }
        let waiting = program.hasSuffix("tables") ? ["-w"] : []
        return try? Subprocess.run(path, waiting + words, timeout: Limits.time)
    }
}
