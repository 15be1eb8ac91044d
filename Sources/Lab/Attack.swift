internal import Foundation

/// Everything that a stranger who sees and forges packets on the internet can throw at a field
/// network: garbage on every port, replays, forged goodbyes and STUN answers, floods of initiations
/// and of allocations with and without a password, connections that speak nonsense.
struct Attack {
    private let field: RunningField
    private let wiretap: Running
    private let memoryBefore: [String: Int]

    private enum Limits {
        /// What a role's memory may grow by, in KiB.
        static let memoryGrowth = 48 << 10
        /// Relayed addresses that one user may have.
        static let allocations = 16
    }

    /// What the attacker's program reports.
    private struct Report: Decodable {
        let forged: Int
        let connections: Int
        /// Answers to allocations by code; 0 for success.
        let anonymous: [String: Int]
        let wrongPassword: [String: Int]
        let rightPassword: [String: Int]
        /// The portal's answer to a token that is none.
        let portal: Int
    }

    /// Begins to listen on the wire, before anything is said on it.
    ///
    /// - Throws: ``LabError`` when it cannot.
    init(on field: RunningField) throws {
        self.field = field
        let internet = field.network.internet.host
        let script = try internet.write("wiretap.py", AttackScript.wiretap)
        wiretap = try internet.start(
            "wiretap",
            ["python3", "-u", script, "\(internet.folder)/capture"]
        )
        try wiretap.waitForOutput("listens")
        memoryBefore = try Self.memory(of: field)
    }

    /// Attacks for `seconds`.
    ///
    /// - Returns: What is not as it must be.
    /// - Throws: ``LabError`` when the attacker's program fails.
    func run(seconds: Double) throws -> [String] {
        wiretap.stop()
        let internet = field.network.internet.host
        let script = try internet.write("attack.py", AttackScript.attack)
        let outcome = try internet.run(
            "python3",
            script,
            "\(internet.folder)/capture",
            "\(seconds)",
            StockRelay.secret,
            seconds: seconds + 30
        )
        guard outcome.code == 0, let line = outcome.output.split(separator: "\n").last,
            let report = try? JSONDecoder().decode(Report.self, from: Data(line.utf8))
        else { throw LabError("The attack failed: \(outcome.output.suffix(2_000))") }
        return Self.faults(in: report) + casualties() + (try counters())
    }

    private static func faults(in report: Report) -> [String] {
        var faults: [String] = []
        if report.forged < 1_000 { faults.append("only \(report.forged) packets were forged") }
        if report.connections < 10 { faults.append("only \(report.connections) connections") }
        if !Set(report.anonymous.keys).isSubset(of: ["401"]) {
            faults.append("allocations without a password are answered \(report.anonymous)")
        }
        if report.wrongPassword.isEmpty || Set(report.wrongPassword.keys) != ["401"] {
            faults.append("allocations with a wrong password are answered \(report.wrongPassword)")
        }
        if report.rightPassword["0"] != Limits.allocations || report.rightPassword["486"] == nil {
            faults.append("a flood of allocations is answered \(report.rightPassword)")
        }
        if report.portal != 401 { faults.append("a wrong token is answered \(report.portal)") }
        return faults
    }

    /// Who died or grew.
    private func casualties() -> [String] {
        field.everyRole.compactMap { title, running in
            guard let kilobytes = try? running.residentKilobytes() else { return "\(title) died" }
            let growth = kilobytes - (memoryBefore[title] ?? 0)
            return growth > Limits.memoryGrowth ? "\(title) grew by \(growth) KiB" : nil
        }
    }

    /// What was refused and not counted.
    private func counters() throws -> [String] {
        let (relay, ada) = (field.network.relays[0], field.network.ada)
        let gateway = field.network.sites[0].gateways[0]
        let refused = ["foreign", "packets"].map { #"refused_total{kind="\#($0)"}"# }
        let pages = [
            (
                "relay", try relay.run("curl", "-sS", "http://127.0.0.1:9465/metrics").output,
                ["malformed_total", "credentials_refused_total", "quota_reached_total"]
            ),
            (
                "gateway", try gateway.run("curl", "-sS", "http://127.0.0.1:9464/metrics").output,
                refused + [#"refused_total{kind="challenged"}"#]
            ),
            (
                "client",
                try ada.run(
                    "curl",
                    "-sS",
                    "--unix-socket",
                    Roles.socket("client", on: ada),
                    "http://culvert/metrics"
                ).output, refused
            ),
        ]
        return pages.flatMap { role, text, names in
            names.map { "culvert_\(role)_\($0)" }.filter { name in
                let line = text.split(separator: "\n").first { $0.hasPrefix(name + " ") }
                return (line?.split(separator: " ").last.flatMap { Double($0) } ?? 0) == 0
            }
            .map { "\($0) did not move" }
        }
    }

    /// What each role holds in memory, in KiB.
    private static func memory(of field: RunningField) throws -> [String: Int] {
        var memory: [String: Int] = [:]
        for (title, running) in field.everyRole { memory[title] = try running.residentKilobytes() }
        return memory
    }
}
