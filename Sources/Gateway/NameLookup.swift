internal import DNS
public import IP

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

/// What a nameserver's message says of the addresses of a name.
struct AddressAnswer {
    /// Seconds that a missing name is remembered when the answer does not say (RFC 2308 5).
    private static let negativeSecondsDefault: UInt32 = 30

    let answer: NameAnswer
    /// For how many seconds it may be kept.
    let seconds: UInt32

    /// Reads a message of NOERROR or NXDOMAIN; addresses that are not usable do not count.
    init(_ message: DNS.Message, _ type: RecordType, usable: (IPAddress) -> Bool) {
        let isThere = message.responseCode == .noError
        let records = isThere ? message.addresses()?.records.filter { $0.type == type } ?? [] : []
        let addresses = records.compactMap(\.data.address).filter(usable)
        guard !addresses.isEmpty else {
            (answer, seconds) = (.absent, Self.negativeSeconds(in: message))
            return
        }
        let kept = Set(addresses).sorted().prefixArray(NameResolver.Limits.addresses)
        answer = .addresses(kept)
        seconds = message.answers.map(\.timeToLive).min() ?? 0
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
