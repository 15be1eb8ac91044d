/// The part of the comparison's script that makes packets.
enum TaygaPackets {
    /// Headers, sizes, options, extension headers, fragments, addresses, protocols.
    static let whole = #"""
        def plain():
            for version, make in ((4, four), (6, six)):
                for name, layer in transports(version):
                    for count in (0, 1, 2, 3, 7, 8, 100, 999, 1000):
                        add("plain", f"v{version} {name} {count}", make(layer(count)))
            for value in range(256):
                add("traffic class", f"v4 {value}", four(udp(), tos=value))
                add("traffic class", f"v6 {value}", six(udp(), tc=value))
            add("flow label", "v6", six(udp(), fl=0xfffff))
            for name, layer in transports(4):
                for hops in (0, 1, 2, 3, 64, 128, 254, 255):
                    add("hops", f"v4 {name} {hops}", four(layer(), ttl=hops))
            for name, layer in transports(6):
                for hops in (0, 1, 2, 3, 64, 128, 254, 255):
                    add("hops", f"v6 {name} {hops}", six(layer(), hlim=hops))
            for number in (0, 1, 0x8000, 0xffff):
                add("identification", f"v4 {number}", four(udp(), id=number))
                add("identification", f"v4 without DF {number}",
                    four(udp(1300), id=number, flags=0))


        def sizes():
            for name, layer in transports(4):
                for total in (1231, 1232, 1233, 1259, 1260, 1261, 1262, 1279, 1280, 1281, 1400,
                        1452, 1479, 1480, 1481, 1499, 1500):
                    count = total - 20 - (20 if name == "tcp" else 8)
                    for flags in ("DF", 0):
                        add("sizes", f"v4 {name} {total} {flags}", four(layer(count), flags=flags))
            for name, layer in transports(6):
                for total in (1279, 1280, 1281, 1282, 1300, 1400, 1479, 1499, 1500):
                    count = total - 40 - (20 if name == "tcp" else 8)
                    add("sizes", f"v6 {name} {total}", six(layer(count)))
            add("flags", "v4 reserved bit", four(udp(), flags=4))
            add("flags", "v4 all", four(udp(16), flags=7))


        def options():
            kinds = {
                "nop": b"\1\1\1\1", "end": b"\0\0\0\0", "record route": b"\7\7\4\0\0\0\0\0",
                "timestamp": b"\x44\x0c\x05\0\0\0\0\0\0\0\0\0", "router alert": b"\x94\4\0\0",
                "security": b"\x82\x0b\0\0\0\0\0\0\0\0\0\0", "stream": b"\x88\4\0\1",
                "unknown": b"\x5e\4\1\2", "loose route ended": b"\x83\7\x08\1\2\3\4\0",
                "strict route ended": b"\x89\7\x08\1\2\3\4\0",
                "loose route": b"\x83\7\4\x0a\0\0\1\0", "strict route": b"\1\x89\7\4\x0a\0\0\1",
                "loose route half": b"\x83\x0b\x08\1\2\3\4\x0a\0\0\1\0",
                "malformed": b"\7\x28\4\0", "malformed zero": b"\7\0\4\0", "cut": b"\1\1\1\7",
                "largest": b"\1" * 40,
            }
            for name, option in kinds.items():
                for kind, layer in transports(4):
                    add("options", f"{name} {kind}", opted(four(layer()), option))


