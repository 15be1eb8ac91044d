/// What makes the packets of the comparison, and puts them through tayga: with scapy, and by hand
/// where scapy would mend them. It prints a line of JSON for each input.
enum TaygaScript {
    static let text = [
        tools, TaygaPackets.whole, TaygaErrorPackets.text, TaygaPackets.damaged, run,
    ].joined(separator: "\n\n\n")

    /// Layers, and what scapy does not make.
    private static let tools = #"""
        import json, random, socket, sys
        from scapy.config import conf
        conf.ipv6_enabled = False
        from scapy.layers.inet import IP, UDP, TCP, ICMP
        from scapy.layers.inet6 import (IPv6, IPv6ExtHdrHopByHop, IPv6ExtHdrDestOpt,
            IPv6ExtHdrRouting, IPv6ExtHdrFragment, ICMPv6EchoRequest, ICMPv6EchoReply,
            PadN, RouterAlert, in6_chksum)
        from scapy.packet import Raw
        from scapy.utils import checksum

        C4, S4, R4 = "192.0.2.10", "198.51.100.20", "203.0.113.1"
        C6, S6, R6 = "2001:db8:1::10", "2001:db8:2::20", "2001:db8:3::1"
        cases = []


        def add(group, name, *packets):
            cases.append((group, name, [bytes(p) for p in packets]))


        def body(count, start=0):
            return bytes((start + 7 * i) & 255 for i in range(count))


        def four(payload, **fields):
            fields = {"src": C4, "dst": S4, "id": 4660, "flags": "DF", "ttl": 64, **fields}
            return IP(**fields) / payload


        def six(payload, **fields):
            return IPv6(**{"src": C6, "dst": S6, "hlim": 64, **fields}) / payload


        def udp(count=11, **fields):
            return UDP(sport=1111, dport=2222, **fields) / Raw(body(count))


        def tcp(count=21, **fields):
            head = TCP(sport=3333, dport=443, seq=99, ack=7, flags="PA", **fields)
            return head / Raw(body(count))


        def echo4(count=13, kind=8, code=0):
            return ICMP(type=kind, code=code, id=77, seq=5) / Raw(body(count))


        def echo6(count=13, kind=128, code=0):
            layer = ICMPv6EchoRequest if kind == 128 else ICMPv6EchoReply
            return layer(code=code, id=77, seq=5, data=body(count))


        def transports(version):
            echo = echo4 if version == 4 else echo6
            reply = 0 if version == 4 else 129
            return [("udp", udp), ("tcp", tcp), ("echo", echo),
                ("reply", lambda count=13: echo(count, kind=reply))]


        def icmp4(kind, code, word, content):
            message = bytes([kind, code, 0, 0]) + word.to_bytes(4, "big") + content
            value = checksum(message)
            return Raw(message[:2] + value.to_bytes(2, "big") + message[4:])


        def icmp6(kind, code, word, content, source=R6, destination=C6):
            message = bytes([kind, code, 0, 0]) + word.to_bytes(4, "big") + content
            value = in6_chksum(58, IPv6(src=source, dst=destination), message)
            return Raw(message[:2] + value.to_bytes(2, "big") + message[4:])


        def error4(kind, code, word, quoted, **fields):
            fields = {"src": R4, "dst": C4, "flags": 0, "proto": 1, **fields}
            return four(icmp4(kind, code, word, quoted), **fields)


        def error6(kind, code, word, quoted, **fields):
            return six(icmp6(kind, code, word, quoted), src=R6, dst=C6, nh=58, **fields)


        def patched(packet, *changes):
            data = bytearray(bytes(packet))
            for offset, value in changes:
                data[offset] = value
            return bytes(data)


        def resummed(data):
            data = bytearray(data)
            data[10:12] = b"\0\0"
            data[10:12] = checksum(bytes(data[:(data[0] & 15) * 4])).to_bytes(2, "big")
            return bytes(data)


        def opted(packet, option):
            """The packet with options, four bytes each time."""
            data = bytes(packet)
            data = patched(data[:20] + option + data[20:], (0, 0x45 + len(option) // 4))
            total = len(data)
            return resummed(patched(data, (2, total >> 8), (3, total & 255)))


        def pieces4(packet, size):
            data = bytes(packet)
            content = data[20:]
            all = []
            for start in range(0, len(content), size):
                part = content[start:start + size]
                more = 0x2000 if start + size < len(content) else 0
                head = bytearray(data[:20])
                head[2:4] = (20 + len(part)).to_bytes(2, "big")
                head[6:8] = (more | start // 8).to_bytes(2, "big")
                all.append(resummed(bytes(head) + part))
            return all


        def pieces6(packet, size, identification=0xabcd0077):
            data = bytes(packet)
            content = data[40:]
            all = []
            for start in range(0, len(content), size):
                part = content[start:start + size]
                more = 1 if start + size < len(content) else 0
                head = bytearray(data[:40])
                head[4:6] = (8 + len(part)).to_bytes(2, "big")
                fragment = bytes([head[6], 0]) + (start | more).to_bytes(2, "big") \
                    + identification.to_bytes(4, "big")
                head[6] = 44
                all.append(bytes(head) + fragment + part)
            return all
        """#

    /// Puts each input through the device, and a marker behind it.
    private static let run = #"""
        class Device:
            def __init__(self, name):
                self.name = name
                self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(3))
                self.socket.bind((name, 3))
                self.socket.settimeout(5)
                self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)

            def send(self, packet):
                family = 0x86dd if packet[:1] and packet[0] >> 4 == 6 else 0x0800
                self.socket.sendto(packet, (self.name, family))

            def through(self, packets, number):
                """What comes out for the packets: all up to a marker that follows them."""
                mark = b"marker %09d" % number
                for packet in packets:
                    self.send(packet)
                self.send(bytes(four(UDP(sport=9, dport=9) / Raw(mark))))
                out = []
                while True:
                    packet, address = self.socket.recvfrom(65536)
                    if address[2] == socket.PACKET_OUTGOING:
                        continue
                    if packet.endswith(mark):
                        return out
                    out.append(packet)


        for make in (plain, sizes, options, extensions, fragments, zero, addresses, protocols,
                messages, errors, too_big, quotations, outer, damage, at_random):
            make()
        device = Device(sys.argv[1])
        with open(sys.argv[2], "w") as file:
            for number, (group, name, packets) in enumerate(cases):
                out = device.through(packets, number)
                file.write(json.dumps({"group": group, "name": name,
                    "packets": [p.hex() for p in packets],
                    "answers": [p.hex() for p in out]}) + "\n")
        print(len(cases), "cases")
        """#
}
