internal import Foundation

/// One thing that happens to a field network while traffic flows, and what must be seen.
public struct Scenario: Sendable {
    /// How it is named on the command line.
    public let name: String
    /// What happens, for the table.
    public let what: String
    public var plan: FieldPlan
    /// The longest silence allowed, in seconds: the failure matrix of the behaviour page.
    let gapLimit: Double
    /// Whether the TCP connection must live through it.
    let survives: Bool
    /// Bytes of the download; less than 100 MB only where loss makes TCP slow.
    let byteCount: Int
    /// What `culvert status` must call the path at the end; nil where either will do.
    let path: String?
    /// Whether somebody listens from before on, to attack with what was heard.
    let isAttacked: Bool
    let act: @Sendable (Stage) throws -> Void

    init(
        _ name: String,
        _ what: String,
        plan: FieldPlan = FieldPlan().with { $0.relays = .ours },
        gapLimit: Double = 1,
        survives: Bool = true,
        byteCount: Int = FieldNetwork.bigByteCount,
        path: String? = "direct",
        isAttacked: Bool = false,
        act: @escaping @Sendable (Stage) throws -> Void = { _ in }
    ) {
        (self.name, self.what, self.plan) = (name, what, plan)
        (self.gapLimit, self.survives, self.byteCount) = (gapLimit, survives, byteCount)
        (self.path, self.isAttacked, self.act) = (path, isAttacked, act)
    }

    /// How long a run takes.
    public enum Pace: Sendable {
        /// Resets every 5 s, a download of 20 s: what `make test` has time for.
        case short
        /// Resets every 20 s, a download of 80 s.
        case long

        var resetInterval: Double { self == .short ? 5 : 20 }
        var rate: Int { (self == .short ? 20 : 5) << 18 }
        /// Before the first thing happens, in seconds.
        var lead: Double { self == .short ? 3 : 10 }
    }

    /// What one run showed.
    public struct Report: Sendable {
        public let scenario: Scenario
        public let result: Traffic.Result?
        /// The paths before and after, as `culvert status` calls them.
        public let path: String
        /// What was not as it must be; empty when all was.
        public let faults: [String]
        /// What the roles said, when something was not as it must be.
        public let logs: String

        public var passed: Bool { faults.isEmpty }
    }
}

/// Where a scenario acts: the field, its traffic, its pace.
public struct Stage: Sendable {
    let field: RunningField
    let traffic: Traffic
    let pace: Scenario.Pace

    /// Does nothing for a while, or until the download is done.
    func wait(_ seconds: Double) {
        _ = Lab.waits(seconds: seconds) { traffic.isDone }
    }

    /// Acts again and again while the download goes on.
    func repeatedly(_ body: () throws -> Void) throws {
        while !traffic.isDone {
            try body()
            wait(pace.resetInterval)
        }
    }
}

extension Scenario {
    /// Runs it on a network of its own, named `network`.
    public func run(executable: String, network: String, pace: Pace) -> Report {
        do {
            let field = try RunningField(
                name: network,
                plan: plan,
                executable: executable,
                rate: pace.rate
            )
            defer { field.remove() }
            return try run(on: field, pace: pace)
        } catch {
            return Report(scenario: self, result: nil, path: "?", faults: ["\(error)"], logs: "")
        }
    }

    private func run(on field: RunningField, pace: Pace) throws -> Report {
        var path = "?"
        do {
            let attack = isAttacked ? try Attack(on: field) : nil
            let sum = try field.bigFile(byteCount: byteCount)
            let traffic = try Traffic(
                on: field.network.ada,
                name: FieldNetwork.name,
                path: "/big",
                sum: sum
            )
            let stage = Stage(field: field, traffic: traffic, pace: pace)
            stage.wait(pace.lead)
            path = field.status.path ?? "?"
            try act(stage)
            var faults = try attack?.run(seconds: pace.lead * 3) ?? []
            let result = try traffic.finish(seconds: 120)
            let last = field.status.path ?? "?"
            path += " → " + last
            faults += self.faults(in: result)
            if let wanted = self.path, last != wanted {
                faults.append("the path is \(last), not \(wanted)")
            }
            let logs = faults.isEmpty ? "" : field.logs
            return Report(scenario: self, result: result, path: path, faults: faults, logs: logs)
        } catch {
            return Report(
                scenario: self,
                result: nil,
                path: path,
                faults: ["\(error)"],
                logs: field.logs
            )
        }
    }

    private func faults(in result: Traffic.Result) -> [String] {
        var faults: [String] = []
        if result.pingGap > gapLimit {
            faults.append(
                String(
                    format: "no answer for %.2f s from %.1f s on; allowed are %.0f s",
                    result.pingGap,
                    result.pingGapStart,
                    gapLimit
                )
            )
        }
        if !result.isIntact { faults.append("the download is damaged") }
        if survives, result.connections != 1 {
            faults.append("the TCP connection ended: \(result.failures.first ?? "?")")
        }
        // The application notices a gateway's end by a reset, not by its own time-out of 15 s.
        if result.downloadGap > gapLimit + 5 {
            faults.append(String(format: "the download stood for %.1f s", result.downloadGap))
        }
        return faults
    }

    /// The head of the table that ``Report/row`` continues.
    public static let tableHead = [
        "| scenario | longest gap | allowed | download's gap | TCP connection | path | hash |",
        "|---|---|---|---|---|---|---|",
    ]
}

extension Scenario.Report {
    /// One line of the table.
    public var row: String {
        guard let result else { return "| \(scenario.what) | – | – | – | – | \(path) | – |" }
        let connection =
            result.connections == 1 ? "survived" : "\(result.connections - 1) × made anew"
        return String(
            format: "| %@ | %.2f s | %.0f s | %.2f s | %@ | %@ | %@ |",
            scenario.what,
            result.pingGap,
            scenario.gapLimit,
            result.downloadGap,
            connection,
            path,
            result.isIntact ? "right" : "WRONG"
        )
    }
}
