/// The name of one thing, opaque, given once by the portal and never reused.
///
/// `Tag` tells kinds apart for the compiler: a ``ResourceID`` is not a ``SiteID``.
public struct Identifier<Tag>: Hashable, Sendable {
    /// The text as it travels.
    public let text: String

    /// Wraps `text` as it is; what comes from a peer is checked by decoding.
    public init(_ text: String) { self.text = text }
}

/// A resource of the account.
public typealias ResourceID = Identifier<IdentifierTags.Resource>
/// A device that runs a client.
public typealias ClientID = Identifier<IdentifierTags.Client>
/// A gateway.
public typealias GatewayID = Identifier<IdentifierTags.Gateway>
/// A site.
public typealias SiteID = Identifier<IdentifierTags.Site>
/// One permission for one client to reach one resource through one gateway.
public typealias LeaseID = Identifier<IdentifierTags.Lease>
/// One question; chosen by who asks.
public typealias RequestID = Identifier<IdentifierTags.Request>
/// A policy.
public typealias PolicyID = Identifier<IdentifierTags.Policy>
/// A relay.
public typealias RelayID = Identifier<IdentifierTags.Relay>
/// A group of actors.
public typealias GroupID = Identifier<IdentifierTags.Group>
/// A person or a service account.
public typealias ActorID = Identifier<IdentifierTags.Actor>

/// The kinds of ``Identifier``.
public enum IdentifierTags {
    /// See ``ResourceID``.
    public enum Resource: Sendable {}
    /// See ``ClientID``.
    public enum Client: Sendable {}
    /// See ``GatewayID``.
    public enum Gateway: Sendable {}
    /// See ``SiteID``.
    public enum Site: Sendable {}
    /// See ``LeaseID``.
    public enum Lease: Sendable {}
    /// See ``RequestID``.
    public enum Request: Sendable {}
    /// See ``PolicyID``.
    public enum Policy: Sendable {}
    /// See ``RelayID``.
    public enum Relay: Sendable {}
    /// See ``GroupID``.
    public enum Group: Sendable {}
    /// See ``ActorID``.
    public enum Actor: Sendable {}
}

extension Identifier: Comparable {
    public static func < (lhs: Self, rhs: Self) -> Bool { lhs.text < rhs.text }
}

extension Identifier: CustomStringConvertible {
    public var description: String { text }
}

extension Identifier: ExpressibleByStringLiteral {
    public init(stringLiteral text: String) { self.init(text) }
}

extension Identifier: Codable {
    /// Refuses an empty text and one of more than `ChannelLimits.identifierByteCount` bytes.
    public init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        let text = try container.decode(String.self)
        guard !text.isEmpty, text.utf8.count <= ChannelLimits.identifierByteCount else {
            throw DecodingError.dataCorruptedError(
                in: container,
                debugDescription:
                    "an identifier has 1 to \(ChannelLimits.identifierByteCount) bytes"
            )
        }
        self.init(text)
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(text)
    }
}

extension Identifier {
    /// A new name: 80 random bits in 16 letters and digits (RFC 4648 base 32, lower case).
    public init(using random: inout some RandomNumberGenerator) {
        let alphabet = Array("abcdefghijklmnopqrstuvwxyz234567".utf8)
        var bits = random.next()
        let first = (0..<12).map { alphabet[Int(bits >> (5 * UInt64($0)) & 31)] }
        bits = random.next()
        let last = (0..<4).map { alphabet[Int(bits >> (5 * UInt64($0)) & 31)] }
        self.init(String(decoding: first + last, as: UTF8.self))
    }
}
