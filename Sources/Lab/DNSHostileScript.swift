/// The program of the case `hostile`: everything that nobody should send to a resolver.
enum DNSHostileScript {
    /// Prints a line of JSON for each row: what, what came back, whether that is right.
    static let text = #"""
        import errno, json, os, resource, select, socket, struct, sys, threading, time
        server, corp, plain, idle_count = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])
        codes = ["NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED"]

        class Table:
            def append(self, row):
                what, seen, right = row
                print(json.dumps({"what": what, "seen": seen, "isRight": bool(right)}))

        rows = Table()

        def readable(link, seconds):
            poll = select.poll()
            poll.register(link, select.POLLIN)
            return bool(poll.poll(max(0, seconds) * 1000))

        def wire_name(name):
            return b"".join(bytes([len(l)]) + l.encode() for l in name.split(".")) + b"\0"

        def question(name, type=1, cls=1):
            return wire_name(name) + struct.pack("!2H", type, cls)

        def header(flags=0x100, counts=(1, 0, 0, 0), id=0x4711):
            return struct.pack("!6H", id, flags, *counts)

        def opt(version=0, size=1232, flags=0, data=b"", owner=b"\0"):
            return owner + struct.pack("!HHBBHH", 41, size, 0, version, flags, len(data)) + data

        def words(wire):
            if len(wire) < 12:
                return f"{len(wire)} bytes"
            id, flags, questions, answers, _, additionals = struct.unpack("!6H", wire[:12])
            code = flags & 15
            # The OPT of an answer is its last record here, and has no data when the code matters.
            if additionals and wire[-11:-8] == b"\0\0\x29" and wire[-6]:
                code |= wire[-6] << 4
            text = codes[code] if code < 6 else "BADVERS" if code == 16 else f"code {code}"
            if not flags & 0x8000:
                text += ", not an answer"
            if id != 0x4711:
                text += f", id {id:x}"
            if flags & 0x200:
                text += ", TC"
            return text + (f", {answers} records" if answers else "")

        def datagram(wire, wait=0.6):
            link = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            link.connect((server, 53))
            try:
                link.send(wire)
            except OSError as error:
                return f"not sent: {error.strerror}", b""
            if not readable(link, wait):
                return "nothing", b""
            try:
                answer = link.recv(65535)
            except OSError as error:
                return error.strerror, b""
            return words(answer), answer

        def receive(link, count, deadline):
            data = b""
            while len(data) < count:
                left = deadline - time.monotonic()
                if left <= 0 or not readable(link, left):
                    return None
                try:
                    part = link.recv(count - len(data))
                except OSError:
                    return b""
                if not part:
                    return b""
                data += part
            return data

        def answer_on(link, wait=1.0):
            deadline = time.monotonic() + wait
            size = receive(link, 2, deadline)
            if not size:
                return ("nothing" if size is None else "closed"), b""
            answer = receive(link, struct.unpack("!H", size)[0], deadline) or b""
            return words(answer), answer

        def stream(data, wait=1.0):
            with socket.create_connection((server, 53), 3) as link:
                try:
                    link.sendall(data)
                except OSError:
                    return "closed", b""
                return answer_on(link, wait)

        def framed(wire):
            return struct.pack("!H", len(wire)) + wire

        def row(what, seen, *wanted):
            rows.append([what, seen, any(seen == w or seen.startswith(w + ",") for w in wanted)])

        def works(what):
            start = time.monotonic()
            seen, _ = datagram(header(counts=(1, 0, 0, 0)) + question("git." + corp), 2)
            took = time.monotonic() - start
            row(f"a good query {what}", seen, "NOERROR")
            return took

        git = question("git." + corp)
        www = question("www." + plain)
        self_loop = b"\xc0\x0c" + struct.pack("!2H", 1, 1)
        pair_loop = b"\xc0\x0e\xc0\x0c" + struct.pack("!2H", 1, 1)
        ahead = b"\xc0\xff" + struct.pack("!2H", 1, 1)
        long_name = (b"\x3f" + b"a" * 63) * 4 + b"\0" + struct.pack("!2H", 1, 1)
        any_answer = ("NOERROR", "REFUSED", "NOTIMP", "FORMERR", "SERVFAIL", "NXDOMAIN")
        refusing = ("REFUSED", "NOTIMP", "FORMERR", "NXDOMAIN", "SERVFAIL", "NOERROR")

        # What, message, what may come back: over UDP and over TCP.
        messages = [
            ("nothing at all", b"", ("nothing",)),
            ("one byte", b"\x47", ("nothing",)),
            ("an ID and no more", b"\x47\x11", ("FORMERR", "nothing", "2 bytes")),
            ("half a header", header()[:7], ("FORMERR", "nothing")),
            ("a header that promises a question", header(), ("FORMERR",)),
            ("no question", header(counts=(0, 0, 0, 0)), ("FORMERR",)),
            ("two questions", header(counts=(2, 0, 0, 0)) + git + www, ("FORMERR",)),
            ("65,535 questions", header(counts=(65535, 0, 0, 0)) + git, ("FORMERR",)),
            ("a question cut in its name", header() + git[:5], ("FORMERR",)),
            ("a question cut in its class", header() + git[:-1], ("FORMERR",)),
            ("a name that points at itself", header() + self_loop, ("FORMERR",)),
            ("two names that point at each other", header() + pair_loop, ("FORMERR",)),
            ("a name that points behind the end", header() + ahead, ("FORMERR",)),
            ("a label of type 01", header() + b"\x41" + git[1:], ("FORMERR",)),
            ("a label of type 10", header() + b"\x81" + git[1:], ("FORMERR",)),
            ("a name of 257 bytes", header() + long_name, ("FORMERR",)),
            ("QR=1", header(0x8100) + git, ("nothing",)),
            ("opcode IQUERY", header(0x0900) + git, ("NOTIMP",)),
            ("opcode STATUS", header(0x1100) + git, ("NOTIMP",)),
            ("opcode 3", header(0x1900) + git, ("NOTIMP",)),
            ("opcode NOTIFY", header(0x2100) + git, ("NOTIMP",)),
            ("opcode UPDATE", header(0x2900) + git, ("NOTIMP",)),
            ("opcode DSO", header(0x3100, (0, 0, 0, 0)), ("NOTIMP",)),
            ("opcode 15, two questions", header(0x7900, (2, 0, 0, 0)) + git + www, ("NOTIMP",)),
            ("class CH of a protected name", header() + question("git." + corp, 16, 3), refusing),
            ("class HS of a protected name", header() + question("git." + corp, 1, 4), refusing),
            ("class ANY of a protected name", header() + question("git." + corp, 1, 255),
             refusing),
            ("class NONE of a protected name", header() + question("git." + corp, 1, 254),
             refusing),
            ("class 0 of a protected name", header() + question("git." + corp, 1, 0), refusing),
            ("version.bind CH TXT", header() + question("version.bind", 16, 3), any_answer),
            ("type ANY of a protected name", header() + question("git." + corp, 255),
             ("NOERROR",)),
            ("type OPT as a question", header() + question("git." + corp, 41), refusing),
            ("type TSIG as a question", header() + question("git." + corp, 250), refusing),
            ("type AXFR of a protected zone", header() + question(corp, 252), refusing),
            ("type IXFR of a protected zone", header() + question(corp, 251), refusing),
            ("type 0 of a protected name", header() + question("git." + corp, 0), refusing),
            ("type 65535 of a protected name", header() + question("git." + corp, 65535),
             refusing),
            ("the root", header() + b"\0" + struct.pack("!2H", 2, 1), any_answer),
            ("a name of zero bytes and blanks", header() + b"\4\0\xff .\4test\0\0\1\0\1",
             any_answer),
            ("EDNS version 1", header(counts=(1, 0, 0, 1)) + git + opt(1), ("BADVERS",)),
            ("EDNS version 255", header(counts=(1, 0, 0, 1)) + git + opt(255), ("BADVERS",)),
            ("two OPT", header(counts=(1, 0, 0, 2)) + git + opt() + opt(), ("FORMERR",)),
            ("an OPT with a name", header(counts=(1, 0, 0, 1)) + git + opt(owner=b"\1a\0"),
             ("FORMERR",)),
            ("an OPT cut in its data", header(counts=(1, 0, 0, 1)) + git + opt(data=b"x" * 8)[:-3],
             ("FORMERR",)),
            ("an option longer than its OPT",
             header(counts=(1, 0, 0, 1)) + git + opt(data=b"\0\3\0\xffab"), ("FORMERR",)),
            ("an unknown option",
             header(counts=(1, 0, 0, 1)) + git + opt(data=b"\xfd\xe9\0\2hi"), ("NOERROR",)),
            ("all EDNS flags", header(counts=(1, 0, 0, 1)) + git + opt(flags=0xffff),
             ("NOERROR",)),
            ("all header flags but QR", header(0x07f0) + git, ("NOERROR",)),
            ("a code in a query", header(0x0103) + git, ("NOERROR", "FORMERR")),
            ("65,535 records promised", header(counts=(1, 65535, 65535, 65535)) + git,
             ("FORMERR",)),
            ("bytes behind the end", header() + git + b"x" * 200, ("NOERROR", "FORMERR")),
        ]
        for what, message, wanted in messages:
            row(f"UDP: {what}", datagram(message)[0], *wanted)
            row(f"TCP: {what}", stream(framed(message))[0], *wanted, "closed")
        works("after that")

        big = question("big." + corp, 16)
        for size in (0, 1, 511, 512, 513, 1232, 4096, 65535):
            _, answer = datagram(header(counts=(1, 0, 0, 1)) + big + opt(size=size), 2)
            limit = min(max(512, size), 1232)
            isCut = len(answer) >= 12 and bool(answer[2] & 2) and len(answer) <= limit
            rows.append([f"EDNS size {size} for 4 KiB", f"{len(answer)} bytes, TC={int(isCut)}",
                         isCut])
        mixed = question("GiT." + corp.swapcase())
        _, answer = datagram(header() + mixed)
        rows.append(["0x20: the case of a protected name", answer[12:12 + len(mixed)].decode(
            "latin1").split("\0")[0][1:], answer[12:12 + len(mixed)] == mixed])
        row("UDP: 60,000 bytes", datagram(header() + git + b"\xaa" * 60000)[0], "nothing",
            "FORMERR", "NOERROR", "not sent: Message too long", "Connection refused")
        works("after that")

        # TCP.
        row("TCP: 65,535 bytes of garbage", stream(framed(header() + b"\xaa" * 65523))[0],
            "FORMERR", "closed")
        padded = header(counts=(1, 0, 0, 1)) + git + opt(data=b"\0\x0c" + struct.pack(
            "!H", 65535 - 12 - len(git) - 15) + b"\0" * (65535 - 12 - len(git) - 15))
        row("TCP: a good query of 65,535 bytes", stream(framed(padded), 3)[0], "NOERROR")
        slow = socket.create_connection((server, 53), 3)
        for byte in framed(header() + git):
            slow.send(bytes([byte]))
            time.sleep(0.02)
        row("TCP: a query byte by byte", answer_on(slow)[0], "NOERROR")
        ends = []
        for _ in range(20):
            with socket.create_connection((server, 53), 3) as half:
                half.sendall(framed(header() + git))
                half.shutdown(socket.SHUT_WR)
                ends.append(answer_on(half)[0])
        good = sum(end.startswith("NOERROR") for end in ends)
        rows.append(["TCP: a query, and our end closed", f"{good} of 20 answered", good == 20])
        pipe = socket.create_connection((server, 53), 3)
        pipe.sendall(b"".join(framed(header(id=0x4711) + git) for _ in range(200)))
        count = sum(answer_on(pipe, 3)[0].startswith("NOERROR") for _ in range(200))
        rows.append(["TCP: 200 queries in one write", f"{count} answers", count == 200])
        half = socket.create_connection((server, 53), 3)
        half.sendall(framed(header() + git)[:9])
        began = time.monotonic()
        closed = readable(half, 20) and not half.recv(1)
        took = time.monotonic() - began
        rows.append(["TCP: half a query, then silence",
                     f"closed after {took:.0f} s" if closed else "still open after 20 s",
                     bool(closed) and 5 < took < 15])

        def kilobytes():
            lines = open(f"/proc/{sys.argv[5]}/status").read().split("\n")
            return next(int(l.split()[1]) for l in lines if l.startswith("VmRSS"))

        before = kilobytes()
        deaf = socket.socket()
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        deaf.settimeout(3)
        deaf.connect((server, 53))
        deaf.setblocking(False)
        query = framed(header() + question("big." + plain, 16))
        sent, deadline, pending = 0, time.monotonic() + 4, b""
        while time.monotonic() < deadline:
            pending = pending or query * 50
            try:
                count = deaf.send(pending)
                sent, pending = sent + count, pending[count:]
            except BlockingIOError:
                time.sleep(0.01)
            except OSError:
                break
        took = works("beside a reader that does not read")
        growth = kilobytes() - before
        rows.append(["TCP: a reader that does not read",
                     f"took {sent // len(query)} queries; memory grew by {growth} KiB; "
                     f"another's answer took {took * 1000:.0f} ms",
                     growth < 32768 and took < 0.5])
        deaf.close()

        # Half-open connections: SYN after SYN, and never the third packet.
        try:
            sender = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_TCP)
            probe = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            probe.connect((server, 53))
            own = probe.getsockname()[0]
            pseudo = socket.inet_aton(own) + socket.inet_aton(server) + b"\0\6\0\x14"
            for port in range(20000, 25000):
                segment = struct.pack("!HHIIBBHHH", port, 53, port, 0, 0x50, 2, 64240, 0, 0)
                total = sum(struct.unpack("!16H", pseudo + segment))
                total = (total & 0xffff) + (total >> 16)
                total = ~(total + (total >> 16)) & 0xffff
                sender.sendto(segment[:16] + struct.pack("!H", total) + segment[18:],
                              (server, 0))
            seen = stream(framed(header() + git), 5)[0]
            row("TCP: a good query after 5,000 half-open connections", seen, "NOERROR")
        except OSError as error:
            rows.append(["TCP: half-open connections", f"{error}", False])

        # Idle connections.
        resource.setrlimit(resource.RLIMIT_NOFILE, (idle_count + 100, idle_count + 100))
        before, idle, failed = kilobytes(), [], 0
        began = time.monotonic()
        while len(idle) < idle_count and time.monotonic() - began < 60:
            link = socket.socket()
            link.setblocking(False)
            try:
                link.connect((server, 53))
            except BlockingIOError:
                pass
            except OSError:
                failed += 1
                if failed > 1000:
                    break
                continue
            idle.append(link)
            if len(idle) % 100 == 0:
                time.sleep(0.01)
        took = works(f"beside {len(idle)} idle connections")
        try:
            seen = stream(framed(header() + git), 3)[0]
        except OSError as error:
            seen = f"{error}"
        row("TCP: a good query beside them", seen, "NOERROR")
        growth = kilobytes() - before
        rows.append([f"TCP: {len(idle)} idle connections",
                     f"memory grew by {growth} KiB; another's UDP answer took "
                     f"{took * 1000:.0f} ms", growth < 65536 and took < 0.5
                     and len(idle) == idle_count])
        poll = select.poll()
        for link in idle:
            poll.register(link, select.POLLIN | select.POLLHUP)
        deadline = time.monotonic() + 20
        open_ = {link.fileno() for link in idle}
        while open_ and time.monotonic() < deadline:
            for descriptor, _ in poll.poll(500):
                poll.unregister(descriptor)
                open_.discard(descriptor)
        # What the server's kernel had no place for it forgot, and our side does not know it: such a
        # connection is answered or ended once it is used. The first byte of TCP_INFO is the state.
        kept = [link for link in idle if link.fileno() in open_ and link.getsockopt(
            socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] == 1]
        poll, silent = select.poll(), set()
        for number, link in enumerate(kept):
            try:
                link.send(framed(header() + git))
                poll.register(link, select.POLLIN | select.POLLHUP)
                silent.add(link.fileno())
            except OSError:
                pass
            if number % 20 == 0:
                time.sleep(0.01)
        deadline = time.monotonic() + 15
        while silent and time.monotonic() < deadline:
            for descriptor, _ in poll.poll(500):
                poll.unregister(descriptor)
                silent.discard(descriptor)
        rows.append(["TCP: idle connections are closed",
                     f"{len(idle) - len(open_)} within 20 s, {len(open_) - len(kept)} never let "
                     f"in, {len(kept)} answered or closed when used but for {len(silent)}",
                     not silent])
        for link in idle:
            link.close()
        try:
            seen = stream(framed(header() + git), 3)[0]
        except OSError as error:
            seen = f"{error}"
        row("TCP: a good query after all that", seen, "NOERROR")
        works("after all that")
        """#
}
