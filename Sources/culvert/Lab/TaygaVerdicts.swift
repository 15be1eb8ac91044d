// Each row was decided by the text of the clause that it names. The first that fits counts.

extension TaygaVerdict {
    /// All, the broadest last.
    static let all = packets + errors + everywhere

    private static let packets = [
        TaygaVerdict(
            "Hop limit 0 on arrival",
            tayga: "drops",
            ours: "time exceeded",
            "RFC 1812 5.3.1 (zero or less), RFC 4443 3.3",
            in: ["hops"],
            ["drops, answers 11/0", "drops, answers 3/0"],
            naming: ["udp 0", "tcp 0", "echo 0", "reply 0"]
        ),
        TaygaVerdict(
            "An echo reply that cannot go on",
            tayga: "drops",
            ours: "time exceeded, fragmentation needed",
            "RFC 1812 4.3.2.7: only ICMP errors must not be answered by errors",
            in: ["hops", "sizes"],
            ["drops, answers"],
            naming: ["reply"]
        ),
        TaygaVerdict(
            "An IPv4 source route that is not at its end",
            tayga: "translates",
            ours: "source route failed",
            "RFC 7915 4.1",
            in: ["options"],
            ["translates, answers 3/5"],
            naming: ["route"]
        ),
        TaygaVerdict(
            "Malformed IPv4 options",
            tayga: "translates",
            ours: "drops",
            "RFC 7915 4.1: a source route must be found, which they can hide; RFC 791 3.1",
            in: ["options"],
            ["translates, drops"],
            naming: ["malformed", "cut"]
        ),
        TaygaVerdict(
            "A routing header with segments left",
            tayga: "translates",
            ours: "parameter problem at that field",
            "RFC 7915 5.1",
            in: ["extensions"],
            ["translates, answers 4/0"],
            naming: ["left"]
        ),
        TaygaVerdict(
            "Hop-by-hop options behind another header; nine extension headers",
            tayga: "translates",
            ours: "drops",
            "RFC 8200 4.1; RFC 8883: a node may bound what it reads",
            in: ["extensions"],
            ["translates, drops"],
            naming: ["late", "nine"]
        ),
        TaygaVerdict(
            "An extension header behind a fragment header",
            tayga: "translates",
            ours: "drops",
            "RFC 7915 5.1.1",
            in: ["extensions", "fragments", "protocols"],
            ["translates, drops"],
            naming: ["behind", "two fragment", "next header", "v6 44"]
        ),
        TaygaVerdict(
            "ICMP in pieces",
            tayga: "drops",
            ours: "joins, and translates the whole",
            "RFC 6146 3.4; RFC 7915 1.2 lets stateless translators drop",
            in: ["fragments", "errors on the way"],
            ["drops, translates", "drops, makes"],
            naming: ["echo", "reply", "pieces"]
        ),
        TaygaVerdict(
            "UDP from IPv4 without a checksum, whole",
            tayga: "drops",
            ours: "computes it",
            "RFC 7915 4.5",
            in: ["no checksum"],
            ["drops, translates"],
            naming: ["v4"]
        ),
        TaygaVerdict(
            "UDP from IPv4 without a checksum, in pieces",
            tayga: "drops the first piece",
            ours: "joins what comes after it, and computes it",
            "RFC 6146 3.4",
            in: ["fragments"],
            ["makes 2 packets, translates"],
            naming: ["without checksum"]
        ),
        TaygaVerdict(
            "UDP from IPv6 without a checksum",
            tayga: "drops",
            ours: "translates, still without",
            "RFC 6936: middleboxes forward it",
            in: ["no checksum"],
            ["drops, translates"],
            naming: ["v6"]
        ),
        TaygaVerdict(
            "An ICMPv4 echo reply of zeros",
            tayga: "checksum 0x0000, which its receiver refuses",
            ours: "checksum 0xffff",
            "RFC 792, RFC 1071 1",
            in: ["checksum of zero"],
            ["checksum"],
            naming: ["v6 echo"]
        ),
        TaygaVerdict(
            "Sources and destinations in 0.0.0.0/8",
            tayga: "translates",
            ours: "drops",
            "RFC 7915 4.1, 5.1; RFC 1812 5.3.7",
            in: ["sources", "destinations"],
            ["translates, drops"],
            naming: ["v4 0.", "64::0"]
        ),
        TaygaVerdict(
            "IPv6 addresses that stand for illegal IPv4 addresses, or for none",
            tayga: "answers 1/5 or 1/0",
            ours: "drops; the gateway answers where it knows no flow",
            "RFC 7915 5.1: silently",
            in: ["sources", "destinations"],
            ["answers 1/5 0, drops", "answers 1/0 0, drops"]
        ),
        TaygaVerdict(
            "IGMP",
            tayga: "translates",
            ours: "drops",
            "RFC 7915 4.2",
            in: ["protocols"],
            ["translates, drops"],
            naming: ["v4 2"]
        ),
        TaygaVerdict(
            "An echo with a wrong checksum",
            tayga: "drops",
            ours: "translates, still wrong",
            "RFC 7915 4.2, 5.2: adjusted, not made; its receiver decides",
            in: ["damage"],
            ["drops, translates"],
            naming: ["echo checksum"]
        ),
        TaygaVerdict(
            "A UDP length below 8 or beyond the packet",
            tayga: "translates",
            ours: "drops",
            "RFC 768: Length",
            in: ["damage"],
            ["translates, drops"],
            naming: ["udp length"]
        ),
        TaygaVerdict(
            "A TCP data offset below 5 or beyond the packet",
            tayga: "translates",
            ours: "drops",
            "RFC 9293 3.1: Data Offset",
            in: ["damage"],
            ["translates, drops"],
            naming: ["tcp offset"]
        ),
    ]

