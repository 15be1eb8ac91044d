public import Control
public import IP

/// What a question meets in the stub resolver: the rule that decides, and what it rests on.
public struct QueryExplanation: Hashable, Sendable, Codable {
    /// Who answers.
    public enum Rule: String, Hashable, Sendable, Codable {
        /// It is no question that is answered here: a zone transfer, a type of messages only.
        case refused
        /// A name that is answered the same for everybody: `localhost`, a browser's canary.
        case special
        /// An address of this client: a nameserver's, a proxy address, a tunnel address.
        case ownAddress = "own-address"
        /// A private address, whose names no nameserver of the Internet knows (RFC 6303).
        case privateReverse = "private-reverse"
        /// A resource has the name: proxy addresses.
        case protected
        /// A resource has the name, and its site has the records.
        case site
        /// The name is protected, and not for us.
        case withheld
        /// A zone has nameservers of its own.
        case zone
        /// A link of the host claims a zone, and has nameservers for it.
        case link
        /// A name of no nameserver: `local`, `onion`, `invalid`.
        case unserved
        /// The nameserver of the sentinel that is asked.
        case upstream
        /// No nameserver is known.
        case nobody
    }

    /// A nameserver that is, or may be, asked.
    public struct Nameserver: Hashable, Sendable, Codable {
        /// As the admin writes it.
        public var upstream: String
        /// Whether it is reached through the tunnel.
        public var isInTunnel: Bool
        /// Whether it kept silent lately, and is asked last.
        public var isDown: Bool
    }

    /// The name asked for.
    public var name: String
    /// The type asked for.
    public var type: String
    /// Who answers.
    public var rule: Rule
    /// The resources that have the name, the most specific first.
    public var resources: [ResourceID] = []
    /// The pattern of the first of them.
    public var pattern: String?
    /// The zone that decides.
    public var zone: String?
    /// The sentinel that was asked.
    public var sentinel: IPAddress?
    /// Whom the question goes to, the first one first.
    public var nameservers: [Nameserver] = []
    /// Seconds for which an answer is kept still; nil when none is.
    public var keptSeconds: Int?
    /// The proxy addresses that the name has.
    public var proxies: [IPAddress] = []
    /// The same for people.
    public var sentences: [String] = []

    init(name: String, type: String, rule: Rule) {
        (self.name, self.type, self.rule) = (name, type, rule)
    }
}

/// How the cache of nameservers' answers does.
public struct CacheStatus: Hashable, Sendable, Codable {
    /// Whether answers are kept at all.
    public var isEnabled: Bool
    /// Answers kept now.
    public var count: Int
    /// Bytes that they need.
    public var byteCount: Int
    /// Queries answered by what was kept, since the start.
    public var hits: UInt64
    /// Queries that nothing was kept for.
    public var misses: UInt64
    /// Queries answered by what had just ended, while it was asked for anew.
    public var staleHits: UInt64
    /// Answers that went before their time for lack of room.
    public var evictions: UInt64
}
