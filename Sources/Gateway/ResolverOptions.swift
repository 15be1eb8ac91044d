public import DNS

/// What the host's resolv.conf(5) says beside its servers.
public struct ResolverOptions: Sendable, Hashable {
    /// Bounds of glibc's resolver.
    public enum Limits {
        /// Domains of the search list.
        public static var search: Int { 32 }
        /// `ndots`.
        public static var dots: Int { 15 }
        /// `timeout`, in seconds.
        public static var timeoutSeconds: Int { 30 }
        /// `attempts`.
        public static var attempts: Int { 5 }
    }

    /// The search list, in order.
    public var search: [Name] = []
    /// A name with so many dots is tried as it is before the search list.
    public var dots = 1
    /// Seconds that a server has; nil where the file does not say.
    public var timeoutSeconds: Int?
    /// Rounds through the servers; nil where the file does not say.
    public var attempts: Int?
    /// Whether look-ups begin with each server in turn.
    public var rotates = false

    public init() {}

    /// - Parameters:
    ///   - search: The words of the `search` or `domain` line; what is no name is passed over.
    ///   - words: The words of all `options` lines; unknown ones are passed over.
    public init(search: [String], words: [String]) {
        self.search = search.compactMap { Name($0) }.filter { !$0.isRoot }
            .prefixArray(Limits.search)
        for word in words {
            let parts = word.split(separator: ":", maxSplits: 1)
            let number = parts.count == 2 ? Int(parts[1]).map { max(0, $0) } : nil
            switch (parts.first, number) {
            case ("ndots", let number?): dots = min(number, Limits.dots)
            case ("timeout", let number?):
                timeoutSeconds = min(max(1, number), Limits.timeoutSeconds)
            case ("attempts", let number?): attempts = min(max(1, number), Limits.attempts)
            case ("rotate", nil): rotates = true
            default: break
            }
        }
    }

    /// The names to try for `name`, in this order. Names of addresses are never completed.
    func expansions(of name: Name) -> [Name] {
        let isReverse = ResolverOptions.arpa.map { name.isAtOrBelow($0) } ?? false
        guard !isReverse, !name.isRoot else { return [name] }
        let expanded = search.compactMap { try? Name(labels: name.labels + $0.labels) }
        return isTriedFirst(name) ? [name] + expanded : expanded + [name]
    }

    /// Whether `name` has dots enough to be tried as it is before it is completed.
    func isTriedFirst(_ name: Name) -> Bool { name.labelCount > dots }

    private static let arpa = Name("arpa")
}
