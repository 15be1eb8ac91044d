internal import Bytes
internal import DNS
public import IP
internal import SansIO

/// What is known of the addresses that a name has in one family.
public enum NameAnswer: Sendable, Equatable {
    /// A look-up is under way.
    case pending
    /// At least one address, sorted.
    case addresses([IPAddress])
    /// The name has no address in this family.
    case absent
    /// No nameserver gave an answer.
    case failed

    /// The addresses; none unless there are some.
    public var addresses: [IPAddress] {
        if case .addresses(let addresses) = self { addresses } else { [] }
    }
}

/// What is known of a name, in both families.
public struct ResolvedName: Sendable, Equatable {
    /// Its IPv4 addresses.
    public var ipv4 = NameAnswer.pending
    /// Its IPv6 addresses.
    public var ipv6 = NameAnswer.pending

    public init(ipv4: NameAnswer = .pending, ipv6: NameAnswer = .pending) {
        (self.ipv4, self.ipv6) = (ipv4, ipv6)
    }

    /// The answer in one family.
    public subscript(family: IPFamily) -> NameAnswer {
        get { family == .ipv4 ? ipv4 : ipv6 }
        set { if family == .ipv4 { ipv4 = newValue } else { ipv6 = newValue } }
    }

    /// Whether nothing is under way.
    public var isComplete: Bool { ipv4 != .pending && ipv6 != .pending }

    /// The families in which it has addresses.
    public var families: Set<IPFamily> {
        Set(IPFamily.allCases.filter { !self[$0].addresses.isEmpty })
    }
}

/// One family's look-up of one name, from the first question to an answer or the end of patience.
struct NameLookup: Sendable {
    /// Questions asked so far.
    var attempts = 0
    /// When the next server is asked.
    var deadline: Instant
    /// When it is given up.
    let end: Instant
    /// Whether questions carry EDNS; a server that does not understand it is asked again without.
    var usesEDNS = true
    /// The exchanges under way: a late answer counts as well.
    var tokens: [UInt64] = []
}

/// What a nameserver's message means for a look-up.
enum NameReply: Equatable {
    /// It belongs to another question.
    case unrelated
    /// The answer, and for how many seconds it may be kept.
    case answer(NameAnswer, seconds: UInt32)
    /// It did not fit: ask again over TCP.
    case truncated
    /// The server does not understand EDNS.
    case withoutEDNS
    /// This server will not help: the next one.
    case useless
}

extension NameReply {
    /// Seconds that a missing name is remembered when the answer does not say (RFC 2308 5).
    private static let negativeSecondsDefault: UInt32 = 30

    /// Reads what came back for `question` with `id`.
    init(_ bytes: [UInt8], to question: Question, id: UInt16, usable: (IPAddress) -> Bool) {
        guard let message = try? DNS.Message(bytes.rawSpan), message.header.isResponse,
            message.header.id == id, message.questions == [question]
        else {
            self = .unrelated
            return
        }
        guard !message.header.isTruncated else {
            self = .truncated
            return
        }
        switch message.responseCode {
        case .noError: self = Self.found(in: message, question, usable)
        case .nameError: self = .answer(.absent, seconds: Self.negativeSeconds(in: message))
        case .formatError, .notImplemented: self = .withoutEDNS
        default: self = .useless
        }
    }

    private static func found(
        in message: DNS.Message,
        _ question: Question,
        _ usable: (IPAddress) -> Bool
    ) -> NameReply {
        let records = message.addresses()?.records.filter { $0.type == question.type } ?? []
        let addresses = records.compactMap(\.data.address).filter(usable)
        guard !addresses.isEmpty else {
            return .answer(.absent, seconds: negativeSeconds(in: message))
        }
        let seconds = message.answers.map(\.timeToLive).min() ?? 0
        return .answer(
            .addresses(Set(addresses).sorted().prefixArray(NameResolver.Limits.addresses)),
            seconds: seconds
        )
    }

    private static func negativeSeconds(in message: DNS.Message) -> UInt32 {
        for record in message.authorities {
            if case .soa(let start) = record.data { return min(record.timeToLive, start.minimum) }
        }
        return negativeSecondsDefault
    }
}

extension Array {
    func prefixArray(_ count: Int) -> [Element] {
        self.count <= count ? self : Array(prefix(count))
    }
}
