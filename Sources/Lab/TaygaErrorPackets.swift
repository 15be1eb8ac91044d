/// The part of the comparison's script that makes ICMP messages.
enum TaygaErrorPackets {
    /// Each type and code, sizes told, quotations, extensions (RFC 4884).
    static let text = #"""
        def messages():
            for kind in range(256):
                if kind not in (0, 3, 4, 5, 8, 11, 12):
                    layer = icmp4(kind, 0, 0x1234, body(20))
                    add("messages", f"v4 type {kind}", four(layer, proto=1))
                if kind >= 128 and kind not in (128, 129):
                    layer = icmp6(kind, 0, 0x1234, body(20), C6, S6)
                    add("messages", f"v6 type {kind}", six(layer, nh=58))
            for code in (1, 255):
                add("messages", f"v4 echo code {code}", four(echo4(code=code)))
                add("messages", f"v6 echo code {code}", six(echo6(code=code)))


        def errors():
            quoted4 = [(name, bytes(four(layer(100)))) for name, layer in transports(4)]
            quoted6 = [(name, bytes(six(layer(100)))) for name, layer in transports(6)]
            for code in list(range(18)) + [255]:
                for name, quoted in quoted4:
                    if code != 4:
                        add("errors", f"v4 3/{code} {name}", error4(3, code, 0, quoted))
                        add("errors", f"v4 3/{code} {name} short", error4(3, code, 0, quoted[:28]))
            for code in list(range(10)) + [255]:
                for name, quoted in quoted6:
                    add("errors", f"v6 1/{code} {name}", error6(1, code, 0, quoted))
                    add("errors", f"v6 1/{code} {name} short", error6(1, code, 0, quoted[:48]))
            for kind in (4, 5):
                for code in range(4):
                    add("errors", f"v4 {kind}/{code}",
                        error4(kind, code, 0x0a000001, quoted4[0][1]))
            for name, quoted in quoted4:
                for code in (0, 1, 2, 255):
                    add("errors", f"v4 11/{code} {name}", error4(11, code, 0, quoted))
            for name, quoted in quoted6:
                for code in (0, 1, 2, 255):
                    add("errors", f"v6 3/{code} {name}", error6(3, code, 0, quoted))
            for pointer in range(0, 26):
                for code in (0, 1, 2, 3):
                    add("errors", f"v4 12/{code} at {pointer}",
                        error4(12, code, pointer << 24, quoted4[0][1]))
            for pointer in list(range(0, 48)) + [1000, 1 << 24, (1 << 32) - 1]:
                add("errors", f"v6 4/0 at {pointer}", error6(4, 0, pointer, quoted6[0][1]))
            for code in (1, 2, 3, 255):
                for pointer in (0, 6, 40):
                    add("errors", f"v6 4/{code} at {pointer}",
                        error6(4, code, pointer, quoted6[0][1]))
            for kind in (0, 5, 100, 101, 127, 137):
                add("errors", f"v6 type {kind}", error6(kind, 0, 0, quoted6[0][1]))


        def too_big():
            large4 = bytes(four(udp(1400)))
            large6 = bytes(six(udp(1400)))
            for total in (1428, 576, 1006, 1300, 1492, 1493, 1500, 2002, 2003, 4400, 9000, 65535):
                quoted = resummed(patched(large4, (2, total >> 8), (3, total & 255)))[:528]
                add("sizes told", f"v4 0 of {total}", error4(3, 4, 0, quoted))
            for size in (1, 67, 68, 296, 576, 1006, 1259, 1260, 1261, 1279, 1280, 1281, 1400, 1479,
                    1480, 1481, 1499, 1500, 1501, 9000, 65535):
                add("sizes told", f"v4 {size}", error4(3, 4, size, large4[:528]))
                add("sizes told", f"v4 {size} of a fragment",
                    error4(3, 4, size, pieces4(four(udp(1400), flags=0), 1376)[0][:528]))
            for size in (0, 1, 68, 87, 88, 1000, 1259, 1260, 1279, 1280, 1281, 1300, 1400, 1480,
                    1499, 1500, 1501, 1519, 1520, 1521, 9000, 65535, 65556, 70000, (1 << 32) - 1):
                add("sizes told", f"v6 {size}", error6(2, 0, size, large6[:1200]))
                add("sizes told", f"v6 {size} of a fragment",
                    error6(2, 0, size, pieces6(six(udp(1400)), 1376)[0][:1200]))
            add("sizes told", "v6 with code", error6(2, 7, 1400, large6[:1200]))
            add("sizes told", "v4 with upper half", error4(3, 4, 0xffff0000 | 1400, large4[:528]))


