internal import Foundation

/// How long a download at full speed goes on after the policy that permits it is gone: the time
/// from the portal's commit of the change to the last byte that the application got; with the
/// leases of a crowd beside it, and without.
///
/// The commit is taken from the audit log, whose entry bears the instant at which its writing
/// began, so that the writing itself is counted.
public struct RevocationBench {
    /// From the commit to the last byte, in milliseconds: the median.
    public static let goal = 100.0
    /// Leases of each client of the crowd.
    static let leasesPerClient = 40

    private let executable: String
    private let runs: Int
    private let leases: Int

    /// - Parameters:
    ///   - executable: Path of `culvert`.
    ///   - runs: Revocations measured, of each kind.
    ///   - leases: Leases of the crowd; 0 for none.
    public init(executable: String, runs: Int, leases: Int) {
        (self.executable, self.runs, self.leases) = (executable, runs, leases)
    }

    /// One revocation, in milliseconds to the last byte.
    struct Sample: Decodable {
        /// From when the change was sent.
        let sent: Double
        /// From when the portal wrote it down.
        let committed: Double
        /// What the download came to before, in megabytes a second.
        let rate: Double
    }

    /// Runs it and prints a line for each kind.
    ///
    /// - Returns: The worst median in milliseconds.
    /// - Throws: ``LabError`` when a download does not flow, or does not end.
    @discardableResult
    public func run(say: (String) -> Void) throws -> Double {
        let world = try RevocationWorld(executable: executable, crowd: leases)
        defer { world.remove() }
        say(
            "| what is revoked | runs | MB/s | from commit, median | longest | since it was sent "
                + "| goal |"
        )
        say("|---|---|---|---|---|---|---|")
        var worst = try line("one lease of one", try world.measure(runs), say)
        guard leases > 0 else { return worst }
        try world.startCrowd()
        worst = max(worst, try line("one lease of \(leases)", try world.measure(runs), say))
        let few = max(1, runs / 5)
        worst = max(worst, try line("all \(leases) leases", try world.measure(few, all: true), say))
        return worst
    }

    private func line(
        _ what: String,
        _ samples: [Sample],
        _ say: (String) -> Void
    ) throws -> Double {
        let committed = samples.map(\.committed)
        let median = Measure.median(committed)
        say(
            String(
                format: "| %@ | %d | %.0f | %.1f ms | %.1f ms | %.1f ms | < %.0f ms, %@ |",
                what,
                samples.count,
                Measure.median(samples.map(\.rate)),
                median,
                committed.max() ?? 0,
                Measure.median(samples.map(\.sent)),
                Self.goal,
                median < Self.goal ? "met" : "missed"
            )
        )
        return median
    }
}

/// A gateway with a web server behind it, a client, and a crowd, on one wire.
private struct RevocationWorld {
    private let wire: OneWire
    private let crowd: LabHost
    private let leases: Int
    private let people: [String]

    init(executable: String, crowd leases: Int) throws {
        self.leases = leases
        let clients = Self.clientCount(leases)
        people = (0..<(clients + 249) / 250).map { "person\($0)@example.com" }
        wire = try OneWire(
            name: "cvrev",
            executable: executable,
            configuration: Self.configuration(.everybody, people)
        )
        do {
            crowd = try wire.host("crowd", 30)
            let site = wire.site
            _ = try Servers.nginx(on: site, sites: [.init(name: OneWire.server, body: "Hello.")])
            try site.must("truncate", "-s", "64G", "\(site.folder)/\(OneWire.server)/big")
        } catch {
            wire.remove()
            throw error
        }
    }

    func remove() { wire.remove() }

    private static func clientCount(_ leases: Int) -> Int {
        (leases + RevocationBench.leasesPerClient - 1) / RevocationBench.leasesPerClient
    }

    /// Whom the policies let in.
    enum Permitted { case everybody, crowd, nobody }

    private static func configuration(_ permitted: Permitted, _ people: [String]) -> String {
        let numbers = 1...RevocationBench.leasesPerClient
        let networks = numbers.map {
            "  - name: Network \($0)\n    address: 10.21.\($0).0/24\n    site: headquarters\n"
        }.joined()
        let crowd = numbers.map { "  - group: Crowd\n    resource: Network \($0)\n" }.joined()
        var policies = permitted == .nobody ? "" : crowd
        if permitted == .everybody { policies += "  - group: Ada\n    resource: Files\n" }
        return """
            account: Example
            sites:
              - name: headquarters
            resources:
              - name: Files
                address: \(OneWire.server)/32
                site: headquarters
            \(networks)groups:
              - name: Ada
                members: [ada@example.com]
              - name: Crowd
                members: [\((people + ["nobody@example.com"]).joined(separator: ", "))]
            policies:\(policies.isEmpty ? " []" : "\n" + policies)

            """
    }

