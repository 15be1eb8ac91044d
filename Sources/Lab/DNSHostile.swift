internal import Foundation

/// The case `hostile`: what nobody should send, and what comes back.
enum DNSHostile {
    private enum Limits {
        /// What the client's memory may grow by over all of it, in KiB.
        static let memoryGrowth = 64 << 10
    }

    private struct Row: Decodable {
        let what: String
        let seen: String
        let isRight: Bool
    }

    static func run(_ stage: DNSStage) throws {
        let sentinel = try stage.sentinel()
        // The kernel would end each half-open connection by a reset of its own.
        try stage.ada.must(
            ["nft", "-f", "-"],
            input: """
                table inet halfopen {
                    chain output {
                        type filter hook output priority filter;
                        ip daddr \(sentinel) tcp sport 20000-24999 tcp flags & rst == rst drop
                    }
                }
                """
        )
        let before = try stage.memory()
        let script = try stage.ada.write("hostile.py", DNSHostileScript.text)
        let outcome = try stage.ada.run(
            [
                DNSStage.interpreter, script, sentinel, DNSZones.corp, DNSZones.plain,
                stage.isQuick ? "2000" : "10000", "\(stage.world.client.identifier)",
            ],
            seconds: 240
        )
        for line in outcome.output.split(separator: "\n") where line.hasPrefix("{") {
            let row = try JSONDecoder().decode(Row.self, from: Data(line.utf8))
            stage.see(row.what, row.seen, isRight: row.isRight)
        }
        guard outcome.code == 0 else { throw LabError(String(outcome.output.suffix(1_000))) }
        let after = try stage.memory()
        stage.see(
            "the client's memory before and after",
            "\(before) KiB, \(after) KiB",
            isRight: after - before < Limits.memoryGrowth
        )
        stage.seeNothingOutside()
    }
}
