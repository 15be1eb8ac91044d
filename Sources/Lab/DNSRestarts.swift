internal import Foundation
internal import Glibc

/// The cases `restarts` and `flood`: proxy addresses while the client comes and goes, and while
/// names without number are asked.
enum DNSRestarts {
    private struct Load: Decodable {
        let sent: Int
        let answered: Int
        let names: Int
        let addresses: Int
        /// Addresses that stood for two names.
        let twice: [String]
        /// Names whose addresses became others.
        let moved: [String]
    }

    struct Held: Decodable {
        let pages: Int
        let connections: Int
        let longest: Double
        let wrong: [String]
    }

    /// The client is ended in every way under a thousand queries a second.
    static func restarts(_ stage: DNSStage) throws {
        let ada = stage.ada
        let address =
            try ada.must("dig", "+short", "git.\(DNSZones.corp)", "A")
            .split(separator: "\n").first.map(String.init) ?? ""
        let load = try ada.start(
            "load",
            [DNSStage.interpreter, "-u", try ada.write("load.py", loading), DNSZones.corp]
        )
        let holder = try ada.start(
            "holder",
            [DNSStage.interpreter, "-u", try ada.write("hold.py", holding), address]
        )
        try holder.waitForOutput("Hello")
        let ways: [(String, Int32)] = [
            ("restart", SIGTERM), ("crash", SIGABRT), ("SIGKILL", SIGKILL),
        ]
        for _ in 0..<(stage.isQuick ? 1 : 3) {
            for (way, signal) in ways {
                _ = Lab.waits(seconds: 2) { !load.isRunning || !holder.isRunning }
                stage.world.client.send(signal)
                // A crash may print where it happened, which takes its time.
                guard stage.world.client.wait(seconds: 60) else {
                    throw LabError("The client does not end by \(way).")
                }
                try stage.world.startClient()
            }
        }
        _ = Lab.waits(seconds: 3) { !load.isRunning || !holder.isRunning }
        for program in [load, holder] {
            program.send(SIGINT)
            program.wait(seconds: 20)
        }
        let asked: Load = try DNSStage.report(load.output, code: load.code)
        stage.see(
            "\(asked.sent) queries at 1,000/s, \(asked.answered) answered",
            "\(asked.addresses) addresses of \(asked.names) names, \(asked.twice.count) stood for "
                + "two names \(asked.twice.prefix(3)), \(asked.moved.count) names got others "
                + "\(asked.moved.prefix(3))",
            isRight: asked.twice.isEmpty && asked.moved.isEmpty
                && asked.answered > asked.sent / 3 && asked.names > 500
        )
        let held: Held = try DNSStage.report(holder.output, code: holder.code)
        stage.see(
            "an application with an address from before (\(address))",
            String(
                format: "%d pages over %d connections, the longest wait %.1f s, wrong pages: %d %@",
                held.pages,
                held.connections,
                held.longest,
                held.wrong.count,
                held.wrong.first ?? ""
            ),
            isRight: held.wrong.isEmpty && held.pages > 20 && held.longest < 8
        )
        stage.seeNothingOutside()
    }

    /// A thousand queries a second, for new names and old ones, of both families by turns.
    private static let loading = #"""
        import json, random, select, signal, socket, struct, sys, time
        zone = b"".join(bytes([len(l)]) + l.encode() for l in sys.argv[1].split(".")) + b"\0"
        owner, addresses_of, twice, moved = {}, {}, set(), set()
        sent = answered = newest = 0
        chance = random.Random(1)
        link, looked = None, 0.0
        going = True
        def end(*_):
            global going
            going = False
        signal.signal(signal.SIGINT, end)

        def connect():
            global link, looked
            looked = time.monotonic()
            try:
                lines = open("/etc/resolv.conf").read().split("\n")
                first = [l.split()[1] for l in lines if l.startswith("nameserver")][0]
                if first.startswith("100."):
                    # A new one each time: the old one keeps the source address that it began with.
                    link = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
                    link.setblocking(False)
                    link.connect((first, 53))
            except (OSError, IndexError):
                pass

        def note(wire):
            global answered
            id, flags, questions, count = struct.unpack("!4H", wire[:8])
            if flags & 0xf or questions != 1 or not count:
                return
            name = wire[13:13 + wire[12]].decode()
            at = wire.index(b"\0", 12) + 5
            family, found = wire[at - 3], []
            for _ in range(count):
                length = struct.unpack("!H", wire[at + 10:at + 12])[0]
                found.append(wire[at + 12:at + 12 + length])
                at += 12 + length
            answered += 1
            for address in found:
                if owner.setdefault(address, name) != name:
                    twice.add(f"{address.hex()}: {owner[address]} and {name}")
            if addresses_of.setdefault((name, family), set(found)) != set(found):
                moved.add(name)

