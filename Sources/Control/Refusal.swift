/// Why something was not done, in a word for programs and a sentence for people.
public struct Refusal: Error, Hashable, Sendable {
    /// What the peer should do next.
    public enum Kind: String, Sendable, CaseIterable {
        /// Try again, with back-off.
        case retry
        /// Try again, not before the time given.
        case retryAfter = "retry-after"
        /// Change something first; the sentence says what.
        case mend
        /// Sign in again: the only kind that may end a token, and only from the portal itself.
        case signIn = "sign-in"
    }

    /// A stable word; new ones may come.
    public struct Code: RawRepresentable, Hashable, Sendable, Codable,
        ExpressibleByStringLiteral
    {
        public let rawValue: String
        public init(rawValue: String) { self.rawValue = rawValue }
        public init(stringLiteral value: String) { rawValue = value }
    }

    /// The stable word.
    public var code: Code
    /// What to do next.
    public var kind: Kind
    /// What, why and what to do.
    public var sentence: String
    /// For `.retryAfter`: not before so many seconds.
    public var retryAfterSeconds: UInt32?

    public init(
        _ code: Code,
        _ kind: Kind,
        _ sentence: String,
        retryAfterSeconds: UInt32? = nil
    ) {
        (self.code, self.kind, self.sentence) = (code, kind, sentence)
        self.retryAfterSeconds = retryAfterSeconds
    }
}

extension Refusal.Code {
    /// No policy permits it.
    public static let forbidden: Self = "forbidden"
    /// No gateway of the site is connected.
    public static let offline: Self = "offline"
    /// There is no such thing, or it may not be seen.
    public static let notFound: Self = "not-found"
    /// The two ends speak no common version.
    public static let versionMismatch: Self = "version-mismatch"
    /// A message could not be read.
    public static let malformed: Self = "malformed"
    /// The token is unknown, revoked or expired.
    public static let unauthenticated: Self = "unauthenticated"
    /// Another connection of the same identity is alive.
    public static let connectedElsewhere: Self = "connected-elsewhere"
    /// This connection was replaced by a newer one of the same identity.
    public static let replaced: Self = "replaced"
    /// Too much at once.
    public static let overloaded: Self = "overloaded"
    /// The reader fell behind; start again from welcome.
    public static let lagging: Self = "lagging"
    /// The portal is stopping; another node, or the same after a while, will answer.
    public static let stopping: Self = "stopping"
    /// A fault of the portal.
    public static let fault: Self = "fault"
    /// A policy, membership, resource or condition that a lease rested on is gone.
    public static let revoked: Self = "revoked"
    /// The client gave the lease back.
    public static let released: Self = "released"
    /// The lease ran out.
    public static let expired: Self = "expired"
    /// The gateway is being taken out of service.
    public static let draining: Self = "draining"
    /// The gateway does not reach the resource.
    public static let unreached: Self = "unreached"
}

extension Refusal {
    /// The answer to a hello whose versions this build does not speak.
    public static func versionMismatch(offered: [ProtocolVersion]) -> Refusal {
        let theirs = offered.sorted().map(\.description).joined(separator: " and ")
        let ours = ProtocolVersion.spoken.sorted().map(\.description).joined(separator: " and ")
        let isNewer = offered.min().map { $0 > .current } ?? false
        let advice = isNewer ? "upgrade the portal" : "upgrade this client or gateway"
        return Refusal(
            .versionMismatch,
            .mend,
            "The portal speaks protocol version \(ours), the peer speaks "
                + "\(theirs.isEmpty ? "none it could read" : theirs): \(advice)."
        )
    }
}

extension Refusal: Codable {
    private enum CodingKeys: String, CodingKey {
        case code, kind, sentence, retryAfterSeconds
    }

    /// A kind that is not known is read as `.retry`, which ends nothing.
    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        code = Code(rawValue: try container.decode(String.self, forKey: .code))
        kind = Kind(rawValue: try container.decode(String.self, forKey: .kind)) ?? .retry
        sentence = try container.decode(String.self, forKey: .sentence)
        retryAfterSeconds = try container.decodeIfPresent(UInt32.self, forKey: .retryAfterSeconds)
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(code.rawValue, forKey: .code)
        try container.encode(kind.rawValue, forKey: .kind)
        try container.encode(sentence, forKey: .sentence)
        try container.encodeIfPresent(retryAfterSeconds, forKey: .retryAfterSeconds)
    }
}

/// One condition of one policy that was not met.
public struct FailedCondition: Hashable, Sendable, Codable, ListElement {
    /// The policy; nil where the peer may not know it.
    public var policy: PolicyID?
    /// A stable word: `remote-address`, `country`, `hours`, `provider`, `verified`,
    /// `client-version`, `client-os`.
    public var condition: String
    /// What was asked for, and what was found.
    public var sentence: String

    public init(policy: PolicyID?, condition: String, sentence: String) {
        (self.policy, self.condition, self.sentence) = (policy, condition, sentence)
    }
}