    private static let errors = [
        TaygaVerdict(
            "Errors that quote less than a TCP header",
            tayga: "drops",
            ours: "translates",
            "RFC 792: 64 bits of it are enough",
            in: ["errors", "quotations"],
            ["drops, translates"],
            naming: ["tcp"]
        ),
        TaygaVerdict(
            "Errors that quote an echo reply, or an echo in pieces",
            tayga: "drops",
            ours: "translates",
            "RFC 7915 4.3, 5.3: the quoted packet is translated as any",
            in: ["errors", "quotations"],
            ["drops, translates"],
            naming: ["reply", "echo fragment"]
        ),
        TaygaVerdict(
            "Errors that quote UDP without a checksum",
            tayga: "drops",
            ours: "translates",
            "RFC 7915 4.3, 5.3; RFC 5508 REQ-3 c",
            in: ["quotations"],
            ["drops, translates"],
            naming: ["no checksum"]
        ),
        TaygaVerdict(
            "Address unreachable (ICMPv6 1/3)",
            tayga: "drops",
            ours: "host unreachable",
            "RFC 7915 5.2",
            in: ["errors"],
            ["drops, translates"],
            naming: ["1/3"]
        ),
        TaygaVerdict(
            "Parameter problems",
            tayga: "drops",
            ours: "translates what has a counterpart",
            "RFC 7915 4.2 figure 3, 5.2 figure 6",
            in: ["errors", "extended errors"],
            ["drops, translates"],
            naming: ["12/", "4/0"]
        ),
        TaygaVerdict(
            "Sizes told of a fragment, towards IPv6",
            tayga: "drops",
            ours: "packet too big, 28 bytes more",
            "RFC 7915 4.2: whether the packet in error has a fragment header",
            in: ["sizes told"],
            ["drops, translates"],
            naming: ["v4+of a fragment"]
        ),
        TaygaVerdict(
            "Sizes told of a fragment, towards IPv4",
            tayga: "20 bytes less",
            ours: "28 bytes less",
            "RFC 7915 5.2: whether the packet in error has a fragment header",
            in: ["sizes told", "quotations"],
            ["second word"],
            naming: ["of a fragment", "atomic"]
        ),
        TaygaVerdict(
            "Sizes told of less than IPv4 can carry",
            tayga: "drops, or tells less than 68 bytes",
            ours: "68 bytes",
            "RFC 791 3.2, RFC 1191 3",
            in: ["sizes told"],
            ["drops, translates", "second word"],
            naming: ["v6 0", "v6 1", "v6 68", "v6 87"]
        ),
        TaygaVerdict(
            "Fragmentation needed with an unused field that is not zero",
            tayga: "drops",
            ours: "translates",
            "RFC 1191 4: unused; RFC 4884 4.1: a length",
            in: ["sizes told"],
            ["drops, translates"],
            naming: ["upper half"]
        ),
        TaygaVerdict(
            "Errors that quote an IPv4 fragment",
            tayga: "quotes it without a fragment header",
            ours: "with one",
            "RFC 7915 4.3, 4.1",
            in: ["quotations"],
            ["length"],
            naming: ["v4 fragment"]
        ),
        TaygaVerdict(
            "Errors that quote a source route that is not at its end",
            tayga: "translates",
            ours: "drops",
            "RFC 7915 4.1: such a packet never came through",
            in: ["quotations"],
            ["translates, drops"],
            naming: ["route"]
        ),
        TaygaVerdict(
            "Extensions of errors (RFC 4884)",
            tayga: "drops them and what pads the quotation, or takes them for a part of it",
            ours: "keeps them, the length adjusted",
            "RFC 7915 4.2, 5.2: ICMP extensions",
            in: ["extended errors"],
            ["length", "second word", "quoted transport"]
        ),
    ]

    private static let everywhere = [
        TaygaVerdict(
            "DF of IPv4 packets up to 1,260 bytes",
            tayga: "set",
            ours: "clear",
            "RFC 7915 5.1 (RFC 6145, which tayga follows, had it set)",
            ["DF"]
        ),
        TaygaVerdict(
            "DF of quoted IPv4 packets up to 1,260 bytes",
            tayga: "set",
            ours: "clear",
            "RFC 7915 5.3, 5.1",
            ["quoted flags", "quoted header checksum"]
        ),
    ]
}