        def quotations():
            for name, layer in transports(4):
                quoted = bytes(four(layer(60)))
                for count in range(0, 61, 4):
                    add("quotations", f"v4 {name} {count} bytes", error4(3, 1, 0, quoted[:count]))
            for name, layer in transports(6):
                quoted = bytes(six(layer(60)))
                for count in range(0, 81, 4):
                    add("quotations", f"v6 {name} {count} bytes", error6(1, 0, 0, quoted[:count]))
            for count in (400, 520, 548, 549, 600, 1000, 1200, 1212, 1213, 1300, 1428):
                add("quotations", f"v4 long {count}",
                    error4(3, 1, 0, bytes(four(udp(1400)))[:count]))
            for count in (400, 520, 560, 568, 576, 600, 1000, 1200, 1232):
                add("quotations", f"v6 long {count}",
                    error6(1, 0, 0, bytes(six(udp(1400)))[:count]))
            inner = bytes(four(udp(40)))
            inner6 = bytes(six(udp(40)))
            add("quotations", "v4 with options",
                error4(3, 1, 0, opted(four(udp(40)), b"\1\1\1\1")))
            add("quotations", "v4 with a route",
                error4(3, 1, 0, opted(four(udp(40)), b"\x83\7\4\x0a\0\0\1\0")))
            add("quotations", "v4 nested",
                error4(3, 1, 0, bytes(error4(3, 1, 0, inner, src=C4, dst=S4))))
            add("quotations", "v6 nested", error6(1, 0, 0, bytes(
                six(icmp6(1, 0, 0, inner6, C6, S6), nh=58))))
            add("quotations", "v4 timestamp",
                error4(3, 1, 0, bytes(four(icmp4(13, 0, 0, inner), proto=1))))
            add("quotations", "v6 neighbour", error6(1, 0, 0, bytes(
                six(icmp6(135, 0, 0, inner6, C6, S6), nh=58))))
            add("quotations", "v4 no checksum", error4(3, 1, 0, patched(inner, (26, 0), (27, 0))))
            add("quotations", "v6 no checksum", error6(1, 0, 0, patched(inner6, (46, 0), (47, 0))))
            add("quotations", "v4 wrong header checksum", error4(3, 1, 0, patched(inner, (10, 9))))
            add("quotations", "v4 wrong checksum",
                error4(3, 1, 0, patched(inner, (26, 9), (27, 9))))
            for hops in (0, 1):
                add("quotations", f"v4 hops {hops}",
                    error4(11, 0, 0, bytes(four(udp(40), ttl=hops))))
                add("quotations", f"v6 hops {hops}",
                    error6(3, 0, 0, bytes(six(udp(40), hlim=hops))))
            add("quotations", "v4 without DF", error4(3, 1, 0, bytes(four(udp(40), flags=0))))
            add("quotations", "v4 without DF large",
                error4(3, 1, 0, bytes(four(udp(1400), flags=0))[:528]))
            for index, part in enumerate(pieces4(four(udp(400), flags=0), 200)):
                add("quotations", f"v4 fragment {index}", error4(11, 1, 0, part))
            for index, part in enumerate(pieces6(six(udp(400)), 200)):
                add("quotations", f"v6 fragment {index}", error6(3, 1, 0, part))
            for index, part in enumerate(pieces4(four(echo4(400), flags=0), 200)):
                add("quotations", f"v4 echo fragment {index}", error4(11, 1, 0, part))
            for index, part in enumerate(pieces6(six(echo6(400)), 200)):
                add("quotations", f"v6 echo fragment {index}", error6(3, 1, 0, part))
            add("quotations", "v6 with options", error6(1, 0, 0, bytes(
                six(IPv6ExtHdrHopByHop(options=[PadN(optdata=b"\0\0\0\0")]) / udp(40)))))
            add("quotations", "v6 atomic fragment", error6(2, 0, 1400, bytes(
                six(IPv6ExtHdrFragment(id=7) / udp(1400)))[:1200]))
            for number in (2, 41, 47, 50, 132):
                add("quotations", f"v4 protocol {number}",
                    error4(3, 2, 0, bytes(four(Raw(bytes(40)), proto=number))))
                add("quotations", f"v6 protocol {number}",
                    error6(4, 1, 6, bytes(six(Raw(bytes(40)), nh=number))))
            add("quotations", "v4 of IPv6", error4(3, 1, 0, inner6))
            add("quotations", "v6 of IPv4", error6(1, 0, 0, inner))
            add("quotations", "v4 unknown addresses",
                error4(3, 1, 0, bytes(four(udp(40), dst="10.1.1.1"))))
            add("quotations", "v6 unknown addresses",
                error6(1, 0, 0, bytes(six(udp(40), dst="2001:db8:9::9"))))


