internal import ArgumentParser
internal import Daemon
internal import Dispatch
internal import Foundation
internal import Lab

/// `culvert lab`: the demo, scenarios and benchmarks on networks of namespaces.
struct LabCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "lab",
        abstract: "The demo's network, scenarios and benchmarks.",
        discussion: """
            EXAMPLE
              culvert lab demo --exit
              culvert lab up symmetric
              culvert lab exec ada -- curl http://git.corp.example/
              culvert lab down
              culvert lab run nat-gateway relay-killed
              culvert lab dns tools hostile
              culvert lab translate
              culvert lab sites unreached
              culvert lab bench tunnel
            """,
        subcommands: [
            DemoCommand.self, LabUpCommand.self, LabExecCommand.self, LabDownCommand.self,
            LabRunCommand.self, LabDNSCommand.self, LabSitesCommand.self,
            LabFamiliesCommand.self, LabTaygaCommand.self, BenchCommand.self,
            TunnelCommand.self,
            LabDelayCommand.self, NAT64Command.self,
            CrowdCommand.self,
        ]
    )

    /// Prints a line at once, also into a pipe: what takes minutes is to be watched.
    static func say(_ line: String) {
        FileHandle.standardOutput.write(Data((line + "\n").utf8))
    }

    /// What a lab could not do, as a command's sentence.
    static func inWords(_ body: () throws -> Void) throws {
        do { try body() } catch let error as LabError {
            throw Sentence("The lab stopped: \(error)")
        }
    }
}

/// `culvert lab demo`.
struct DemoCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "demo",
        abstract: "Shows everything working in network namespaces, step by step."
    )

    @Flag(help: "End after the steps; also what happens without a terminal.")
    var exit = false

    @Option(help: "A folder for pictures of the admin pages.")
    var pictures: String?

    func run() throws {
        let executable = try Executable.path()
        do {
            let demo = try Demo(executable: executable) { LabCommand.say($0) }
            try demo.run(pictures: pictures)
            guard !exit, isatty(STDIN_FILENO) == 1 else { return }
            for line in demo.invitation { LabCommand.say(line) }
            Interruption.wait()
        } catch let error as LabError {
            throw Sentence("The demo stopped: \(error)")
        }
    }
}

/// `culvert lab bench`.
struct BenchCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "bench",
        abstract: "Side by side with peers, as ratios with their spread."
    )

    /// What there is to measure.
    enum Bench: String, ExpressibleByArgument, CaseIterable {
        case tunnel, setup, dns, idle, nat, nat64, revocation
    }

    @Argument(help: "Which one (default: tunnel, setup, dns, nat64 and nat).")
    var only: Bench?

    @Option(help: "Alternating runs of each.")
    var runs = 5

    @Option(help: "Seconds of each run of the tunnel.")
    var seconds = 5

    @Option(help: "Minutes of silence of idle.")
    var minutes = 10.0

    @Option(help: "Clients of idle.")
    var clients = 1_000

    @Option(help: "Leases beside the one that revocation ends.")
    var leases = 10_000

    func run() throws {
        let executable = try Executable.path()
        do {
            for bench in only.map({ [$0] }) ?? [.tunnel, .setup, .dns, .nat64, .nat] {
                switch bench {
                case .tunnel:
                    try TunnelBench(executable: executable, runs: runs, seconds: seconds)
                        .run { LabCommand.say($0) }
                case .setup:
                    try SetupBench(executable: executable, runs: runs).run { LabCommand.say($0) }
                case .dns:
                    try DNSBench(executable: executable, runs: runs, seconds: min(seconds, 2))
                        .run { LabCommand.say($0) }
                case .revocation:
                    try RevocationBench(executable: executable, runs: 20 * runs, leases: leases)
                        .run { LabCommand.say($0) }
                case .nat: try NATBench.run(LabCommand.say)
                case .nat64:
                    try NAT64Bench(executable: executable, runs: runs, seconds: min(seconds, 3))
                        .run { LabCommand.say($0) }
                    try TranslatedPathBench(
                        executable: executable,
                        runs: runs,
                        seconds: min(seconds, 2)
                    ).run { LabCommand.say($0) }
                case .idle:
                    try IdleBench(executable: executable, clients: clients, minutes: minutes)
                        .run { LabCommand.say($0) }
                }
            }
        } catch let error as LabError {
            throw Sentence("The benchmark stopped: \(error)")
        }
    }
}

/// This executable, for the processes that a lab starts.
enum Executable {
    static func path() throws -> String {
        try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
    }
}

/// Waits until a person ends the program.
enum Interruption {
    static func wait() {
        let done = DispatchSemaphore(value: 0)
        let sources = [SIGINT, SIGTERM].map { number in
            signal(number, SIG_IGN)
            let source = DispatchSource.makeSignalSource(signal: number, queue: .global())
            source.setEventHandler { done.signal() }
            source.resume()
            return source
        }
        done.wait()
        for source in sources { source.cancel() }
    }
}
