/// The programs of ``EndToEnd/InsideTests``.
enum InsideScript {
    static let echo = """
        import socket
        link = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
        link.bind(("::", 7777))
        print("echoes")
        while True:
            data, sender = link.recvfrom(2048)
            link.sendto(data, sender)
        """

    /// Flows of the client: a download that goes on, an echo ten times a second, a datagram to a
    /// closed port, whose error comes back. Prints which packets may come in for them.
    static let flows = """
        import socket, threading, time
        name, own, kept = "git.corp.example", [], []
        for family in (socket.AF_INET, socket.AF_INET6):
            address = socket.getaddrinfo(name, 80, family)[0][4][0]
            stream = socket.socket(family, socket.SOCK_STREAM)
            stream.settimeout(20)
            stream.connect((address, 80))
            stream.sendall(b"GET /big HTTP/1.1\\r\\nHost: " + name.encode() + b"\\r\\n\\r\\n")
            own.append(f"6/{address}/80>{stream.getsockname()[1]}")
            echo = socket.socket(family, socket.SOCK_DGRAM)
            echo.settimeout(5)
            echo.connect((address, 7777))
            own.append(f"17/{address}/7777>{echo.getsockname()[1]}")
            closed = socket.socket(family, socket.SOCK_DGRAM)
            closed.settimeout(5)
            closed.connect((address, 7))
            error = "1/{}/3.3" if family == socket.AF_INET else "58/{}/1.4"
            own.append(f"{error.format(address)}/{closed.getsockname()[1]}>7")
            kept.append((stream, echo, closed))
        def download(stream):
            while stream.recv(65536):
                time.sleep(0.05)
        for stream, _, _ in kept:
            threading.Thread(target=download, args=[stream], daemon=True).start()
        print("own", *own)
        print("flows")
        while True:
            for _, echo, closed in kept:
                try:
                    echo.send(b"hello")
                    assert echo.recv(100) == b"hello"
                except TimeoutError:
                    continue
                try:
                    closed.send(b"hello")
                except ConnectionRefusedError:
                    pass
            print("echo")
            time.sleep(0.1)
        """

    /// Counts what comes in by the tunnel device, and writes it down when it is ended.
    static let witness = """
        import collections, ipaddress, json, signal, socket, sys
        tap = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(3))
        tap.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 24)
        tap.bind(("culvert0", 3))
        seen = collections.Counter()
        def end(*_):
            with open(sys.argv[1], "w") as out:
                json.dump({"packets": seen}, out)
            sys.exit(0)
        signal.signal(signal.SIGTERM, end)
        print("watches")
        while True:
            packet, about = tap.recvfrom(65536)
            if about[2] == socket.PACKET_OUTGOING or about[1] not in (0x0800, 0x86DD):
                continue
            four = packet[0] >> 4 == 4
            protocol = packet[9] if four else packet[6]
            source = ipaddress.ip_address(packet[12:16] if four else packet[8:24])
            body = packet[(packet[0] & 15) * 4:] if four else packet[40:]
            body += bytes(max(0, 8 - len(body)))
            if protocol in (6, 17):
                ports = [int.from_bytes(body[at:at + 2], "big") for at in (0, 2)]
                seen[f"{protocol}/{source}/{ports[0]}>{ports[1]}"] += 1
                continue
            kind = f"{protocol}/{source}/{body[0]}.{body[1]}"
            about = body[8 + (20 if four else 40):][:4]
            if (protocol, body[0]) in ((1, 0), (58, 129)):
                kind += f"#{body[4:6].hex()}"
            elif len(about) == 4:
                ports = [int.from_bytes(about[at:at + 2], "big") for at in (0, 2)]
                kind += f"/{ports[0]}>{ports[1]}"
            seen[kind] += 1
        """

    /// Throws everything at the client's tunnel addresses, and at the ports that the gateway has
    /// taken for the client's flows: from the server's own address and from others.
    static let sweep = head + four + six + main