        def outer():
            inner, inner6 = bytes(four(udp(40))), bytes(six(udp(40)))
            for hops in (0, 1, 2):
                add("errors on the way", f"v4 hops {hops}", error4(3, 1, 0, inner, ttl=hops))
                add("errors on the way", f"v6 hops {hops}", error6(1, 0, 0, inner6, hlim=hops))
            for value in (1, 0xc0, 255):
                add("errors on the way", f"v4 class {value}", error4(3, 1, 0, inner, tos=value))
                add("errors on the way", f"v6 class {value}", error6(1, 0, 0, inner6, tc=value))
            add("errors on the way", "v4 DF", error4(3, 1, 0, inner, flags="DF"))
            add("errors on the way", "v4 options", opted(error4(3, 1, 0, inner), b"\1\1\1\1"))
            add("errors on the way", "v6 options", bytes(six(
                IPv6ExtHdrDestOpt(nh=58, options=[PadN(optdata=b"\0\0\0\0")])
                / icmp6(1, 0, 0, inner6), src=R6, dst=C6)))
            add("errors on the way", "v4 in pieces", *pieces4(error4(3, 1, 0, inner), 40))
            add("errors on the way", "v6 in pieces", *pieces6(error6(1, 0, 0, inner6), 64))
            add("errors on the way", "v4 wrong checksum", patched(error4(3, 1, 0, inner), (22, 1)))
            add("errors on the way", "v6 wrong checksum", patched(error6(1, 0, 0, inner6), (42, 1)))
            add("errors on the way", "v4 illegal source", error4(3, 1, 0, inner, src="127.0.0.1"))
            add("errors on the way", "v6 illegal source", bytes(six(
                icmp6(1, 0, 0, inner6, "fe80::1", C6), src="fe80::1", dst=C6, nh=58)))
            objects = b"\x20\0\x12\x34\0\x08\1\1\x30\x39\1\xff"
            for count in (128, 132, 136, 200, 400):
                for kind, code in ((3, 1), (3, 2), (3, 4), (11, 0), (12, 0)):
                    quoted = bytes(four(udp(600)))[:count]
                    word = count // 4 << 16 | (1400 if (kind, code) == (3, 4) else 0)
                    add("extended errors", f"v4 {kind}/{code} {count}",
                        error4(kind, code, word, quoted + objects))
                for kind, code in ((1, 0), (3, 0)):
                    quoted = bytes(six(udp(600)))[:count // 8 * 8]
                    add("extended errors", f"v6 {kind}/{code} {count}",
                        error6(kind, code, count // 8 << 24, quoted + objects))
            quoted = (bytes(four(udp(4))) + bytes(128))[:128]
            add("extended errors", "v4 padded", error4(11, 0, 32 << 16, quoted + objects))
            quoted = (bytes(six(udp(4))) + bytes(128))[:128]
            add("extended errors", "v6 padded", error6(3, 0, 16 << 24, quoted + objects))
            add("extended errors", "v6 large",
                error6(3, 0, 120 << 24, bytes(six(udp(1200)))[:960] + objects))
        """#
}
