internal import DNS
internal import IP

/// Names that are answered here, the same for everybody.
enum LocalNames {
    /// What PTR of a sentinel says.
    static let resolver = fixed("resolver.culvert.internal")
    /// What PTR of the client's own tunnel addresses says.
    static let client = fixed("client.culvert.internal")

    private static let canary = fixed("use-application-dns.net")
    private static let localhost = fixed("localhost")
    private static let arpa = fixed("arpa")
    /// RFC 9462 section 8: else a host finds the upstream behind us and asks it directly.
    private static let resolverArpa = fixed("resolver.arpa")

    /// Of no nameserver that is asked here: `invalid` is nobody's (RFC 6761 section 6.4), `onion`
    /// Tor's (RFC 7686), and `local` multicast DNS's (RFC 6762 section 22.1), each with all below.
    private static let unserved = ["invalid", "onion", "local"].map(fixed)

    /// Whether addresses are turned to names there.
    static func isReverse(_ name: Name) -> Bool { name.isAtOrBelow(arpa) }

    /// The answer for a name that has one before any resource is looked at; nil for any other.
    static func answer(_ query: Query) -> [UInt8]? {
        let name = query.question.name
        // Tells browsers to keep to the host's resolver.
        if name.isAtOrBelow(canary) { return query.reply(.nameError) }
        if name.isAtOrBelow(localhost) { return answerLocalhost(query) }
        if name.isAtOrBelow(resolverArpa) { return answerEmptyZone(query, resolverArpa) }
        return nil
    }

    /// The answer for a name that no resource and no zone has, and that no nameserver of the
    /// Internet has either; nil for any other.
    static func answerUnserved(_ query: Query) -> [UInt8]? {
        let isUnserved = unserved.contains { query.question.name.isAtOrBelow($0) }
        return isUnserved ? query.reply(.nameError) : nil
    }

    /// The answer for a name in a private reverse zone (RFC 6303); nil for any other.
    static func answerReverse(_ query: Query) -> [UInt8]? {
        let name = query.question.name
        guard isReverse(name) else { return nil }
        if query.question.type == .ptr, let address = name.reverseAddress,
            loopbacks.contains(address)
        {
            let record = Record(name, timeToLive: timeToLive, .ptr(localhost))
            return query.reply(.noError, answers: [record])
        }
        return emptyZones.first { name.isAtOrBelow($0) }.map { answerEmptyZone(query, $0) }
    }

    /// Seconds of RFC 6303 section 3.
    private static let timeToLive: UInt32 = 10_800
    private static let loopbacks = ["127.0.0.1", "::1"].compactMap { IPAddress($0) }

    /// RFC 6761 section 6.3.
    private static func answerLocalhost(_ query: Query) -> [UInt8] {
        let data: [RecordData] =
            switch query.question.type {
            case .a: [.a(loopbacks[0])]
            case .aaaa: [.aaaa(loopbacks[1])]
            default: []
            }
        let records = data.map { Record(query.question.name, timeToLive: timeToLive, $0) }
        return query.reply(.noError, answers: records)
    }

    /// A zone of RFC 6303 section 3: nothing but its SOA and NS.
    private static func answerEmptyZone(_ query: Query, _ zone: Name) -> [UInt8] {
        let authority = Record(
            zone,
            timeToLive: timeToLive,
            .soa(
                StartOfAuthority(
                    server: zone,
                    mailbox: fixed("nobody.invalid"),
                    serial: 1,
                    refresh: 3_600,
                    retry: 1_200,
                    expire: 604_800,
                    minimum: timeToLive
                )
            )
        )
        guard query.question.name == zone else {
            return query.reply(.nameError, authorities: [authority], isAuthoritative: true)
        }
        let answers: [Record] =
            switch query.question.type {
            case .soa: [authority]
            case .ns: [Record(zone, timeToLive: timeToLive, .ns(zone))]
            default: []
            }
        let authorities = answers.isEmpty ? [authority] : []
        return query.reply(
            .noError,
            answers: answers,
            authorities: authorities,
            isAuthoritative: true
        )
    }

    /// RFC 6303 sections 4.1 to 4.6 and RFC 7793, as the IANA registry has them.
    private static let emptyZones: [Name] = {
        var ipv4 = ["10", "168.192", "0", "127", "254.169", "2.0.192", "100.51.198", "113.0.203"]
        ipv4.append("255.255.255.255")
        ipv4 += (16...31).map { "\($0).172" } + (64...127).map { "\($0).100" }
        let zeros = String(repeating: "0.", count: 31)
        let ipv6 = ["0.\(zeros)", "1.\(zeros)", "d.f.", "8.e.f.", "9.e.f.", "a.e.f.", "b.e.f."]
        return ipv4.map { fixed("\($0).in-addr.arpa") }
            + (ipv6 + ["8.b.d.0.1.0.0.2."]).map { fixed("\($0)ip6.arpa") }
    }()

    private static func fixed(_ text: String) -> Name { Name(text) ?? .root }
}
