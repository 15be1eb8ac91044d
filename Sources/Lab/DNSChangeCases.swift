internal import Foundation
internal import Glibc

/// The cases in which resources, sites or the client itself change.
enum DNSChangeCases {
    /// Adding a resource takes a name over, removing it gives it back.
    static func takeover(_ stage: DNSStage) throws {
        let name = "www.\(DNSZones.plain)"
        let script = try stage.ada.write("watch.py", watching)
        let watch = try stage.ada.start(
            "watch",
            [DNSStage.interpreter, "-u", script, try stage.sentinel(), name]
        )
        try watch.waitForOutput("other")
        for (more, state) in [(name, "proxy"), (nil, "other")] {
            var delays: [Double] = []
            for round in 0..<(stage.isQuick ? 5 : 20) {
                if round > 0 { try change(stage, watch, more == nil ? name : nil, nil) }
                delays.append(try change(stage, watch, more, state))
            }
            delays.sort()
            stage.see(
                more == nil ? "a resource is removed" : "a resource is added",
                String(
                    format: "%d times: its name is %@ after %.0f ms, at most %.0f ms",
                    delays.count,
                    more == nil ? "the resolver's again" : "ours",
                    delays[delays.count / 2] * 1_000,
                    delays[delays.count - 1] * 1_000
                ),
                isRight: delays[delays.count - 1] <= 0.1
            )
        }
        watch.stop()
    }

    /// Applies a configuration with one more resource, or without it.
    ///
    /// - Returns: How long after the portal's own word of the change the answers were new, in s.
    @discardableResult
    private static func change(
        _ stage: DNSStage,
        _ watch: Running,
        _ more: String?,
        _ state: String?
    ) throws -> Double {
        let wanted = state ?? (more == nil ? "other" : "proxy")
        try stage.world.apply(more: more)
        guard let applied = stage.world.lastChange else {
            throw LabError("The portal speaks of no change.")
        }
        var seen: Double?
        let came = Lab.waits(seconds: 5) {
            let words = watch.output.split(separator: "\n").last?.split(separator: " ") ?? []
            guard words.count == 2, words[1] == wanted else { return false }
            seen = Double(words[0])
            return true
        }
        guard came, let seen else {
            throw LabError("The name is not \(wanted) after 5 s:\n\(watch.output.suffix(300))")
        }
        return max(0, seen - applied)
    }

    /// Asks for a name without pause, and prints the time of day of each change of the answers.
    private static let watching = """
        import socket, struct, sys, time
        server, name = sys.argv[1], sys.argv[2]
        labels = b"".join(bytes([len(l)]) + l.encode() for l in name.split("."))
        question = labels + b"\\0\\0\\1\\0\\1"
        link = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        link.connect((server, 53))
        link.settimeout(0.2)
        state, number = None, 0
        while True:
            number = (number + 1) & 0xffff
            link.send(struct.pack("!6H", number, 0x100, 1, 0, 0, 0) + question)
            try:
                while True:
                    answer = link.recv(4096)
                    if answer[:2] == struct.pack("!H", number):
                        break
            except OSError:
                continue
            new = "proxy" if answer[-4] == 100 and 96 <= answer[-3] < 128 else "other"
            if new != state:
                state = new
                print(time.time() % 86400, state)
            time.sleep(0.002)
        """

    // MARK: - Aliases and hosts

    /// Two sites with the same names and addresses, at the same time.
    static func aliases(_ stage: DNSStage) throws {
        let script = try stage.ada.write("both.py", both)
        let rounds = stage.isQuick ? 10 : 50
        let outcome = try stage.ada.run(
            [
                DNSStage.interpreter, script, "\(rounds)", "wiki.hamburg.example",
                "wiki.berlin.example",
            ],
            seconds: 60
        )
        let wanted = ["The wiki in headquarters.", "The wiki in berlin."]
        for (name, body) in zip(["wiki.hamburg.example", "wiki.berlin.example"], wanted) {
            let line = outcome.output.lines(containing: [name]).first ?? outcome.output
            let isRight = line == "\(name) \(rounds) × \(body)"
            stage.see("\(name), beside the other", line, isRight: isRight)
        }
        let plain = try stage.ada.run("dig", "+noall", "+comments", "wiki.\(DNSZones.home)", "A")
        stage.see(
            "wiki.fritz.box itself is nobody's resource",
            plain.output.lines(containing: ["status:"]).first ?? plain.output,
            isRight: plain.output.contains("NXDOMAIN")
        )
    }

    /// Fetches the page of several names by turns, all at the same time.
    private static let both = """
        import sys, threading, urllib.request
        rounds, names = int(sys.argv[1]), sys.argv[2:]
        seen = {name: [] for name in names}
        def fetch(name):
            for _ in range(rounds):
                try:
                    page = urllib.request.urlopen(f"http://{name}/", timeout=5).read().decode()
                except OSError as error:
                    page = f"{error}"
                seen[name].append(page.strip())
        threads = [threading.Thread(target=fetch, args=(name,)) for name in names]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for name in names:
            for page in sorted(set(seen[name])):
                print(f"{name} {seen[name].count(page)} × {page}")
        """

    /// A host that lets nothing in, is strict about paths, and has a resolver on every address.
    static let guarded = RunningDNS.Setting(prepare: { network in
        let ada = network.ada
        try ada.must(
            "sysctl",
            "-qw",
            "net.ipv4.conf.all.rp_filter=1",
            "net.ipv4.conf.default.rp_filter=1",
            "net.ipv4.conf.eth0.rp_filter=1"
        )
        try ada.must(
            ["nft", "-f", "-"],
            input: """
                table inet guard {
                    chain input {
                        type filter hook input priority filter; policy drop;
                        iif lo accept
                        ct state established,related accept
                        icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept
                    }
                }
                """
        )
        try Servers.unbound(
            on: ada,
            listening: ["0.0.0.0", "::0"],
            records: ["www.\(DNSZones.plain). 60 IN A 192.0.2.66"]
        )
    })

    /// Names and pages on a host with obstacles.
    static func obstacles(_ stage: DNSStage) throws {
        let outside = DNSNetwork.publicAddress.ipv4
        let rows: [(title: String, words: [String], wanted: String)] =
            ["+notcp", "+tcp"]
            .flatMap { way in
                [
                    (
                        "unprotected, dig \(way)",
                        ["dig", way, "+short", "www.\(DNSZones.plain)"], outside
                    ),
                    (
                        "protected, dig \(way)",
                        ["dig", way, "+short", "git.\(DNSZones.corp)"], "100.96."
                    ),
                    (
                        "protected TXT, dig \(way)",
                        ["dig", way, "+short", "all.\(DNSZones.corp)", "TXT"], "one text"
                    ),
                ]
            } + [
                (
                    "protected page", ["curl", "-sS", "-m", "5", "http://git.\(DNSZones.corp)/"],
                    "Hello from Git."
                ),
                (
                    "unprotected page",
                    ["curl", "-sS", "-m", "5", "http://www.\(DNSZones.plain)/"], "from outside"
                ),
            ]
        for row in rows {
            let outcome = try stage.ada.run(row.words, seconds: 20)
            let isRight = outcome.code == 0 && outcome.output.contains(row.wanted)
            stage.see(row.title, outcome.output.trimmed, isRight: isRight)
        }
        stage.seeNothingOutside()
    }
}