        def extensions():
            pad = PadN(optdata=b"\0\0\0\0")
            chains = {
                "hop-by-hop": lambda: IPv6ExtHdrHopByHop(options=[pad]),
                "hop-by-hop alert": lambda: IPv6ExtHdrHopByHop(options=[RouterAlert()]),
                "destination": lambda: IPv6ExtHdrDestOpt(options=[pad]),
                "destination large": lambda: IPv6ExtHdrDestOpt(options=[PadN(optdata=bytes(100))]),
                "routing 0 done": lambda: IPv6ExtHdrRouting(type=0, segleft=0, addresses=[S6]),
                "routing 4 done": lambda: IPv6ExtHdrRouting(type=4, segleft=0, addresses=[S6]),
                "routing 0 left": lambda: IPv6ExtHdrRouting(type=0, segleft=1, addresses=[S6]),
                "routing 2 left": lambda: IPv6ExtHdrRouting(type=2, segleft=1, addresses=[S6]),
                "routing 4 left": lambda: IPv6ExtHdrRouting(type=4, segleft=2, addresses=[S6, R6]),
                "all": lambda: IPv6ExtHdrHopByHop(options=[pad]) / IPv6ExtHdrDestOpt(options=[pad])
                    / IPv6ExtHdrRouting(segleft=0, addresses=[S6])
                    / IPv6ExtHdrDestOpt(options=[pad]),
                "hop-by-hop and routing left": lambda: IPv6ExtHdrHopByHop(options=[pad])
                    / IPv6ExtHdrRouting(segleft=3, addresses=[S6]),
                "hop-by-hop late": lambda: IPv6ExtHdrDestOpt(options=[pad])
                    / IPv6ExtHdrHopByHop(options=[pad]),
                "nine": lambda: chain([IPv6ExtHdrDestOpt(options=[pad]) for _ in range(9)]),
                "atomic fragment": lambda: IPv6ExtHdrFragment(id=0x98765),
                "options and atomic fragment": lambda: IPv6ExtHdrHopByHop(options=[pad])
                    / IPv6ExtHdrFragment(id=7),
                "options behind atomic fragment": lambda: IPv6ExtHdrFragment(id=7)
                    / IPv6ExtHdrDestOpt(options=[pad]),
                "two fragment headers": lambda: IPv6ExtHdrFragment(id=7) / IPv6ExtHdrFragment(id=8),
            }
            for name, layers in chains.items():
                for kind, layer in transports(6):
                    packet = six(layers() / layer())
                    add("extensions", f"{name} {kind}", stacked(packet, kind))
            for total in (1280, 1289, 1400, 1500):
                add("extensions", f"atomic fragment udp {total}",
                    six(IPv6ExtHdrFragment(id=0x98765) / udp(total - 56)))


        def chain(layers):
            all = layers[0]
            for layer in layers[1:]:
                all = all / layer
            return all


        def stacked(packet, kind):
            """Scapy sums transport checksums for the address that a routing header names; here
            it is the packet's destination, as no route is left."""
            data = bytearray(bytes(packet))
            number = {"udp": 17, "tcp": 6}.get(kind, 58)
            place = {17: 6, 6: 16, 58: 2}[number]
            at, following = 40, data[6]
            while following in (0, 43, 44, 60):
                following, size = data[at], 8 if following == 44 else 8 + 8 * data[at + 1]
                at += size
            data[at + place:at + place + 2] = b"\0\0"
            value = in6_chksum(number, IPv6(src=C6, dst=S6), bytes(data[at:]))
            data[at + place:at + place + 2] = value.to_bytes(2, "big")
            return bytes(data)


