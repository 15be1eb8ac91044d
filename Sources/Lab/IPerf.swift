internal import Foundation

/// `iperf3` between two hosts of a lab.
enum IPerf {
    /// What one run came to.
    struct Outcome {
        /// What arrived.
        let bitsPerSecond: Double
        /// Bytes of the streams; of datagrams, those that were sent.
        let byteCount: Double
    }

    /// Starts a server for one run, and runs.
    ///
    /// - Parameters:
    ///   - client: Where the client runs.
    ///   - address: Whom it asks.
    ///   - server: Where the server runs.
    ///   - local: Where it listens.
    ///   - words: More for the client.
    ///   - seconds: How long.
    /// - Returns: What the receiver saw.
    /// - Throws: ``LabError`` when nothing arrives.
    static func run(
        from client: LabHost,
        to address: String,
        on server: LabHost,
        listening local: String,
        words: [String] = [],
        seconds: Int
    ) throws -> Outcome {
        let running = try server.start("iperf3", ["iperf3", "-s", "-1", "-B", local])
        let listens = try Lab.waits(seconds: 5) {
            try server.run("ss", "-Hltn", "sport", "=", ":5201").output.contains(":5201")
        }
        guard listens else { throw LabError("iperf3 does not listen: \(running.output)") }
        let outcome = try client.run(
            ["iperf3", "-c", address, "-J", "-t", "\(seconds)"] + words,
            seconds: Double(seconds) + 20
        )
        let json =
            try? JSONSerialization.jsonObject(with: Data(outcome.output.utf8)) as? [String: Any]
        guard let end = json?["end"] as? [String: Any],
            let sum = end["sum_received"] as? [String: Any] ?? end["sum"] as? [String: Any],
            let rate = sum["bits_per_second"] as? Double, let bytes = sum["bytes"] as? Double,
            bytes > 0
        else {
            throw LabError("iperf3 ended with \(outcome.code): \(outcome.output.suffix(1_000))")
        }
        // Without a report of the receiver, what was sent and what is lost.
        let isSent = end["sum_received"] == nil
        let lost = isSent ? (sum["lost_percent"] as? Double ?? 0) / 100 : 0
        return Outcome(bitsPerSecond: rate * (1 - lost), byteCount: bytes)
    }
}
