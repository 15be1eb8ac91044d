internal import Foundation

/// One thing that a host's resolver must do, seen with programs that others wrote.
public struct DNSCase: Sendable {
    /// How it is named on the command line.
    public let name: String
    /// What must be seen, for the table.
    public let what: String
    let setting: RunningDNS.Setting
    let act: @Sendable (DNSStage) throws -> Void

    init(
        _ name: String,
        _ what: String,
        setting: RunningDNS.Setting = RunningDNS.Setting(),
        act: @escaping @Sendable (DNSStage) throws -> Void
    ) {
        (self.name, self.what, self.setting, self.act) = (name, what, setting, act)
    }

    /// What one run showed.
    public struct Report: Sendable {
        public let name: String
        public let rows: [Finding]
        /// What prevented the run from going on; nil when it came to its end.
        public let failure: String?
        /// What the roles said, when something was not as it must be.
        public let logs: String
        let seconds: Double

        public var passed: Bool { failure == nil && rows.allSatisfy(\.isRight) }
    }

    /// Runs it in a network of its own, named `network`.
    ///
    /// - Parameters:
    ///   - executable: Path of `culvert`.
    ///   - network: The network's name.
    ///   - isQuick: Whether it does what `make test` has time for only.
    /// - Returns: What was seen; nothing is left of the network then.
    public func run(executable: String, network: String, isQuick: Bool) -> Report {
        let start = ContinuousClock.now
        var stage: DNSStage?
        var failure: String?
        var logs = ""
        do {
            let world = try RunningDNS(name: network, executable: executable, setting: setting)
            defer { world.remove() }
            let place = DNSStage(world: world, isQuick: isQuick)
            stage = place
            do { try act(place) } catch { failure = "\(error)" }
            if failure != nil || !place.rows.allSatisfy(\.isRight) { logs = world.logs }
        } catch {
            failure = "\(error)"
        }
        return Report(
            name: name,
            rows: stage?.rows ?? [],
            failure: failure,
            logs: logs,
            seconds: (ContinuousClock.now - start).inSeconds
        )
    }

    /// The head of the table that ``Report/lines`` continue.
    public static let tableHead = ["| case | what | seen |", "|---|---|---|"]
}

extension DNSCase.Report {
    /// Its lines of the table.
    public var lines: [String] {
        let own = rows.map {
            "| \(name) | \($0.what) | \($0.isRight ? "" : "WRONG: ")\($0.seen) |"
        }
        return own + (failure.map { ["| \(name) | came to no end | \($0.prefix(2_000)) |"] } ?? [])
            + [String(format: "| %@ | all of it | %.0f s |", name, seconds)]
    }
}

/// Where a case acts: the world, and the table that it fills.
final class DNSStage {
    let world: RunningDNS
    /// Whether it does what `make test` has time for only.
    let isQuick: Bool
    private(set) var rows: [Finding] = []

    /// The interpreter that Debian's Python packages are for.
    static let interpreter = "/usr/bin/python3"

    init(world: RunningDNS, isQuick: Bool) { (self.world, self.isQuick) = (world, isQuick) }

    var ada: LabHost { world.network.ada }
    var outside: LabHost { world.network.outside }

    /// The first nameserver of the client's host.
    ///
    /// - Throws: ``LabError`` when there is none.
    func sentinel() throws -> String {
        guard let first = world.sentinels.first else {
            throw LabError("resolv.conf names no server:\n\(ada.resolverConfiguration)")
        }
        return first
    }

    /// Adds a line to the table.
    func see(_ what: String, _ seen: String, isRight: Bool) {
        rows.append(Finding(what, seen, isRight: isRight))
    }

    /// No query for a protected name may have come to a public resolver.
    func seeNothingOutside() {
        let all = world.queriesSeenOutside()
        let leaks = all.filter(DNSZones.isProtected)
        let words = leaks.prefix(5).joined(separator: ", ")
        see(
            "the public resolvers' own logs",
            leaks.isEmpty
                ? "\(all.count) queries, none for a protected name"
                : "\(leaks.count) of \(all.count) queries are for protected names: \(words)",
            isRight: leaks.isEmpty && !all.isEmpty
        )
    }

    /// Runs a Python program on `host` to its end.
    ///
    /// - Returns: The last line that it printed, which is JSON.
    /// - Throws: ``LabError`` when it fails.
    func python<Report: Decodable>(
        _ script: String,
        _ arguments: String...,
        on host: LabHost,
        seconds: Double = 60
    ) throws -> Report {
        let path = try host.write("program.py", script)
        let outcome = try host.run([Self.interpreter, path] + arguments, seconds: seconds)
        return try Self.report(outcome.output, code: outcome.code)
    }

    /// Decodes the last line of a program's output.
    static func report<Report: Decodable>(_ output: String, code: Int32) throws -> Report {
        guard code == 0, let line = output.split(separator: "\n").last,
            let report = try? JSONDecoder().decode(Report.self, from: Data(line.utf8))
        else { throw LabError("The program ended with \(code): \(output.suffix(2_000))") }
        return report
    }

    /// The client's memory in KiB.
    func memory() throws -> Int { try world.client.residentKilobytes() }
}

/// Runs cases, some side by side.
public struct DNSCaseRunner: Sendable {
    private let executable: String
    private let isQuick: Bool
    private let width: Int

    /// - Parameters:
    ///   - executable: Path of `culvert`.
    ///   - isQuick: Whether each does what `make test` has time for only.
    ///   - width: How many run at the same time, each in a network of its own.
    public init(executable: String, isQuick: Bool, width: Int) {
        (self.executable, self.isQuick, self.width) = (executable, isQuick, width)
    }

    /// Runs `cases`; calls `onReport` as each ends, in the order of their ends.
    public func run(
        _ cases: [DNSCase],
        onReport: @escaping @Sendable (DNSCase.Report) -> Void
    ) async -> [DNSCase.Report] {
        await SideBySide(width: width).run(
            cases.count,
            { index in
                cases[index].run(
                    executable: executable,
                    network: "cvd\(index)",
                    isQuick: isQuick
                )
            },
            onResult: onReport
        )
    }
}