    /// Starts the crowd, and waits until it holds its leases.
    func startCrowd() throws {
        let targets = (1...RevocationBench.leasesPerClient).map { "10.21.\($0).9" }
        var words = [
            wire.roles.executable, "lab", "crowd", "--count", "\(Self.clientCount(leases))",
            "--address", "203.0.113.30", "--target", targets.joined(separator: ","),
        ]
        for (index, person) in people.enumerated() {
            let token = try wire.roles.ask(portal: wire.portal, "token", "--client", person)
            words += ["--token-file", try crowd.write("\(index).token", token)]
        }
        let running = try crowd.start("crowd", words)
        let held = try Lab.waits(seconds: 180) { try liveLeases() >= leases }
        guard held else {
            throw LabError(
                "The crowd holds \(try liveLeases()) leases: \(running.output.suffix(500))"
            )
        }
    }

    private func liveLeases() throws -> Int {
        let text = try wire.portal.must(
            "curl",
            "-sS",
            "--unix-socket",
            Roles.socket("portal", on: wire.portal),
            "http://portal/api/v1/status"
        )
        let status = try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any]
        return status?["leases"] as? Int ?? 0
    }

    func measure(_ runs: Int, all: Bool = false) throws -> [RevocationBench.Sample] {
        let ada = wire.ada
        let script = try ada.write("revoke.py", Self.script)
        let permitted = all ? Permitted.nobody : .crowd
        let with = try ada.write("with.yaml", Self.configuration(.everybody, people))
        let without = try ada.write("without.yaml", Self.configuration(permitted, people))
        let all = all ? "\(leases)" : "0"
        let outcome = try ada.run(
            [
                "python3", "-u", script, Roles.state("portal", on: wire.portal), with, without,
                "\(runs)", all,
            ],
            seconds: 60 + (all == "0" ? 5 : 60) * Double(runs)
        )
        guard outcome.code == 0 else {
            throw LabError(
                "No revocation: \(outcome.output)\nThe client: \(wire.client.output.suffix(2_000))"
            )
        }
        return try outcome.output.split(separator: "\n").map {
            try JSONDecoder().decode(RevocationBench.Sample.self, from: Data($0.utf8))
        }
    }

    /// Downloads, takes the policy away meanwhile, and notes when the last byte came; again and
    /// again, each time with all leases.
    private static let script = """
        import http.client, json, shutil, socket, sqlite3, sys, tempfile, threading, time
        state, runs, leases = sys.argv[1], int(sys.argv[4]), int(sys.argv[5])
        texts = [open(name, "rb").read() for name in sys.argv[2:4]]

        def ask(method, path, *more):
            portal = http.client.HTTPConnection("portal")
            portal.sock = socket.socket(socket.AF_UNIX)
            portal.sock.connect(state + "/culvert.sock")
            portal.request(method, path, *more)
            answer = portal.getresponse()
            body = answer.read()
            if answer.status != 200:
                sys.exit(body.decode())
            return body

        def apply(text):
            ask("POST", "/api/v1/configuration", text, {"content-type": "application/yaml"})

        # The portal keeps its database to itself, so a copy is read.
        def committed():
            with tempfile.TemporaryDirectory() as folder:
                for suffix in "", "-wal":
                    shutil.copy(state + "/portal.sqlite" + suffix, folder)
                log = sqlite3.connect(folder + "/portal.sqlite")
                last = "SELECT at FROM change ORDER BY revision DESC LIMIT 1"
                at = log.execute(last).fetchone()[0]
                log.close()
                return at

        def wait_for_leases():
            for _ in range(600):
                if json.loads(ask("GET", "/api/v1/status"))["leases"] >= leases:
                    return
                time.sleep(0.1)
            sys.exit("the crowd does not get its leases back")

        def connected():
            for _ in range(300):
                try:
                    return socket.create_connection(("SERVER", 80), 2)
                except OSError:
                    time.sleep(0.02)
            sys.exit("not reached")

        def download(connection, state):
            room = bytearray(1 << 20)
            connection.settimeout(3)
            try:
                while True:
                    count = connection.recv_into(room)
                    if count == 0:
                        break
                    state["last"] = time.time()
                    state["bytes"] += count
            except OSError:
                pass

        for _ in range(runs):
            apply(texts[0])
            wait_for_leases()
            connection = connected()
            connection.sendall(b"GET /big HTTP/1.0\\r\\nHost: SERVER\\r\\n\\r\\n")
            seen = {"bytes": 0, "last": 0}
            reader = threading.Thread(target=download, args=(connection, seen))
            begun = time.time()
            reader.start()
            time.sleep(0.5)
            if seen["bytes"] < 1 << 20:
                sys.exit("the download does not flow")
            rate = seen["bytes"] / (time.time() - begun) / 1e6
            sent = time.time()
            apply(texts[1])
            reader.join()
            connection.close()
            figures = [("sent", sent), ("committed", committed())]
            sample = {name: (seen["last"] - at) * 1000 for name, at in figures}
            print(json.dumps({**sample, "rate": rate}))

        """.replacing("SERVER", with: OneWire.server)
}
