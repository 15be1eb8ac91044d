internal import ArgumentParser
internal import Daemon
internal import Lab

/// `culvert lab translate`.
struct LabTaygaCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "translate",
        abstract: "Compare the translator with tayga, packet by packet."
    )

    @Flag(help: "Print each input that differs, with its packets.")
    var all = false

    func run() throws {
        var isExplained = true
        try LabCommand.inWords {
            let tayga = try Tayga()
            defer { tayga.remove() }
            let comparison = TaygaComparison(try tayga.translate())
            for line in comparison.lines { LabCommand.say(line) }
            if all { for line in comparison.details { LabCommand.say(line) } }
            isExplained = comparison.unexplained.isEmpty
        }
        if !isExplained { throw ExitCode(1) }
    }
}

/// Each input through our translator too, and who is right where the two differ.
struct TaygaComparison {
    /// How many inputs and packets there were, and how many inputs gave the same.
    private(set) var inputCount = 0
    private(set) var packetCount = 0
    private(set) var sameCount = 0
    /// Inputs by the verdict that explains them, in the order of the verdicts.
    private var explained = TaygaVerdict.all.map { _ in [String]() }
    /// Inputs with a difference that no verdict explains.
    private(set) var unexplained: [String] = []
    /// Every input that differs, with its packets.
    private(set) var details: [String] = []

    init(_ cases: [TaygaCase]) {
        for one in cases { compare(one) }
    }

    private mutating func compare(_ one: TaygaCase) {
        var translator = TaygaTranslator()
        let results = one.packets.map { translator.translate($0) }
        let ours = results.flatMap(\.packets)
        inputCount += 1
        packetCount += one.packets.count
        let findings = TaygaDifference.findings(one, ours: ours)
        guard !findings.isEmpty else {
            sameCount += 1
            return
        }
        let title = "\(one.group): \(one.name)"
        details.append("\(title): \(findings.joined(separator: "; "))")
        details += one.packets.map { "  in    \(Self.hexadecimal($0))" }
        details += one.answers.map { "  tayga \(Self.hexadecimal($0))" }
        details += ours.map { "  ours  \(Self.hexadecimal($0))" }
        for finding in findings {
            let index = TaygaVerdict.all.firstIndex { $0.explains(finding, of: one) }
            guard let index else {
                let reason = results.last?.reason ?? ""
                unexplained.append("\(title): \(finding) \(reason)")
                continue
            }
            if explained[index].last != title { explained[index].append(title) }
        }
    }

    private static func hexadecimal(_ packet: [UInt8]) -> String {
        packet.map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }.joined()
    }

    /// The table, as people read it.
    var lines: [String] {
        var lines = [
            "\(inputCount) inputs, \(packetCount) packets: \(sameCount) inputs gave the same.", "",
            "| inputs | what | tayga | ours, which is right | by |", "|---|---|---|---|---|",
        ]
        for (verdict, inputs) in zip(TaygaVerdict.all, explained) where !inputs.isEmpty {
            lines.append("| \(inputs.count) \(verdict.row)")
        }
        guard !unexplained.isEmpty else {
            return lines + ["", "Every difference has its verdict."]
        }
        lines += ["", "\(unexplained.count) differences without a verdict:"]
        return lines + unexplained.map { "  \($0)" }
    }
}
