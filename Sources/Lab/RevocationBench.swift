internal import Foundation

/// How long a download at full speed goes on after the policy that permits it is gone: the time
/// from the portal's answer to the change, and from its sending, to the last byte that the
/// application got; with the leases of a crowd beside it, and without.
public struct RevocationBench {
    /// From the portal's answer to the last byte, in milliseconds: the median.
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
        /// From when the portal had answered.
        let answered: Double
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
        defer { world.network.remove() }
        say("| what is revoked | runs | MB/s | median | longest | since it was sent | goal |")
        say("|---|---|---|---|---|---|---|")
        var worst = try line("one lease of one", try world.measure(runs), say)
        guard leases > 0 else { return worst }
        try world.startCrowd()
        let few = max(1, runs / 4)
        worst = max(worst, try line("one lease of \(leases)", try world.measure(few), say))
        worst = max(worst, try line("all \(leases) leases", try world.measure(1, all: true), say))
        return worst
    }

    private func line(
        _ what: String,
        _ samples: [Sample],
        _ say: (String) -> Void
    ) throws -> Double {
        let answered = samples.map(\.answered)
        let median = Measure.median(answered)
        say(
            String(
                format: "| %@ | %d | %.0f | %.1f ms | %.1f ms | %.1f ms | < %.0f ms, %@ |",
                what,
                samples.count,
                Measure.median(samples.map(\.rate)),
                median,
                answered.max() ?? 0,
                Measure.median(samples.map(\.sent)),
                Self.goal,
                median < Self.goal ? "met" : "missed"
            )
        )
        return median
    }
}

/// Portal, gateway with a web server behind it, a client, and a crowd, on one wire.
private struct RevocationWorld {
    let network: Network
    private let roles: Roles
    private let portal: LabHost
    private let ada: LabHost
    private let crowd: LabHost
    private let leases: Int
    private let people: [String]

    init(executable: String, crowd leases: Int) throws {
        let network = try Network(name: "cvrev")
        (self.network, self.leases, roles) = (network, leases, Roles(executable: executable))
        let clients =
            (leases + RevocationBench.leasesPerClient - 1)
            / RevocationBench.leasesPerClient
        people = (0..<(clients + 249) / 250).map { "person\($0)@example.com" }
        do {
            let hub = try network.host("portal")
            try hub.bridge(addresses: ["203.0.113.10/24"])
            func host(_ title: String, _ number: Int) throws -> LabHost {
                let host = try network.host(title)
                try network.attach(host, to: hub, addresses: ["203.0.113.\(number)/24"])
                try host.resolvers("nameserver 203.0.113.10\n")
                return host
            }
            portal = hub
            let gateway = try host("gateway", 20)
            crowd = try host("crowd", 30)
            ada = try host("ada", 40)
            let site = try network.host("site")
            try site.bridge(addresses: ["10.20.0.80/24"])
            try network.attach(gateway, to: site, as: "eth1", addresses: ["10.20.0.1/24"])
            _ = try Servers.unbound(
                on: hub,
                listening: ["203.0.113.10"],
                records: ["portal.example. 60 IN A 203.0.113.10"]
            )
            _ = try Servers.nginx(on: site, sites: [.init(name: "10.20.0.80", body: "Hello.")])
            try site.must("truncate", "-s", "64G", "\(site.folder)/10.20.0.80/big")
            _ = try roles.portal(on: hub)
            try roles.apply(configuration(.everybody), portal: hub)
            _ = try roles.gateway(on: gateway, site: "headquarters", portal: hub)
            _ = try roles.client(on: ada, email: "ada@example.com", portal: hub)
        } catch {
            network.remove()
            throw error
        }
    }

    /// Whom the policies let in.
    enum Permitted { case everybody, crowd, nobody }

    func configuration(_ permitted: Permitted) -> String {
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
                address: 10.20.0.80/32
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
        let clients =
            (leases + RevocationBench.leasesPerClient - 1)
            / RevocationBench.leasesPerClient
        let targets = (1...RevocationBench.leasesPerClient).map { "10.21.\($0).9" }
        var words = [
            roles.executable, "lab", "crowd", "--count", "\(clients)", "--address", "203.0.113.30",
            "--target", targets.joined(separator: ","),
        ]
        for (index, person) in people.enumerated() {
            let token = try roles.ask(portal: portal, "token", "--client", person)
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
        let text = try portal.must(
            "curl",
            "-sS",
            "--unix-socket",
            Roles.socket("portal", on: portal),
            "http://portal/api/v1/status"
        )
        let status = try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any]
        return status?["leases"] as? Int ?? 0
    }

    func measure(_ runs: Int, all: Bool = false) throws -> [RevocationBench.Sample] {
        let script = try ada.write("revoke.py", Self.script)
        let with = try ada.write("with.yaml", configuration(.everybody))
        let without = try ada.write("without.yaml", configuration(all ? .nobody : .crowd))
        let outcome = try ada.run(
            [
                "python3", "-u", script, Roles.socket("portal", on: portal), with, without,
                "\(runs)",
            ],
            seconds: 60 + 5 * Double(runs)
        )
        guard outcome.code == 0 else { throw LabError("No revocation: \(outcome.output)") }
        return try outcome.output.split(separator: "\n").map {
            try JSONDecoder().decode(RevocationBench.Sample.self, from: Data($0.utf8))
        }
    }

    /// Downloads, takes the policy away meanwhile, and notes when the last byte came; again and
    /// again.
    private static let script = """
        import http.client, json, socket, sys, threading, time
        path, runs = sys.argv[1], int(sys.argv[4])
        texts = [open(name, "rb").read() for name in sys.argv[2:4]]

        def apply(text):
            portal = http.client.HTTPConnection("portal")
            portal.sock = socket.socket(socket.AF_UNIX)
            portal.sock.connect(path)
            kind = {"content-type": "application/yaml"}
            portal.request("POST", "/api/v1/configuration", text, kind)
            answer = portal.getresponse()
            body = answer.read()
            if answer.status != 200:
                sys.exit(body.decode())

        def connected():
            for _ in range(300):
                try:
                    return socket.create_connection(("10.20.0.80", 80), 2)
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
                    state["last"] = time.monotonic()
                    state["bytes"] += count
            except OSError:
                pass

        for _ in range(runs):
            apply(texts[0])
            connection = connected()
            connection.sendall(b"GET /big HTTP/1.0\\r\\nHost: 10.20.0.80\\r\\n\\r\\n")
            state = {"bytes": 0, "last": 0}
            reader = threading.Thread(target=download, args=(connection, state))
            begun = time.monotonic()
            reader.start()
            time.sleep(0.5)
            if state["bytes"] < 1 << 20:
                sys.exit("the download does not flow")
            rate = state["bytes"] / (time.monotonic() - begun) / 1e6
            sent = time.monotonic()
            apply(texts[1])
            answered = time.monotonic()
            reader.join()
            connection.close()
            figures = [("sent", sent), ("answered", answered)]
            sample = {name: (state["last"] - at) * 1000 for name, at in figures}
            print(json.dumps({**sample, "rate": rate}))

        """
}