        start, total = time.monotonic(), 0
        while going:
            now = time.monotonic()
            if link is None or now - looked > 0.2:
                connect()
            due = int((now - start) * 1000)
            while total < due:
                total += 1
                if total % 4 == 0:
                    newest += 1
                number = newest if total % 4 == 0 else chance.randrange(newest + 1)
                label = f"n{number}".encode()
                family = 1 if total % 2 else 28
                query = (struct.pack("!6H", total & 0xffff, 0x100, 1, 0, 0, 0)
                         + bytes([len(label)]) + label + zone + struct.pack("!2H", family, 1))
                if link is not None:
                    try:
                        link.send(query)
                        sent += 1
                    except OSError:
                        pass
            if link is None:
                time.sleep(0.02)
                continue
            select.select([link], [], [], 0.004)
            try:
                while True:
                    note(link.recv(4096))
            except OSError:
                pass
        names = {name for name, _ in addresses_of}
        print(json.dumps({"sent": sent, "answered": answered, "names": len(names),
                          "addresses": len(owner), "twice": sorted(twice),
                          "moved": sorted(moved)}))
        """#

    /// Fetches a page from one address again and again, on one connection while it lives.
    static let holding = """
        import http.client, json, signal, sys, time
        pages, connections, longest, wrong, going = 0, 0, 0.0, [], True
        def end(*_):
            global going
            going = False
        signal.signal(signal.SIGINT, end)
        last, connection = time.monotonic(), None
        while going:
            try:
                if connection is None:
                    connection = http.client.HTTPConnection(sys.argv[1], timeout=2)
                    connection.connect()
                    connections += 1
                connection.request("GET", "/", headers={"Host": "git.corp.example"})
                body = connection.getresponse().read().decode().strip()
                if body != "Hello from Git.":
                    wrong.append(body[:80])
                if pages == 0:
                    print(body)
                    last = time.monotonic()
                pages += 1
                longest = max(longest, time.monotonic() - last)
                last = time.monotonic()
                time.sleep(0.05)
            except (OSError, http.client.HTTPException):
                connection = None
                time.sleep(0.05)
        print(json.dumps({"pages": pages, "connections": connections, "longest": longest,
                          "wrong": wrong}))
        """

    // MARK: - Flood

    /// Random names below one wildcard: memory is bounded, and other names notice nothing.
    static func flood(_ stage: DNSStage) throws {
        let (ada, sentinel) = (stage.ada, try stage.sentinel())
        let rounds = stage.isQuick ? 1 : 10
        let each = stage.isQuick ? 150_000 : 1_000_000
        let before = try addresses(of: DNSZones.secret, stage)
        let address = try addresses(of: "git.\(DNSZones.corp)", stage).first ?? ""
        let holder = try ada.start(
            "holder",
            [DNSStage.interpreter, "-u", try ada.write("hold.py", holding), address]
        )
        try holder.waitForOutput("Hello")
        var memory = [try stage.memory()]
        var answered = 0.0
        for _ in 0..<rounds {
            let path = try names(each, stage)
            let outcome = try ada.run(
                ["dnsperf", "-s", sentinel, "-d", path, "-n", "1", "-q", "500", "-t", "2"],
                seconds: 200
            )
            answered += try DNSBench.number("Queries completed:", in: outcome.output)
            memory.append(try stage.memory())
        }
        holder.send(SIGINT)
        holder.wait(seconds: 20)
        let sizes = memory.map { "\($0 >> 10)" }.joined(separator: ", ")
        // What a full table holds is there after the first million.
        let growth = memory[memory.count - 1] - memory[1]
        stage.see(
            "\(Int(answered)) random names below one wildcard",
            "memory in MiB before and after each \(each): \(sizes)",
            isRight: answered >= 0.99 * Double(rounds * each) && growth < Limits.growth
                && memory[1] - memory[0] < Limits.table
        )
        let after = try addresses(of: DNSZones.secret, stage)
        stage.see(
            "another resource's name before and after",
            "\(before.joined(separator: " ")), \(after.joined(separator: " "))",
            isRight: before == after && before.count == 4
        )
        let held: Held = try DNSStage.report(holder.output, code: holder.code)
        stage.see(
            "a page below the same wildcard, fetched all the time",
            String(format: "%d times, the longest wait %.2f s", held.pages, held.longest),
            isRight: held.wrong.isEmpty && held.connections == 1 && held.longest < 5
        )
        stage.seeNothingOutside()
    }

    private enum Limits {
        /// What the memory may grow by once the table is full, in KiB.
        static let growth = 32 << 10
        /// What a full table may take, in KiB.
        static let table = 512 << 10
    }

    private static func addresses(of name: String, _ stage: DNSStage) throws -> [String] {
        try stage.ada.must("dig", "+short", name, "A").split(separator: "\n").map(String.init)
            .sorted()
    }

    /// A file of random names for dnsperf.
    private static func names(_ count: Int, _ stage: DNSStage) throws -> String {
        var text = ""
        text.reserveCapacity(count * 36)
        for _ in 0..<count {
            let label = String(UInt64.random(in: 0..<(1 << 60)), radix: 36)
            text += "\(label).\(DNSZones.corp) A\n"
        }
        return try stage.ada.write("names.txt", text)
    }
}
