public import Control
internal import DNS
internal import IDNA
internal import IP

/// Why a text is not the address of a resource.
public enum AddressError: Error, Hashable, Sendable {
    /// Nothing is there.
    case empty
    /// The part behind the slash, or the address before it, is wrong.
    case badNetwork(String)
    /// Bits behind the prefix are set; which network was meant.
    case hostBits(String)
    /// All addresses: there is a word for that.
    case everything
    /// An address that is only for the machine itself, its link, or many at once.
    case notRoutable(String)
    /// A name whose last label is a number is an address that is wrong.
    case badAddress(String)
    /// A URL, or a name with a port.
    case notBare(String)
    /// Not a pattern; where, counted from 1, and why.
    case badPattern(position: Int, reason: String)
    /// An international part of a name has no form in DNS; which, and why.
    case badLabel(String, reason: String)

    /// What is wrong, and what to do, in one sentence.
    public var sentence: String {
        switch self {
        case .empty: "An address is missing: a name, a pattern, an IP, a network or “internet”."
        case .badNetwork(let text): "“\(text)” is not a network; write one such as 10.0.0.0/8."
        case .hostBits(let network): "Bits behind the prefix are set; write \(network)."
        case .everything: "For all addresses write “internet”."
        case .notRoutable(let text):
            "\(text) is for a machine or link itself, or for many at once; no gateway can reach it."
        case .badAddress(let text): "“\(text)” is neither an IP address nor a name."
        case .notBare(let text):
            "“\(text)” is not an address; write the name alone, and ports under “allow”."
        case .badPattern(let position, let reason):
            "Character \(position) of the name is wrong: \(reason)."
        case .badLabel(let label, let reason): "“\(label)” cannot be part of a name: \(reason)."
        }
    }
}

extension ResourceAddress {
    /// Reads what people write: a name or pattern, an IP, a network, `internet`.
    public init(parsing text: String) throws(AddressError) {
        guard !text.isEmpty else { throw .empty }
        if text.lowercased() == "internet" {
            self = .internet
        } else if let prefix = IPPrefix(text) {
            try Self.check(prefix, text)
            self = .prefix(prefix)
        } else if text.contains("://") {
            throw .notBare(text)
        } else if text.contains("/") {
            throw .badNetwork(text)
        } else {
            self = .name(try Self.canonicalName(text))
        }
    }

    /// The pattern as it is kept: in the form that DNS carries (RFC 5891), in lower case, without
    /// a final dot.
    public static func canonicalName(_ text: String) throws(AddressError) -> String {
        var name: String
        // Before the case is changed: the mapping has its own idea of what lower case is.
        do { name = try IDNA.ascii(text).lowercased() } catch {
            throw .badLabel(error.label, reason: error.words)
        }
        if name.hasSuffix(".") { name.removeLast() }
        if name.hasSuffix(".") || name.isEmpty {
            let error = PatternError.emptyLabel(offset: name.utf8.count)
            throw .badPattern(position: error.offset + 1, reason: error.reason)
        }
        if let colon = name.lastIndex(of: ":") {
            let port = name[name.index(after: colon)...]
            if !port.isEmpty, port.allSatisfy(\.isNumber) { throw .notBare(text) }
        }
        if let escape = name.utf8.firstIndex(of: UInt8(ascii: "\\")) {
            let offset = name.utf8.distance(from: name.utf8.startIndex, to: escape)
            let error = PatternError.badCharacter(offset: offset)
            throw .badPattern(position: offset + 1, reason: error.reason)
        }
        do {
            _ = try NamePattern(name)
        } catch {
            throw .badPattern(position: error.offset + 1, reason: error.reason)
        }
        // “internet” is the word for everything, and may not be a name too.
        if name == "internet" { throw .badAddress(text) }
        if let last = name.split(separator: ".").last, last.allSatisfy(\.isNumber) {
            throw .badAddress(text)
        }
        return name
    }

    /// Whether `text` is one name that a host can have, in the form that DNS carries, and no
    /// pattern, port or address.
    static func isHostName(_ text: String) -> Bool {
        guard text.utf8.allSatisfy({ $0 < 128 }), (try? canonicalName(text)) != nil,
            let pattern = try? NamePattern(text)
        else {
            return false
        }
        return pattern.isLiteral && Name(text)?.isRoot == false
    }

    private static func check(_ prefix: IPPrefix, _ text: String) throws(AddressError) {
        if prefix.bitCount == 0 { throw .everything }
        let written = text.prefix { $0 != "/" }
        if let address = IPAddress(String(written)), address != prefix.address {
            throw .hostBits(prefix.description)
        }
        for reserved in unroutable where reserved.contains(prefix.address) {
            throw .notRoutable(prefix.description)
        }
    }

    private static let unroutable = [
        "0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/4", "240.0.0.0/4",
        "::/127", "fe80::/10", "ff00::/8",
    ].compactMap { IPPrefix($0) }
}

extension PatternError {
    /// What is wrong there, as half a sentence.
    var reason: String {
        switch self {
        case .empty: "there is nothing"
        case .emptyLabel: "two dots in a row, or a dot at the start"
        case .labelTooLong: "a part between dots has at most 63 characters"
        case .tooLong: "a name has at most 253 characters"
        case .doubleStarInLabel: "“**” must stand alone between dots"
        case .badEscape: "a backslash needs a character or three digits behind it"
        case .notASCII: "write international names in their xn-- form"
        case .badCharacter: "such a character cannot be in a name"
        }
    }
}
