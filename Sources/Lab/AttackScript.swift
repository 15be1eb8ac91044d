/// The programs of ``Attack``, which run on the internet's own host: every packet passes it.
enum AttackScript {
    /// Keeps some datagrams of each kind: one a line, `source port destination port bytes`.
    static let wiretap = """
        import collections, socket, struct, sys
        tap = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(3))
        seen, count = set(), collections.Counter()
        with open(sys.argv[1], "w", buffering=1) as out:
            print("listens")
            while True:
                packet = tap.recv(65536)
                if len(packet) < 36 or packet[0] != 0x45 or packet[9] != 17:
                    continue
                source, destination = map(socket.inet_ntoa, (packet[12:16], packet[16:20]))
                ports = struct.unpack("!HH", packet[20:24])
                data = packet[28:]
                kind = (source, destination, data[0], len(data) if data[0] < 4 else 0)
                known = (destination, data)
                if 53 in ports or known in seen or count[kind] >= 50 or len(data) > 1400:
                    continue
                seen.add(known)
                count[kind] += 1
                print(source, ports[0], destination, ports[1], data.hex(), file=out)
        """

    /// Attacks, and prints what came of it as JSON.
    static let attack = head + forging + allocating + connecting + main

    private static let head = """
        import base64, collections, hashlib, hmac, json, os, random, socket, ssl, struct, sys
        import threading, time
        capture, seconds, secret = sys.argv[1], float(sys.argv[2]), sys.argv[3]
        end = time.monotonic() + seconds
        HOME, OFFICE, PORTAL = "203.0.113.66", "203.0.113.70", "203.0.113.10"
        RELAYS = ["203.0.113.31", "203.0.113.32"]
        packets = []
        for line in open(capture):
            words = line.split()
            if len(words) == 5:
                packets.append((words[0], int(words[1]), words[2], int(words[3]),
                                bytes.fromhex(words[4])))
        def captured(kind):
            return [p for p in packets if p[4][:4] == bytes([kind, 0, 0, 0])]
        sealed = captured(4)
        initiations = [p for p in captured(1) if p[2] == OFFICE]
        assert initiations and sealed, "nothing was captured"

        """

    private static let forging = """
        raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
        forged = 0
        def forge(source, source_port, destination, port, data):
            global forged
            ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 28 + len(data), random.getrandbits(16), 0,
                             64, 17, 0, socket.inet_aton(source), socket.inet_aton(destination))
            udp = struct.pack("!HHHH", source_port, port, 8 + len(data), 0)
            try:
                raw.sendto(ip + udp + data, (destination, 0))
                forged += 1
            except OSError:
                pass
        def stranger():
            return f"198.51.100.{random.randrange(1, 255)}", random.randrange(1024, 65536)
        def garbage(_):
            data = bytearray(os.urandom(random.choice([1, 4, 20, 32, 60, 92, 148, 500, 1400])))
            head = random.choice([b"", bytes([random.randrange(1, 5), 0, 0, 0]),
                                  struct.pack("!HHI", random.choice([1, 3, 0x101, 0x16, 0x17]),
                                              max(0, len(data) - 20), 0x2112A442),
                                  struct.pack("!HH", random.randrange(0x4000, 0x5000),
                                              max(0, len(data) - 4))])
            data[:len(head)] = head[:len(data)]
            _, _, target, port, _ = random.choice(packets)
            if random.random() < 0.2:
                target, port = random.choice(RELAYS), random.randrange(49152, 65536)
            forge(*stranger(), target, port, bytes(data))
        def replay(_):
            forge(*random.choice(packets))
        def forgery(_):
            # The right index from the right address, a counter ahead, and not the right key: what a
            # goodbye of an enemy would be.
            source, port, target, target_port, data = random.choice(sealed)
            counter = struct.unpack("<Q", data[8:16])[0] + random.randrange(1, 5000)
            forge(source, port, target, target_port,
                  data[:8] + struct.pack("<Q", counter) + os.urandom(48))
        def reflection(_):
            source, port, target, target_port, data = random.choice(initiations)
            forge(target, target_port, source, port, data)
        def initiation(_):
            _, _, target, port, data = random.choice(initiations)
            forge(*stranger(), target, port, data)
        def false_answer(_):
            # A relay's answer that it never gave: the client's address is said to be another.
            body = struct.pack("!HHBBHI", 0x20, 8, 0, 1, 4444 ^ 0x2112, 0x01020304 ^ 0x2112A442)
            head = struct.pack("!HHI", random.choice([0x101, 0x103, 0x113]), len(body), 0x2112A442)
            _, _, target, port, _ = random.choice(packets)
            forge(random.choice(RELAYS), 3478, target, port, head + os.urandom(12) + body)
        def forging():
            kinds = [garbage] * 4 + [replay] * 2 + [forgery] * 2 + [reflection, false_answer]
            while time.monotonic() < end:
                for kind in kinds + [initiation] * 30:
                    kind(None)
                time.sleep(0.008)

        """

