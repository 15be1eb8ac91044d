internal import Foundation

/// The cold first byte: how long after an application's first packet the gateway has it, with
/// nothing authorised and no session, over wires with delay.
///
///     ada 10 ms ─┐                 ┌─ portal 10 ms
///                ├── internet ─────┤
///                                  └─ office ── gateway 0 ms ── site 2.5 ms (name server)
///
/// So 20 ms one way from client to portal, 10 ms from portal to gateway and from client to gateway,
/// and a resolver that answers in 5 ms. The goal is 5 ms more than one client–portal round trip
/// (40 ms), one path round trip (20 ms) and the packet's own way (10 ms).
public struct SetupBench {
    /// What may pass until the gateway has the packet, in milliseconds.
    public static let goal = 40.0 + 20 + 10 + ownGoal
    /// What of that is not the wires'.
    static let ownGoal = 5.0

    private let executable: String
    private let runs: Int

    public init(executable: String, runs: Int) { (self.executable, self.runs) = (executable, runs) }

    static let plan = FieldPlan().with {
        $0.relays = .ours
        $0.lines = [
            "ada": .init(milliseconds: 10), "portal": .init(milliseconds: 10),
            "site": .init(milliseconds: 2.5),
        ]
    }

    /// Runs it and prints each time, then line by line where that of the median went.
    ///
    /// - Returns: The median in milliseconds.
    /// - Throws: ``LabError`` when no packet comes through.
    @discardableResult
    public func run(plan: FieldPlan? = nil, say: (String) -> Void) throws -> Double {
        say("setup: the first packet of a cold client, from the application to the gateway")
        var timelines: [SetupTimeline] = []
        for number in 1...runs {
            let field = try RunningField(
                name: "cvset",
                plan: plan ?? Self.plan,
                executable: executable
            )
            defer { field.remove() }
            let timeline = try Self.measure(field)
            timelines.append(timeline)
            say(String(format: "  run %d: %.1f ms", number, timeline.arrival))
        }
        timelines.sort { $0.arrival < $1.arrival }
        let median = timelines[timelines.count / 2]
        say("")
        say("| at (ms) | since its cause | what |")
        say("|---|---|---|")
        for step in median.steps {
            say(String(format: "| %.1f | %.1f | %@ |", step.time, step.since, step.what))
        }
        say("")
        let arrivals = timelines.map(\.arrival).sorted()
        say(
            String(
                format: "| cold first packet at the gateway | %.1f ms (%.1f–%.1f) "
                    + "| goal ≤ %.0f ms | %@ |",
                median.arrival,
                arrivals[0],
                arrivals[arrivals.count - 1],
                Self.goal,
                median.arrival <= Self.goal ? "met" : "missed"
            )
        )
        let own = timelines.map { $0.arrival - $0.wires }.sorted()
        say(
            String(
                format: "| of that neither wire nor its emulation | %.1f ms (%.1f–%.1f) "
                    + "| goal ≤ %.0f ms | %@ |",
                own[own.count / 2],
                own[0],
                own[own.count - 1],
                Self.ownGoal,
                own[own.count / 2] <= Self.ownGoal ? "met" : "missed"
            )
        )
        return median.arrival
    }

    static func measure(_ field: RunningField) throws -> SetupTimeline {
        // The gateway's candidates by the relays are there a moment after connecting.
        _ = Lab.waits(seconds: 2) { !field.client.isRunning }
        let network = field.network
        let captures = try SetupTimeline.Captures(
            on: [network.ada, network.portal, network.sites[0].gateways[0]]
        )
        let sender = try network.ada.write("send.py", send)
        let sent = try network.ada.run("python3", sender, FieldNetwork.name)
        guard sent.code == 0 else {
            throw LabError("The first connection failed: \(sent.output)\n\(field.logs)")
        }
        return try captures.timeline()
    }

    /// Looks the name up, then connects.
    private static let send = """
        import socket, sys
        address = socket.getaddrinfo(sys.argv[1], 80, socket.AF_INET, socket.SOCK_STREAM)[0][4]
        connection = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        connection.settimeout(10)
        connection.connect(address)
        """
}