    private static let head = """
        import ipaddress, json, os, random, socket, struct, sys, time
        tunnel = [ipaddress.ip_address(text) for text in sys.argv[1].split(",")]
        ports = [int(text) for text in sys.argv[2].split(",") if text] or [40000]
        target4 = next(a for a in tunnel if a.version == 4)
        target6 = next(a for a in tunnel if a.version == 6)
        GATEWAY4, GATEWAY6 = (ipaddress.ip_address(t) for t in ("10.20.0.1", "fd20::1"))
        MINE4, MINE6 = (ipaddress.ip_address(t) for t in ("10.20.0.80", "fd20::80"))
        OTHER4, OTHER6 = (ipaddress.ip_address(t) for t in ("10.20.0.99", "fd20::99"))
        raw4 = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
        raw6 = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_RAW)
        raw6.setsockopt(socket.IPPROTO_IPV6, 36, 1)  # IPV6_HDRINCL
        count = 0
        def checksum(data):
            data += bytes(len(data) % 2)
            total = sum(struct.unpack(f"!{len(data) // 2}H", data))
            while total >> 16:
                total = (total & 0xFFFF) + (total >> 16)
            return ~total & 0xFFFF
        def header(source, to, protocol, body, flags=0):
            if source.version == 6:
                return (struct.pack("!IHBB", 6 << 28, len(body), protocol, 64) + source.packed
                        + to.packed)
            head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(body), random.getrandbits(16),
                               flags, 64, protocol, 0) + source.packed + to.packed
            return head[:10] + struct.pack("!H", checksum(head)) + head[12:]
        def summed(source, to, protocol, body, at):
            pseudo = source.packed + to.packed + struct.pack("!II", len(body), protocol)
            total = checksum((b"" if protocol == 1 else pseudo) + body)
            return body[:at] + struct.pack("!H", total) + body[at + 2:]
        def tcp(source, to, port, target, flags):
            body = struct.pack("!HHIIBBHHH", port, target, random.getrandbits(32),
                               random.getrandbits(32), 0x50, flags, 65535, 0, 0)
            return summed(source, to, 6, body, 16)
        def udp(source, to, port, target, data=b"open up"):
            return summed(source, to, 17, struct.pack("!HHHH", port, target, 8 + len(data), 0)
                          + data, 6)
        def send(source, to, protocol, body, flags=0):
            global count
            packet = header(source, to, protocol, body, flags) + body
            try:
                (raw4 if source.version == 4 else raw6).sendto(packet, (str(to), 0))
            except OSError:
                return
            count += 1
            if count % 200 == 0:
                time.sleep(0.01)

        """

    /// Every kind of packet for a pair of addresses; `allocated` are the gateway's ports.
    private static let four = """
        def transports(source, to, targets):
            for target in targets:
                for flags in (2, 18, 16, 4, 1, 17, 0, 41, 63):  # SYN, SYN+ACK, ACK, RST, FIN …
                    send(source, to, 6, tcp(source, to, random.choice([81, 443, 40000]), target,
                                            flags))
                send(source, to, 17, udp(source, to, random.choice([53, 123, 40000]), target))
        def forged_errors(source, to, protocol, kinds):
            # Errors about flows that the client never began.
            for kind, code in kinds:
                for inner in (6, 17):
                    other = OTHER4 if to.version == 4 else OTHER6
                    make = tcp(to, other, 50000, 22, 2) if inner == 6 else udp(to, other, 5, 6)
                    body = struct.pack("!BBHI", kind, code, 0, 0) + header(to, other, inner, make)
                    send(source, to, protocol, summed(source, to, protocol, body + make, 2))
        def messages(source, to, protocol):
            for kind in range(256):
                for code in (range(16) if kind < 20 or 127 < kind < 160 else (0,)):
                    body = struct.pack("!BBHHH", kind, code, 0, random.getrandbits(16), 1)
                    send(source, to, protocol, summed(source, to, protocol, body + b"abcdefgh", 2))
        def protocols(source, to):
            for protocol in range(256):
                if protocol not in (1, 6, 17, 58):
                    send(source, to, protocol, os.urandom(40))

        """

    private static let six = """
        def fragments(source, to):
            whole = udp(source, to, 7777, ports[0], os.urandom(1200))
            send(source, to, 17, whole[:600], 0x2000)
            send(source, to, 17, whole[600:], 600 // 8)
            send(source, to, 6, tcp(source, to, 80, ports[0], 2)[:8], 0x2000)

        """

    private static let main = """
        well_known = [1, 7, 22, 25, 53, 80, 111, 139, 443, 445, 3389, 5353, 7777, 8080, 51830]
        for mine, other, gateway, target, icmp in (
            (MINE4, OTHER4, GATEWAY4, target4, 1), (MINE6, OTHER6, GATEWAY6, target6, 58),
        ):
            for source in (mine, other):
                targets = well_known + ports + random.sample(range(1024, 65536), 200)
                transports(source, target, targets)
                transports(source, gateway, ports)
                messages(source, target, icmp)
                forged_errors(source, target, icmp,
                              [(3, 1), (3, 3), (3, 4), (4, 0), (5, 0), (11, 0), (12, 0)]
                              if icmp == 1 else [(1, 0), (1, 4), (2, 0), (3, 0), (4, 0), (137, 0)])
                protocols(source, target)
                if icmp == 1:
                    fragments(source, target)
        print(json.dumps({"packets": count, "ports": ports}))
        """
}
