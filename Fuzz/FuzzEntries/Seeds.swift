internal import Bytes
internal import DNS
internal import IP

/// Inputs with a name each.
typealias Seeds = [(name: String, bytes: [UInt8])]

enum IPSeeds {
    private static let addresses = [
        (IPAddress(ipv4: 0x0a00_0001), IPAddress(ipv4: 0xcb00_7109)),
        (IPAddress(high: 0x2001_0db8 << 32, low: 1), IPAddress(high: 0x2001_0db8 << 32, low: 2)),
    ]

    /// Each protocol over each family, whole and large, and errors about them.
    static var all: Seeds {
        var seeds: Seeds = []
        for (source, destination) in addresses {
            let ip = IPHeader(from: source, to: destination, identification: 7)
            let family = ip.family == .ipv4 ? "v4" : "v6"
            let udp = ip.packet(
                UDPHeader(sourcePort: 1_000, destinationPort: 53),
                payload: [UInt8](repeating: 1, count: 60)
            )
            let tcp = ip.packet(
                TCPHeader(sourcePort: 1_000, destinationPort: 443, options: [1, 1, 1, 0]),
                payload: [UInt8](repeating: 2, count: 300)
            )
            let opening = ip.packet(
                TCPHeader(
                    sourcePort: 1_000,
                    destinationPort: 443,
                    flags: .syn,
                    options: [2, 4, 5, 180]
                )
            )
            let echo = ip.packet(
                ICMPHeader.echoRequest(ip.family, identifier: 3, sequence: 4),
                body: [UInt8](repeating: 3, count: 32)
            )
            let back = IPHeader(from: destination, to: source)
            let error = back.packet(ICMPHeader(type: ip.family == .ipv4 ? 3 : 1), body: udp)
            let whole = [UInt8](repeating: 0, count: 8)
            for (name, packet) in [
                ("udp", udp), ("tcp", tcp), ("syn", opening), ("echo", echo), ("error", error),
            ] {
                seeds.append(("\(family)-\(name)", whole + packet))
            }
            let segmentation: UInt8 = ip.family == .ipv4 ? 1 : 2
            seeds.append(("\(family)-tcp-large", [segmentation, 0, 0, 0, 0, 0, 100, 0] + tcp))
            seeds.append(("\(family)-udp-large", [3, 0, 0, 0, 0, 0, 20, 1] + udp))
        }
        return seeds
    }
}

enum DNSSeeds {
    /// Queries, answers with each kind of data, texts, and a log.
    static var all: Seeds {
        let records = DNSMessages.records
        var answer = DNSMessages.query("a.test", .a)
        answer.header.isResponse = true
        answer.answers = records
        let query = DNSMessages.query("git.example.com", .aaaa).wire()
        let protected = DNSMessages.query("x.a", .a).wire()
        var seeds: Seeds = [
            ("query", [0] + query), ("answer", [0] + answer.wire()),
            ("protected", [1, UInt8(protected.count)] + protected),
            ("forwarded", [1, UInt8(query.count)] + query + answer.wire().dropFirst(2)),
            ("log", [3, 0xc5, 2, 0, 4, 0, 0, 0, 9, 0, 0, 0, 0]),
        ]
        for (index, record) in records.enumerated() {
            var message = answer
            message.answers = [record]
            seeds.append(("record-\(index)", [0] + message.wire()))
        }
        let texts = [
            "*.example.com git.example.com", "**.a b.a", "a?c.example c.example",
            "1.2.0.192.in-addr.arpa", "\\097.b\\.c.d x", "8.b.d.0.1.0.0.2.ip6.arpa",
        ]
        for (index, text) in texts.enumerated() {
            seeds.append(("text-\(index)", [2] + Array(text.utf8)))
        }
        return seeds + plays
    }

    /// Plays of the stub resolver: what is kept, a zone's round, a site, a name taken over.
    private static var plays: Seeds {
        let ask: [UInt8] = [0, 3, 0, 0, 0, 1]
        let answer: [UInt8] = [4, 0, 0, 1, 2, 3, 4, 60]
        let zone: [UInt8] = [9, 2, 0, 1, 1, 3, 0]
        return [
            ("play-kept", [4] + ask + answer + ask + [7, 27] + ask + answer + ask),
            ("play-zone", [4] + zone + ask + [7, 20, 7, 20] + answer + ask + [4, 1, 7]),
            ("play-site", [4, 0, 0, 2, 0, 0, 1, 4, 0, 0, 1, 2, 3, 4, 9, 0, 0, 3, 1, 0, 2, 6, 1]),
            ("play-taken-over", [4] + ask + [8, 1, 0, 3] + answer + ask),
            ("play-changes", [4] + ask + answer + [9, 1, 1, 0, 11, 10, 0, 10, 1] + ask),
        ]
    }
}

/// DNS messages that seeds are made of.
enum DNSMessages {
    static func query(_ name: String, _ type: RecordType) -> Message {
        Message(query: Question(Name(name) ?? .root, type), id: 7)
    }

    /// A positive answer to a query's bytes, without its ID.
    static func answer(_ name: String, _ address: IPAddress) -> [UInt8] {
        var message = query(name, address.isIPv4 ? .a : .aaaa)
        message.header.isResponse = true
        let data: RecordData = address.isIPv4 ? .a(address) : .aaaa(address)
        message.answers = [Record(Name(name) ?? .root, timeToLive: 60, data)]
        return Array(message.wire().dropFirst(2))
    }

    static var records: [Record] {
        let (owner, other) = (Name("a.test") ?? .root, Name("b.test") ?? .root)
        let start = StartOfAuthority(
            server: other,
            mailbox: owner,
            serial: 1,
            refresh: 2,
            retry: 3,
            expire: 4,
            minimum: 5
        )
        let data: [RecordData] = [
            .a(IPAddress(ipv4: 0xc000_0201)), .aaaa(IPAddress(high: 1, low: 2)), .cname(other),
            .ns(other), .ptr(other), .txt([Array("text".utf8), []]), .soa(start),
            .other(RecordType(rawValue: 64), [0, 1, 0]),
        ]
        return data.map { Record(owner, timeToLive: 300, $0) }
    }
}

enum WireGuardSeeds {
    /// A handshake either way, packets, copies, damage, and time.
    static var all: Seeds {
        let handshake: [UInt8] = [1, 4, 0, 5, 0, 3, 20, 4, 0, 2, 20, 5, 0]
        return [
            ("handshake", handshake), ("both", handshake + [0, 5, 0, 4, 0] + handshake),
            ("replay", handshake + [4, 0, 4, 0, 4, 0]),
            ("damage", handshake + [8, 0, 2, 9, 1, 9, 2, 1]),
            ("raw", [10, 3, 4, 0, 0, 11, 3, 1, 0, 0]),
            ("rekey", handshake + [14, 121] + handshake + [14, 200] + handshake),
        ]
    }
}