        def fragments():
            for name, layer in transports(4):
                whole = four(layer(400), flags=0)
                for size in (64, 200, 256):
                    parts = pieces4(whole, size)
                    for index, part in enumerate(parts):
                        add("fragments", f"v4 {name} {size} alone {index}", part)
                    add("fragments", f"v4 {name} {size} in order", *parts)
                    add("fragments", f"v4 {name} {size} reversed", *parts[::-1])
                add("fragments", f"v4 {name} with DF",
                    *[resummed(patched(p, (6, p[6] | 0x40))) for p in pieces4(whole, 200)])
                add("fragments", f"v4 {name} large", *pieces4(four(layer(2800), flags=0), 1480))
            for name, layer in transports(6):
                whole = six(layer(400))
                for size in (64, 200, 256):
                    parts = pieces6(whole, size)
                    for index, part in enumerate(parts):
                        add("fragments", f"v6 {name} {size} alone {index}", part)
                    add("fragments", f"v6 {name} {size} in order", *parts)
                    add("fragments", f"v6 {name} {size} reversed", *parts[::-1])
                add("fragments", f"v6 {name} large", *pieces6(six(layer(2800)), 1448))
            layer = UDP(sport=1111, dport=2222, chksum=0) / Raw(body(400))
            missing = pieces4(four(layer, flags=0), 200)
            add("fragments", "v4 udp without checksum", *missing)
            add("fragments", "v4 udp without checksum reversed", *missing[::-1])
            add("fragments", "v4 udp without checksum alone", missing[0])
            part = pieces4(four(udp(400), flags=0), 64)[0]
            add("fragments", "v4 odd length", resummed(patched(part[:-3], (3, part[3] - 3))))
            add("fragments", "v4 last unit", resummed(patched(part, (6, 0x1f), (7, 0xf0))))
            add("fragments", "v4 beyond the end", resummed(patched(part, (6, 0x1f), (7, 0xff))))
            add("fragments", "v4 tiny first", *pieces4(four(tcp(100), flags=0), 8))
            part = pieces6(six(udp(400)), 64)
            add("fragments", "v6 odd length", patched(part[0][:-3], (5, part[0][5] - 3)))
            add("fragments", "v6 beyond the end", patched(part[1], (42, 0xff), (43, 0xf8)))
            add("fragments", "v6 tiny first", *pieces6(six(tcp(100)), 8))
            for number in (0, 43, 44, 50, 51, 60, 135, 139, 140):
                add("fragments", f"v6 later with next header {number}",
                    patched(part[1], (40, number)))
            add("fragments", "v6 reserved bits", patched(part[1], (41, 255), (43, part[1][43] | 6)))


        def zero():
            for count in (0, 1, 2, 100, 101, 1000):
                layer = UDP(sport=1111, dport=2222, chksum=0) / Raw(body(count))
                add("no checksum", f"v4 {count}", four(layer))
                add("no checksum", f"v4 without DF {count}", four(layer, flags=0))
                add("no checksum", f"v6 {count}", patched(six(udp(count)), (46, 0), (47, 0)))
            for count in range(0, 20):
                # A sum of zero: the field must be 0xffff.
                ports = UDP(sport=1111, dport=2222)
                packet = bytes(four(ports / Raw(body(count) + b"\0\0")))
                if count % 2 == 0:
                    packet = bytes(four(ports / Raw(body(count) + packet[26:28])))
                add("checksum of zero", f"v4 {count}", packet)
            zeros = ICMP(type=0, id=0, seq=0) / Raw(bytes(8))
            add("checksum of zero", "v4 echo", four(zeros))
            add("checksum of zero", "v6 echo", six(ICMPv6EchoReply(id=0, seq=0, data=bytes(8))))


        def addresses():
            for source in ("0.0.0.0", "0.1.2.3", "127.0.0.1", "127.9.9.9", "169.254.1.1",
                    "224.0.0.1", "239.1.1.1", "240.0.0.1", "255.255.255.255", "10.0.0.1",
                    "192.168.7.7", "100.64.0.1"):
                add("sources", f"v4 {source}", four(udp(), src=source))
                add("destinations", f"v4 {source}", four(udp(), dst=source))
            prefix = "2001:db8:64::"
            for source in ("::", "::1", "fe80::1", "ff02::1", "::ffff:192.0.2.10",
                    prefix + "7f00:1", prefix + "0", prefix + "e000:1", prefix + "a9fe:101",
                    prefix + "ffff:ffff",
                    prefix + "a00:1", "2001:db8:9::9"):
                add("sources", f"v6 {source}", six(udp(), src=source))
                add("destinations", f"v6 {source}", six(udp(), dst=source))


