internal import Foundation

/// A thousand connected clients that have nothing to say: what that costs their gateway.
///
/// The clients are real cores with sessions of their own at a real portal, in one process
/// (`culvert lab crowd`); the gateway is the real role. Processor time is the kernel's account of
/// the gateway's process; keepalives are the datagrams that the crowd counts.
public struct IdleBench {
    /// The share of one processor that the gateway may use.
    public static let goal = 0.01

    private let executable: String
    private let clients: Int
    private let minutes: Double

    public init(executable: String, clients: Int, minutes: Double) {
        (self.executable, self.clients, self.minutes) = (executable, clients, minutes)
    }

    /// Runs it and prints a line.
    ///
    /// - Returns: The share of one processor that the gateway used.
    /// - Throws: ``LabError`` when not all clients connect, or some go.
    @discardableResult
    public func run(say: (String) -> Void) throws -> Double {
        let network = try Network(name: "cvidle")
        defer { network.remove() }
        let roles = Roles(executable: executable)
        let portal = try network.host("portal")
        try portal.bridge(addresses: ["203.0.113.10/24"])
        let hosts = try [("gateway", 20), ("crowd", 30)].map { title, number in
            let host = try network.host(title)
            try network.attach(host, to: portal, addresses: ["203.0.113.\(number)/24"])
            try host.resolvers("nameserver 203.0.113.10\n")
            return host
        }
        let (gatewayHost, crowdHost) = (hosts[0], hosts[1])
        _ = try Servers.unbound(
            on: portal,
            listening: ["203.0.113.10"],
            records: ["portal.example. 60 IN A 203.0.113.10"]
        )
        _ = try roles.portal(on: portal)
        let people = (0..<(clients + 249) / 250).map { "person\($0)@example.com" }
        try roles.apply(Self.configuration(people), portal: portal)
        let gateway = try roles.gateway(on: gatewayHost, site: "headquarters", portal: portal)
        var words = [
            executable, "lab", "crowd", "--count", "\(clients)", "--address", "203.0.113.30",
            "--target", "10.20.0.80",
        ]
        for (index, person) in people.enumerated() {
            let token = try roles.ask(portal: portal, "token", "--client", person)
            words += ["--token-file", try crowdHost.write("\(index).token", token)]
        }
        let crowd = try crowdHost.start("crowd", words)
        try crowd.waitForOutput("connected=\(clients) ", seconds: 180)
        say("idle: \(clients) clients are connected; \(Int(minutes * 60)) s of silence begin")
        // What connecting left to do is done by then.
        _ = Lab.waits(seconds: 30) { !crowd.isRunning }
        let (secondsBefore, before) = (
            try Measure.processorSeconds(of: gateway.identifier), try counts(crowd)
        )
        let start = ContinuousClock.now
        _ = Lab.waits(seconds: minutes * 60) { !crowd.isRunning || !gateway.isRunning }
        let seconds = (ContinuousClock.now - start).inSeconds
        let share = (try Measure.processorSeconds(of: gateway.identifier) - secondsBefore) / seconds
        let after = try counts(crowd)
        say(
            String(
                format: "| idle, %d clients, %.0f s | %.2f %% of a core | goal < %.0f %% | %@ |",
                clients,
                seconds,
                share * 100,
                Self.goal * 100,
                share < Self.goal ? "met" : "missed"
            )
        )
        for way in ["sent", "received"] {
            let figures = ["keepalives", "handshakes", "others"].map { kind in
                let key = "\(way)-\(kind)"
                let number = Double(after[key, default: 0] - before[key, default: 0])
                return String(format: "%.2f \(kind)", number / Double(clients) / (seconds / 25))
            }
            say("\(way) by a client in 25 s: \(figures.joined(separator: ", "))")
        }
        guard after["connected"] == clients else {
            throw LabError("Only \(after["connected"] ?? 0) clients are connected at the end.")
        }
        return share
    }

    private static func configuration(_ people: [String]) -> String {
        """
        account: Example
        sites:
          - name: headquarters
        resources:
          - name: Network
            address: 10.20.0.0/24
            site: headquarters
        groups:
          - name: Everybody
            members: [\(people.joined(separator: ", "))]
        policies:
          - group: Everybody
            resource: Network

        """
    }

    /// The numbers of the crowd's last line.
    private func counts(_ crowd: Running) throws -> [String: Int] {
        let words = crowd.output.split(separator: "\n").last?.split(separator: " ") ?? []
        let pairs = words.compactMap { word -> (String, Int)? in
            let parts = word.split(separator: "=")
            guard parts.count == 2, let number = Int(parts[1]) else { return nil }
            return (String(parts[0]), number)
        }
        guard pairs.count == 7 else {
            throw LabError("The crowd says nothing: \(crowd.output.suffix(500))")
        }
        return Dictionary(uniqueKeysWithValues: pairs)
    }
}
