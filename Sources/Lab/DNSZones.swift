/// The zones of a DNS world: the same records in public zones and in a site's own.
enum DNSZones {
    /// Public and signed.
    static let signed = "signed.example"
    /// Public and unsigned.
    static let plain = "plain.example"
    /// Public and signed with a key that nobody trusts: a validating resolver answers SERVFAIL.
    static let bogus = "bogus.example"
    /// Public, and its name server refuses: SERVFAIL.
    static let refused = "refused.example"
    /// A site's own; every name in it is protected.
    static let corp = "corp.example"
    /// One protected name in the middle of a public zone.
    static let secret = "secret.plain.example"
    /// What both sites have in their local networks.
    static let home = "fritz.box"

    /// Types that are asked: those of ``everyType`` and those that a zone has besides.
    static let types =
        everyType + [
            "NS", "SOA", "CNAME", "DNAME", "DS", "DNSKEY", "RRSIG", "NSEC", "NSEC3PARAM", "ANY",
            "TYPE65281",
        ]

    /// The types of the name `all`, each with some data.
    static let everyType: [String] = data(ipv4: "", ipv6: "").reduce(into: []) { types, line in
        let type = String(line.prefix { $0 != " " })
        if !types.contains(type) { types.append(type) }
    }

    /// Whether a resolver's log line (`NAME. TYPE CLASS`) is about a protected name.
    static func isProtected(_ line: String) -> Bool {
        let name = line.prefix { $0 != " " }.lowercased()
        let protected = [corp, secret, home, "hamburg.example", "berlin.example"]
        return protected.contains { name == "\($0)." || name.hasSuffix(".\($0).") }
    }

    /// Lines for a zone file: one name with every type, and names of every shape.
    ///
    /// - Parameters:
    ///   - ipv4: The address that its names have.
    ///   - ipv6: The other one.
    /// - Returns: The lines, without SOA and NS.
    static func records(ipv4: String, ipv6: String) -> [String] {
        let text = (0..<16).map { "\"" + String(repeating: "abcde\($0 % 10)", count: 42) + "\"" }
        return ["ns A \(ipv4)"] + data(ipv4: ipv4, ipv6: ipv6).map { "all \($0)" }
            + ["www", "git"].flatMap { ["\($0) A \(ipv4)", "\($0) AAAA \(ipv6)"] } + [
                "cname CNAME all", "chain CNAME chain2", "chain2 CNAME chain3",
                "chain3 CNAME cname", "big TXT \(text.joined(separator: " "))",
                "*.wild A \(ipv4)", "*.wild TXT wild", "leaf.empty A \(ipv4)", "tree DNAME all",
                "_sip._udp SRV 0 5 5060 all", "xn--bcher-kva A \(ipv4)",
            ] + (1...60).map { "many A 198.51.100.\($0)" }
    }

    private static func data(ipv4: String, ipv6: String) -> [String] {
        let digest = "d2abde240d7cd3ee6b4b28c54df034b97983a1d16e8a410e4561cb106618e971"
        return [
            "A \(ipv4)", "AAAA \(ipv6)", "MX 10 mail", "MX 20 mail2",
            #"TXT "one text" "and another; with \"quotes\"""#, #"HINFO "amd64" "linux""#,
            "RP hostmaster text", "AFSDB 1 afs", #"X25 "311061700956""#,
            #"ISDN "150862028003217" "004""#, "RT 10 relay", "PX 10 map822 mapx400",
            "LOC 52 22 23.000 N 4 53 32.000 E -2.00m 0.00m 10000m 10m", "SRV 0 5 5060 sip",
            #"NAPTR 100 10 "u" "E2U+sip" "!^.*$!sip:info@example.com!" ."#, "KX 10 kx",
            "CERT 1 12345 8 MIICXAIBAAKBgQ==", "APL 1:192.168.32.0/21 !1:192.168.38.0/28",
            "SSHFP 2 1 123456789ABCDEF67890123456789ABCDEF67890",
            "IPSECKEY 10 1 2 192.0.2.38 AQNRU3mG7TVTO2BkR47usntb102uFJtugbo6BSGvgqt4AQ==",
            "DHCID AAIBY2/AuCccgoJbsaxcQc9TUapptP69lOjxfNuVAA2kjEA=", "TLSA 3 1 1 \(digest)",
            "SMIMEA 3 1 1 \(digest)", "OPENPGPKEY mQENBFVHm5sBCACoKQJMMWUXB8VZ",
            #"SPF "v=spf1 -all""#, "NID 10 0014:4fff:ff20:ee64", "L32 10 10.1.2.0",
            "L64 10 2001:0DB8:1140:1000", "LP 10 l64", "EUI48 00-00-5e-00-53-2a",
            "EUI64 00-00-5e-ef-10-00-00-2a", #"URI 10 1 "https://www.example.com/path""#,
            #"CAA 0 issue "ca.example.net""#, "PTR host", "CDS 12345 13 2 \(digest)",
            ##"TYPE64 \# 3 000100"##, ##"TYPE65 \# 11 00010000040004CB007137"##,
            ##"TYPE65280 \# 4 0a000001"##,
        ]
    }

    /// Signs a zone with a new key (`ldns-signzone`).
    ///
    /// - Returns: The signed zone's text, and the DS record of its key.
    /// - Throws: ``LabError`` when the tools are missing or refuse the zone.
    static func sign(_ zone: String, _ text: String, on host: LabHost) throws -> (
        text: String, anchor: String
    ) {
        let file = try host.write("\(zone).unsigned", text)
        let folder = host.folder
        let key = try Lab.run(
            ["ldns-keygen", "-a", "ECDSAP256SHA256", "-k", zone],
            directory: folder
        )
        guard key.code == 0 else { throw LabError("ldns-keygen: \(key.output)") }
        let signed = try Lab.run(
            ["ldns-signzone", "-o", zone, "-f", "\(file).signed", file, key.output.trimmed],
            directory: folder
        )
        guard signed.code == 0 else { throw LabError("ldns-signzone: \(signed.output)") }
        return (
            try Lab.must(["cat", "\(file).signed"]),
            try Lab.must(["cat", "\(folder)/\(key.output.trimmed).ds"]).trimmed
        )
    }
}