        def protocols():
            for number in range(256):
                if number not in (1, 6, 17):
                    add("protocols", f"v4 {number}", four(Raw(bytes(24)), proto=number))
                if number not in (6, 17, 58):
                    add("protocols", f"v6 {number}", six(Raw(bytes(24)), nh=number))
        """#

    /// What nobody should send, and anything at random.
    static let damaged = #"""
        def damage():
            packet, packet6 = bytes(four(udp(40))), bytes(six(udp(40)))
            add("damage", "v4 header checksum", patched(packet, (10, packet[10] ^ 1)))
            for name, layer, place in (("udp", udp, 26), ("tcp", tcp, 36), ("echo", echo4, 22)):
                good = bytes(four(layer(40)))
                add("damage", f"v4 {name} checksum", patched(good, (place, good[place] ^ 1)))
            for name, layer, place in (("udp", udp, 46), ("tcp", tcp, 56), ("echo", echo6, 42)):
                good = bytes(six(layer(40)))
                add("damage", f"v6 {name} checksum", patched(good, (place, good[place] ^ 1)))
            add("damage", "v4 longer than it says", packet + bytes(10))
            add("damage", "v6 longer than it says", packet6 + bytes(10))
            add("damage", "v4 shorter than it says", packet[:-5])
            add("damage", "v6 shorter than it says", packet6[:-5])
            add("damage", "v4 header length 16", resummed(patched(packet, (0, 0x44))))
            add("damage", "v4 header length 60", patched(packet[:40], (0, 0x4f), (3, 40)))
            add("damage", "v4 version 6", patched(packet, (0, 0x65)))
            add("damage", "v6 version 4", patched(packet6, (0, 0x40)))
            add("damage", "v4 nineteen bytes", packet[:19])
            add("damage", "v6 thirty-nine bytes", packet6[:39])
            for value in (0, 7, 8, 49, 255):
                add("damage", f"v4 udp length {value}", patched(packet, (25, value)))
                add("damage", f"v6 udp length {value}", patched(packet6, (45, value)))
            for value in (0, 4, 15):
                add("damage", f"v4 tcp offset {value}", patched(four(tcp(8)), (32, value << 4)))
                add("damage", f"v6 tcp offset {value}", patched(six(tcp(8)), (52, value << 4)))
            for count in range(0, 8):
                add("damage", f"v4 udp of {count} bytes", four(Raw(body(count)), proto=17))
                add("damage", f"v6 udp of {count} bytes", six(Raw(body(count)), nh=17))
                add("damage", f"v4 echo of {count} bytes",
                    four(Raw((b"\x08\0\xf7\xff\0\0\0\0")[:count]), proto=1))
                add("damage", f"v6 echo of {count} bytes",
                    six(Raw((b"\x80" + bytes(7))[:count]), nh=58))


        def at_random():
            random.seed(17)
            for index in range(400):
                count, hops = random.randrange(1200), random.randrange(2, 256)
                value = random.randrange(256)
                ports = {"sport": random.randrange(65536), "dport": random.randrange(65536)}
                load = Raw(random.randbytes(count))
                options = [("MSS", random.randrange(65536)), ("WScale", 7)] if index % 3 else []
                head = TCP(seq=random.getrandbits(32), options=options, **ports)
                layers = [UDP(**ports) / load, head / load]
                if index % 2:
                    head = ICMP(type=random.choice((0, 8)), id=ports["sport"], seq=ports["dport"])
                    layer = random.choice(layers + [head / load])
                    add("at random", f"v4 {index}", four(layer, ttl=hops, tos=value,
                        id=random.randrange(65536), flags=random.choice(("DF", 0))))
                else:
                    kind = random.choice((ICMPv6EchoRequest, ICMPv6EchoReply))
                    echo = kind(id=ports["sport"], seq=ports["dport"], data=bytes(load))
                    layer = random.choice(layers + [echo])
                    add("at random", f"v6 {index}", six(layer, hlim=hops, tc=value))
        """#
}
