internal import Foundation

/// A night made short: from before on, `ping` runs once a second, and the gateway's router drops
/// all UDP state every 30 s. No ping may be lost for longer than 1 s, and no DNS query is made.
public struct Overnight: Sendable {
    private let executable: String
    private let minutes: Double

    public init(executable: String, minutes: Double) {
        (self.executable, self.minutes) = (executable, minutes)
    }

    /// Runs it.
    ///
    /// - Returns: Whether all was as it must be.
    /// - Throws: ``LabError`` when the network does not come up or nothing flows.
    public func run(name: String, say: (String) -> Void) throws -> Bool {
        let field = try RunningField(
            name: name,
            plan: FieldPlan().with { $0.relays = .ours },
            executable: executable
        )
        defer { field.remove() }
        let ada = field.network.ada
        let ping = try ada.start(
            "ping",
            ["ping", "-4", "-n", "-D", "-O", "-i", "1", FieldNetwork.name]
        )
        try ping.waitForOutput("bytes from")
        let queriesBefore = try Self.queries(field)
        let end = ContinuousClock.now + .seconds(minutes * 60)
        var resets = 0
        while ContinuousClock.now < end {
            _ = Lab.waits(seconds: 30) { !ping.isRunning }
            try field.network.sites[0].router.forgetUDP()
            resets += 1
        }
        _ = Lab.waits(seconds: 3) { !ping.isRunning }
        let queries = try Self.queries(field) - queriesBefore
        ping.send(SIGINT)
        ping.wait(seconds: 2)
        let answered = Set(ping.output.matches(of: #/icmp_seq=(\d+) ttl/#).compactMap { Int($0.1) })
        let last = answered.max() ?? 0
        let lost = Set(1...max(1, last)).subtracting(answered).sorted()
        // Two in a row are a silence of more than 1 s.
        let together = zip(lost, lost.dropFirst()).filter { $1 == $0 + 1 }
        say(
            "overnight: \(resets) resets in \(Int(minutes)) min, \(last) pings, \(lost.count) lost"
                + " (\(together.count) of them right after another), \(queries) DNS queries"
        )
        let isGood = together.isEmpty && queries == 0 && last > Int(minutes * 50)
        if !isGood { say(field.logs) }
        return isGood
    }

    private static func queries(_ field: RunningField) throws -> Int {
        let status = field.status
        guard let queries = status.queries else {
            throw LabError("The client says nothing: \(status.text)\n\(field.logs)")
        }
        return queries
    }
}
