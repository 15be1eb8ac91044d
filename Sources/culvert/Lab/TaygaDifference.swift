internal import Bytes
internal import IP
internal import Lab

/// What one translator made of an input, in words.
struct TaygaResult {
    let packets: [[UInt8]]
    private let own: Set<String> = [Tayga.own.ipv4, Tayga.own.ipv6]

    init(_ packets: [[UInt8]]) { self.packets = packets }

    /// Nothing, an answer to the sender, or how many packets.
    var summary: String {
        guard let first = packets.first else { return "drops" }
        if packets.count == 1, let answer = Self.answer(first, own) { return answer }
        return packets.count == 1 ? "translates" : "makes \(packets.count) packets"
    }

    /// An ICMP error of the translator's own.
    private static func answer(_ packet: [UInt8], _ own: Set<String>) -> String? {
        guard let header = try? PacketHeader(packet.rawSpan), header.isICMPError,
            own.contains(header.source.description)
        else { return nil }
        let start = header.transportOffset
        let word = packet.rawSpan.uint32(at: start + 4)
        return "answers \(packet[start])/\(packet[start + 1]) \(word)"
    }
}

/// In what both translators differ for an input.
enum TaygaDifference {
    /// What tayga made and what we made where these are different things, or else the fields in
    /// which the packets differ; each once, so that like cases are alike.
    static func findings(_ one: TaygaCase, ours: [[UInt8]]) -> [String] {
        let (theirs, mine) = (TaygaResult(one.answers).summary, TaygaResult(ours).summary)
        guard theirs == mine else { return ["\(theirs), \(mine)"] }
        guard !theirs.hasPrefix("answers") else { return [] }
        var findings: [String] = []
        for (one, other) in zip(one.answers, ours) {
            for field in fields(one, other) where !findings.contains(field) {
                findings.append(field)
            }
        }
        return findings
    }

    /// Names of the fields in which two packets differ.
    private static func fields(_ one: [UInt8], _ other: [UInt8]) -> [String] {
        guard one != other else { return [] }
        guard let (a, b) = try? (PacketHeader(one.rawSpan), PacketHeader(other.rawSpan)) else {
            return ["form"]
        }
        guard a.family == b.family else { return ["family"] }
        var fields: [String] = []
        func note(_ isSame: Bool, _ field: String) { if !isSame { fields.append(field) } }
        note(a.source == b.source && a.destination == b.destination, "addresses")
        note(a.totalByteCount == b.totalByteCount, "length")
        note(a.transportOffset == b.transportOffset, "fragment header")
        note(a.trafficClass == b.trafficClass, "class")
        note(a.hopLimit == b.hopLimit, "hops")
        note(a.transportProtocol == b.transportProtocol, "protocol")
        note(a.dontFragment == b.dontFragment, "DF")
        note(a.moreFragments == b.moreFragments && a.fragmentOffset == b.fragmentOffset, "place")
        // Without a fragment header each counts for itself (RFC 7915 5.1).
        note(a.identification == b.identification || !a.isFragment, "identification")
        let (first, second) = (one[a.transportOffset...], other[b.transportOffset...])
        guard a.totalByteCount == b.totalByteCount, first != second else { return fields }
        return fields + content(a, Array(first), Array(second))
    }

    /// In what two messages of one length differ.
    private static func content(
        _ header: PacketHeader,
        _ one: [UInt8],
        _ other: [UInt8]
    ) -> [String] {
        guard header.isICMPError else {
            let place = header.checksumOffset.map { $0 - header.transportOffset } ?? -2
            let isChecksumOnly = one.indices.allSatisfy {
                one[$0] == other[$0] || $0 == place || $0 == place + 1
            }
            return [isChecksumOnly ? "checksum" : "content"]
        }
        var fields: [String] = []
        if one[..<2] != other[..<2] { fields.append("type and code") }
        if one[4..<8] != other[4..<8] { fields.append("second word") }
        let quoted = (Array(one[8...]), Array(other[8...]))
        if quoted.0 != quoted.1 {
            fields += quotation(quoted.0, quoted.1)
        } else if fields.isEmpty {
            fields.append("checksum")
        }
        return fields
    }

    /// In what two quoted packets of one length differ.
    private static func quotation(_ one: [UInt8], _ other: [UInt8]) -> [String] {
        let names =
            one.first.map { $0 >> 4 } == 4
            ? [
                0..<1: "version", 1..<2: "class", 2..<4: "length", 4..<6: "identification",
                6..<8: "flags", 8..<9: "hops", 9..<10: "protocol", 10..<12: "header checksum",
                12..<20: "addresses", 20..<2000: "transport",
            ]
            : [
                0..<4: "first word", 4..<6: "length", 6..<7: "next header", 7..<8: "hops",
                8..<40: "addresses", 40..<2000: "transport",
            ]
        return names.sorted { $0.key.lowerBound < $1.key.lowerBound }.compactMap { range, name in
            let range = range.clamped(to: 0..<min(one.count, other.count))
            return one[range] == other[range] ? nil : "quoted \(name)"
        }
    }
}
