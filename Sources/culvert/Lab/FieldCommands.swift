internal import ArgumentParser
internal import Daemon
internal import Foundation
internal import Lab

/// `culvert lab up`.
struct LabUpCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "up",
        abstract: "Build a network with every role running, and leave it up.",
        discussion: FieldPlan.named.map { "  \($0.name): \($0.what)" }.joined(separator: "\n")
    )

    @Argument(help: "Which one (default: field).")
    var topology = "field"

    func run() throws {
        if let standing = StandingLab.current {
            throw Sentence(
                "The lab \(standing.topology) is up already; end it with `culvert lab down`."
            )
        }
        guard let plan = FieldPlan.named.first(where: { $0.name == topology })?.plan else {
            let known = FieldPlan.named.map(\.name).joined(separator: ", ")
            throw Sentence("There is no topology \(topology); known: \(known).", exit: .usedWrongly)
        }
        try LabCommand.inWords {
            let field = try RunningField(
                name: "cvlab",
                plan: plan,
                executable: try Executable.path()
            )
            let standing = try StandingLab(field, topology: topology)
            LabCommand.say("up: \(standing.hosts.keys.sorted().joined(separator: ", "))")
            LabCommand.say("  culvert lab exec ada -- curl http://\(FieldNetwork.name)/")
            LabCommand.say("  culvert lab down")
        }
    }
}

/// `culvert lab exec`.
struct LabExecCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "exec",
        abstract: "Run a command on a host of the lab that is up.",
        discussion: """
            EXAMPLE
              culvert lab exec ada -- ping git.corp.example
            """
    )

    @Argument(help: "The host: ada, home, gateway1, portal …")
    var host: String

    @Argument(parsing: .postTerminator, help: "The command.")
    var command: [String]

    func run() throws {
        guard let standing = StandingLab.current else {
            throw Sentence("No lab is up; start one with `culvert lab up`.", exit: .notConnected)
        }
        guard let namespace = standing.hosts[host] else {
            let known = standing.hosts.keys.sorted().joined(separator: ", ")
            throw Sentence("There is no host \(host); known: \(known).", exit: .usedWrongly)
        }
        let process = Process()
        process.executableURL = URL(filePath: "/usr/bin/env")
        process.arguments = ["ip", "netns", "exec", namespace] + command
        try process.run()
        process.waitUntilExit()
        throw ExitCode(process.terminationStatus)
    }
}

/// `culvert lab down`.
struct LabDownCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "down",
        abstract: "Remove the lab that is up, with its processes and namespaces."
    )

    func run() throws {
        guard let standing = StandingLab.current else {
            LabCommand.say("No lab is up.")
            return
        }
        standing.remove()
        LabCommand.say("down")
    }
}

/// `culvert lab run`.
struct LabRunCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "run",
        abstract: "Run scenarios, each on a network of its own, and print what was seen.",
        discussion: Scenario.all.map { "  \($0.name): \($0.what)" }.joined(separator: "\n")
            + "\n  overnight: the gateway's router forgets all UDP every 30 s"
    )

    @Argument(help: "Which ones (default: all but overnight).")
    var names: [String] = []

    @Flag(help: "A reset every 20 s and a download of 80 s; overnight 30 minutes.")
    var long = false

    @Option(help: "How many at the same time.")
    var together = 3

    func run() async throws {
        let executable = try Executable.path()
        let pace: Scenario.Pace = long ? .long : .short
        var isGood = true
        if names.contains("overnight") {
            try LabCommand.inWords {
                let night = Overnight(executable: executable, minutes: long ? 30 : 3)
                isGood = try night.run(name: "cvnight") { LabCommand.say($0) }
            }
        }
        let wanted = names.filter { $0 != "overnight" }
        let scenarios = try wanted.isEmpty && names.isEmpty ? Scenario.all : wanted.map(Self.named)
        guard !scenarios.isEmpty else { return try Self.end(isGood) }
        for line in Scenario.tableHead { LabCommand.say(line) }
        let runner = ScenarioRunner(executable: executable, pace: pace, width: max(1, together))
        let reports = await runner.run(scenarios) { LabCommand.say($0.row) }
        for report in reports where !report.passed {
            isGood = false
            LabCommand.say("\n\(report.scenario.name): \(report.faults.joined(separator: "; "))")
            LabCommand.say(report.logs)
        }
        try Self.end(isGood)
    }

    private static func named(_ name: String) throws -> Scenario {
        guard let scenario = Scenario.all.first(where: { $0.name == name }) else {
            let known = (Scenario.all.map(\.name) + ["overnight"]).joined(separator: ", ")
            throw Sentence("There is no scenario \(name); known: \(known).", exit: .usedWrongly)
        }
        return scenario
    }

    private static func end(_ isGood: Bool) throws { if !isGood { throw ExitCode(1) } }
}

/// `culvert lab delay`.
struct LabDelayCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "delay",
        abstract: "A wire with delay and loss between two TAP devices that it makes.",
        shouldDisplay: false
    )

    @Option(help: "The name of one device.")
    var left: String
    @Option(help: "The name of the other.")
    var right: String
    @Option(help: "From one end to the other.")
    var milliseconds = 0.0
    @Option(help: "The share of frames that are lost, 0 to 1.")
    var loss = 0.0
    @Option(help: "Where the losses come from.")
    var seed: UInt64 = 1

    func run() throws {
        try LabCommand.inWords {
            var line = try DelayLine(
                left: left,
                right: right,
                character: .init(milliseconds: milliseconds, loss: loss, seed: seed)
            )
            LabCommand.say("ready")
            try line.run()
        }
    }
}