    private static let allocating = """
        def attribute(kind, value):
            return struct.pack("!HH", kind, len(value)) + value + bytes(-len(value) % 4)
        def message(attributes, key=None):
            def head(length):
                return struct.pack("!HHI", 3, length, 0x2112A442) + transaction
            transaction = os.urandom(12)
            if key is None:
                return head(len(attributes)) + attributes
            signed = head(len(attributes) + 24) + attributes
            return signed + attribute(8, hmac.new(key, signed, hashlib.sha1).digest())
        def read(answer):
            found, at = {}, 20
            while at + 4 <= len(answer):
                kind, length = struct.unpack("!HH", answer[at:at + 4])
                found[kind] = answer[at + 4:at + 4 + length]
                at += 4 + length + -length % 4
            code = found.get(9)
            return (code[2] * 100 + code[3] if code else 0), found
        def ask(link, data):
            link.send(data)
            return read(link.recv(2048))
        def allocate(user, password, codes):
            link = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            link.settimeout(2)
            link.connect((RELAYS[0], 3478))
            wanted = attribute(0x19, bytes([17, 0, 0, 0]))
            code, found = ask(link, message(wanted))
            if user:
                realm, nonce = found[0x14], found[0x15]
                key = hashlib.md5(user + b":" + realm + b":" + password).digest()
                named = attribute(6, user) + attribute(0x14, realm) + attribute(0x15, nonce)
                code, _ = ask(link, message(wanted + named, key))
            codes[code] += 1
            return link
        anonymous, wrong, right = (collections.Counter() for _ in range(3))
        def allocating():
            user = f"{int(time.time()) + 3600}:mallory".encode()
            password = base64.b64encode(hmac.new(secret.encode(), user, hashlib.sha1).digest())
            kept = [allocate(user, password, right) for _ in range(60)]
            while time.monotonic() < end:
                try:
                    allocate(None, None, anonymous).close()
                    allocate(user, b"guess", wrong).close()
                except TimeoutError:
                    pass  # too many at a time are dropped
            for link in kept:
                link.close()

        """

    private static let connecting = """
        connections, portal = 0, 0
        def connecting():
            global connections
            kept = []
            targets = [(PORTAL, 8443), (RELAYS[0], 3478), (RELAYS[0], 443)]
            hello = bytes.fromhex("16030100f0010000ec0303")
            while time.monotonic() < end:
                for target in targets:
                    words = random.choice([b"", b"GET / HTTP/1.1\\r\\nX: " + b"x" * 20000,
                                           hello + os.urandom(200), os.urandom(400)])
                    try:
                        link = socket.create_connection(target, 2)
                        link.sendall(words)
                        kept.append(link)
                        connections += 1
                    except OSError:
                        pass
                while len(kept) > 60:
                    kept.pop(0).close()
                time.sleep(0.05)
        def token():
            global portal
            context = ssl.create_default_context()
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            link = context.wrap_socket(socket.create_connection((PORTAL, 8443), 5))
            link.sendall(b"GET /control HTTP/1.1\\r\\nHost: portal.example\\r\\n"
                         b"Upgrade: websocket\\r\\n"
                         b"Connection: Upgrade\\r\\nSec-WebSocket-Version: 13\\r\\n"
                         b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\\r\\n"
                         b"Authorization: Bearer culvert_nonsense\\r\\n\\r\\n")
            portal = int(link.recv(4096).split()[1])

        """

    private static let main = """
        threads = [threading.Thread(target=work)
                   for work in (forging, allocating, connecting, token)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        print(json.dumps({"forged": forged, "connections": connections, "anonymous": anonymous,
                          "wrongPassword": wrong, "rightPassword": right, "portal": portal}))
        """
}
