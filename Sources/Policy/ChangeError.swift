/// Why a change is refused: which field, and what is wrong with it.
public struct ChangeError: Error, Hashable, Sendable {
    /// The field of the form or file that is wrong, such as `address`, `conditions.hours`.
    public let field: String
    /// What is wrong with it.
    public let problem: Problem

    public init(field: String, _ problem: Problem) { (self.field, self.problem) = (field, problem) }

    /// What can be wrong.
    public enum Problem: Hashable, Sendable {
        /// Nothing where something must be.
        case missing
        /// More characters or elements than are allowed.
        case tooLong(countMax: Int)
        /// A name that another one of the kind has.
        case nameTaken(String)
        /// A reference to something that does not exist.
        case unknown(kind: String, id: String)
        /// Still in use: by what, such as `policy`, and by which.
        case inUse(by: String, names: [String])
        /// Not an address, name, pattern, network or `internet`.
        case badAddress(AddressError)
        /// Not a nameserver.
        case badUpstream(String)
        /// Not an e-mail address.
        case badEmail(String)
        /// Not two letters of a country.
        case badCountry(String)
        /// Not the name of a time zone.
        case badZone(String)
        /// No day or no time is left.
        case neverTrue
        /// Only names can have an alias, or other families than both.
        case namesOnly
        /// An alias must be of the same form as the address: both names, or both `*.` and a name.
        case aliasForm
        /// It shares addresses with one of the account's own ranges.
        case overlapsOwnRange(range: String)
        /// It shares addresses with a resource.
        case overlapsResource(name: String)
        /// It would cover the portal's own name, so that nobody could reach the portal.
        case coversPortal(host: String)
        /// Out of the account's tunnel range.
        case outsideTunnelRange(String)
        /// An address that somebody else has.
        case addressTaken(String)
        /// More than one address or range of a family.
        case twiceOneFamily
        /// A range with fewer addresses than are needed.
        case rangeTooSmall(String)
        /// A number outside of what is allowed.
        case outOfRange(lower: Int, upper: Int)
        /// Not a URL that begins with https://.
        case badURL(String)
        /// Not a file's whole path.
        case badPath(String)
    }
}

extension ChangeError {
    /// What is wrong, and what to do, in one sentence.
    public var sentence: String { problem.sentence }
}

extension ChangeError.Problem {
    /// What is wrong, and what to do, in one sentence.
    public var sentence: String {
        switch self {
        case .missing: "This must not be empty."
        case .tooLong(let countMax): "This is too long: at most \(countMax)."
        case .nameTaken(let name): "There is another one with the name “\(name)”; choose another."
        case .unknown(let kind, let id): "There is no \(kind) “\(id)”; add it first."
        case .inUse(let user, let names):
            "It is still used by \(Self.list(names, user)); remove "
                + "\(names.count == 1 ? "that" : "those") first."
        case .badAddress(let error): error.sentence
        case .badUpstream(let text):
            "“\(text)” is not a nameserver; write an IP address, tls://name or "
                + "https://name/dns-query."
        case .badEmail(let text): "“\(text)” is not an e-mail address."
        case .badCountry(let text):
            "“\(text)” is not a country; write its two letters, such as NL."
        case .badZone(let text):
            "“\(text)” is not a time zone; write one such as Europe/Amsterdam."
        case .neverTrue: "These hours never come; name at least one day."
        case .namesOnly: "Only a resource with a name can have this; leave it out."
        case .aliasForm:
            "An alias must have the form of the address: a name for a name, “*.” and a name for "
                + "“*.” and a name."
        case .overlapsOwnRange, .overlapsResource, .coversPortal, .outsideTunnelRange,
            .addressTaken, .twiceOneFamily, .rangeTooSmall:
            rangeSentence
        case .outOfRange(let lower, let upper): "This must be a number from \(lower) to \(upper)."
        case .badURL(let text): "“\(text)” is not a URL; write one that begins with https://."
        case .badPath(let text):
            "“\(text)” is not the whole path of a file; write one that begins with “/”."
        }
    }

    private var rangeSentence: String {
        switch self {
        case .overlapsOwnRange(let range):
            "This shares addresses with the account's own range \(range); choose another network, "
                + "or give the account other ranges."
        case .overlapsResource(let name):
            "This shares addresses with the resource “\(name)”; choose another range."
        case .coversPortal(let host):
            "This would cover the portal's own name \(host), so that no client could reach the "
                + "portal; choose a narrower one."
        case .outsideTunnelRange(let address):
            "\(address) is not in the account's tunnel range; leave it out to get one."
        case .addressTaken(let address): "\(address) belongs to another client or gateway."
        case .twiceOneFamily: "At most one of each family, IPv4 and IPv6."
        case .rangeTooSmall(let range): "\(range) has too few addresses; give a larger range."
        default: "This is not allowed."
        }
    }

    /// `the policy “A”`, `the policies “A” and “B”`, `the policies “A”, “B”, “C” and 5 more`.
    static func list(_ names: [String], _ kind: String) -> String {
        let kinds = kind.hasSuffix("y") ? kind.dropLast() + "ies" : kind + "s"
        let shown = names.count <= 4 ? names.count : 3
        var words = names.prefix(shown).map { "“\($0)”" }
        if names.count > shown { words.append("\(names.count - shown) more") }
        let last = words.count > 1 ? " and \(words.removeLast())" : ""
        return "the \(names.count == 1 ? kind : kinds) \(words.joined(separator: ", "))\(last)"
    }
}
