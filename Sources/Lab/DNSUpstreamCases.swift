internal import Foundation
internal import Glibc

/// The cases in which upstreams die, come back, or speak TLS and HTTPS.
enum DNSUpstreamCases {
    /// What the application that asks without pause has to say.
    private struct Report: Decodable {
        let asked: Int
        let failures: [String]
        let longest: Double
    }

    /// Of two upstreams one dies, is frozen, and comes back, while an application asks libc.
    static func death(_ stage: DNSStage) throws {
        let resolver = stage.world.network.resolvers[0]
        var process = try first(stage)
        let script = try stage.ada.write("ask.py", asking)
        let seconds = stage.isQuick ? 3.0 : 8.0
        for way in ["killed", "frozen"] {
            let application = try stage.ada.start(
                "application",
                [DNSStage.interpreter, "-u", script, way, DNSZones.plain]
            )
            try application.waitForOutput("asks")
            pause(seconds / 4, application)
            process.send(way == "killed" ? SIGKILL : SIGSTOP)
            pause(seconds, application)
            if way == "killed" {
                process.wait(seconds: 5)
                process = try stage.world.network.start(resolver)
            } else {
                process.send(SIGCONT)
            }
            let before = queries(process)
            let isUsed = Lab.waits(seconds: 15) { queries(process) > before + 5 }
            stage.see(
                "the first upstream, \(way), comes back",
                isUsed ? "it is asked again" : "it is not asked any more",
                isRight: isUsed
            )
            application.send(SIGINT)
            application.wait(seconds: 10)
            let report: Report = try DNSStage.report(application.output, code: application.code)
            let isRight = report.failures.isEmpty && report.asked > 10 && report.longest < 3
            stage.see(
                "getaddrinfo while the first of two upstreams is \(way)",
                String(
                    format: "%d names asked, %d failures %@, the longest took %.2f s",
                    report.asked,
                    report.failures.count,
                    report.failures.first ?? "",
                    report.longest
                ),
                isRight: isRight
            )
        }
        stage.seeNothingOutside()
    }

    /// The running process of the first upstream.
    private static func first(_ stage: DNSStage) throws -> Running {
        guard let process = stage.world.network.running.first else {
            throw LabError("No resolver runs.")
        }
        return process
    }

    private static func pause(_ seconds: Double, _ application: Running) {
        _ = Lab.waits(seconds: seconds) { !application.isRunning }
    }

    private static func queries(_ process: Running) -> Int {
        process.output.split(separator: "\n").count { $0.contains(" info: ") }
    }

    /// Asks libc for one new name after the other until it is interrupted.
    private static let asking = """
        import json, signal, socket, sys, time
        prefix, zone = sys.argv[1], sys.argv[2]
        asked, failures, longest = 0, [], 0.0
        def end(*_):
            raise KeyboardInterrupt
        signal.signal(signal.SIGINT, end)
        print("asks")
        try:
            while True:
                start = time.monotonic()
                try:
                    socket.getaddrinfo(f"{prefix}{asked}.wild.{zone}", 80, socket.AF_INET)
                except OSError as error:
                    failures.append(f"{asked}: {error}")
                longest = max(longest, time.monotonic() - start)
                asked += 1
                time.sleep(0.02)
        except KeyboardInterrupt:
            print(json.dumps({"asked": asked, "failures": failures, "longest": longest}))
        """

    // MARK: - TLS and HTTPS

    /// The second resolver, by TLS and by HTTPS only; the first serves the host, to find it.
    static let encrypted = RunningDNS.Setting(
        hostResolvers: "nameserver 203.0.113.53\noptions timeout:1\n",
        upstreams: ["tls://dns2.dns.example", "https://dns2.dns.example/dns-query"],
        prepare: { network in
            // What comes in clear text to the second resolver is not answered.
            try network.resolvers[1].host.must(
                ["nft", "-f", "-"],
                input: """
                    table inet clear {
                        chain input {
                            type filter hook input priority filter;
                            meta l4proto { tcp, udp } th dport 53 drop
                        }
                    }
                    """
            )
        }
    )

    /// `kdig +tls` and `kdig +https` say the same as the sentinels.
    static func compare(_ stage: DNSStage) throws {
        let resolver = stage.world.network.resolvers[1]
        let sentinels = stage.world.sentinels
        stage.see(
            "sentinels for one tls:// and one https:// upstream",
            sentinels.joined(separator: ", "),
            isRight: sentinels.count == 2
        )
        guard sentinels.count == 2 else { return }
        let trust = "+tls-ca=\(stage.world.network.authority.certificate)"
        let names = [
            "www.\(DNSZones.plain) A", "all.\(DNSZones.plain) TXT", "big.\(DNSZones.plain) TXT",
            "www.\(DNSZones.signed) AAAA", "many.\(DNSZones.plain) A",
            "chain.\(DNSZones.signed) MX", "nothere.\(DNSZones.signed) A",
            "www.\(DNSZones.bogus) A", "all.\(DNSZones.signed) TYPE65280",
        ]
        for (way, sentinel) in zip(["+tls", "+https"], sentinels) {
            for transport in [[], ["+tcp"]] {
                var wrong: [String] = []
                for name in names {
                    let words = ["kdig", "+dnssec"] + name.split(separator: " ").map(String.init)
                    let direct = try stage.outside.run(
                        words + [
                            "@\(resolver.ipv4)", way, trust, "+tls-hostname=\(resolver.name)",
                        ]
                    )
                    let through = try stage.ada.run(words + ["@\(sentinel)"] + transport)
                    if answer(direct.output) != answer(through.output)
                        || answer(direct.output).count < 2
                    {
                        let (one, other) = (answer(direct.output), answer(through.output))
                        wrong.append("\(name): \(one.prefix(4)) and \(other.prefix(4))")
                    }
                }
                stage.see(
                    "kdig \(way) directly, \((["kdig"] + transport).joined(separator: " ")) at its sentinel",
                    wrong.isEmpty
                        ? "\(names.count) answers are the same" : wrong.joined(separator: "; "),
                    isRight: wrong.isEmpty
                )
            }
        }
        let git = try stage.ada.run("curl", "-sS", "-m", "5", "http://git.\(DNSZones.corp)/")
        stage.see("curl git.corp.example", git.output.trimmed, isRight: git.output.contains("Git"))
        stage.seeNothingOutside()
    }

    /// Status, flags and records of what kdig printed, without times to live, in a fixed order.
    private static func answer(_ output: String) -> [String] {
        let records = output.split(separator: "\n").filter { !$0.hasPrefix(";") }.map { line in
            let words = line.split(whereSeparator: \.isWhitespace)
            return (words.prefix(1) + words.dropFirst(2)).joined(separator: " ")
        }
        let status = output.matches(of: #/status: ([A-Z]+)/#).map { String($0.1) }
        let flags = output.matches(of: #/;; Flags: ([a-z ]+)/#).map { String($0.1) }
        return status + flags + records.sorted()
    }
}
