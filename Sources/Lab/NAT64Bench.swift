internal import Foundation

/// A translator between two hosts, one with IPv6 only, one with IPv4 only: ours against Debian's
/// tayga, by turns in one run. Neither keeps flows, and nothing is encrypted.
///
///     left (IPv6) ── middle: translator ── right (IPv4)
public struct NAT64Bench {
    /// How many times as fast as tayga ours is to be.
    public static let goal = 3.0

    private let executable: String
    private let runs: Int
    private let seconds: Int

    public init(executable: String, runs: Int, seconds: Int) {
        (self.executable, self.runs, self.seconds) = (executable, runs, seconds)
    }

    /// One run of one translator.
    private struct Figure {
        /// Of one TCP stream, in Gbit/s.
        let gigabits: Double
        /// Datagrams of 64 bytes that arrive, in thousands a second.
        let thousands: Double
        /// Of the TCP stream, on the whole machine.
        let secondsPerGigabyte: Double
    }

    /// Runs it and prints the table.
    ///
    /// - Throws: ``LabError`` when a translator does not start or nothing comes through.
    public func run(say: (String) -> Void) throws {
        say("nat64: IPv6 to IPv4 through one translator, MTU 1500, \(runs) alternating runs")
        var ours: [Figure] = []
        var theirs: [Figure] = []
        for number in 1...runs {
            ours.append(try measure("cvno") { try $0.startOurs(executable) })
            theirs.append(try measure("cvnt") { try $0.startTayga() })
            say(
                "  run \(number): TCP \(Measure.text(ours[number - 1].gigabits)) and "
                    + "\(Measure.text(theirs[number - 1].gigabits)) Gbit/s; datagrams "
                    + "\(Measure.text(ours[number - 1].thousands)) and "
                    + "\(Measure.text(theirs[number - 1].thousands)) thousand/s"
            )
        }
        say("")
        say("| what | ours | tayga | ratio (min–max) | goal |")
        say("|---|---|---|---|---|")
        let rows: [(String, KeyPath<Figure, Double>, String)] = [
            ("TCP, one stream, Gbit/s", \.gigabits, "≥ \(Measure.text(Self.goal))"),
            ("datagrams of 64 bytes, thousand/s", \.thousands, ""),
            ("CPU seconds a GB of TCP", \.secondsPerGigabyte, ""),
        ]
        for (what, path, goal) in rows {
            let (a, b) = (ours.map { $0[keyPath: path] }, theirs.map { $0[keyPath: path] })
            let ratios = zip(a, b).map { $0 / $1 }.sorted()
            say(
                "| \(what) | \(Measure.text(Measure.median(a))) "
                    + "| \(Measure.text(Measure.median(b))) "
                    + "| \(Measure.text(Measure.median(ratios))) (\(Measure.text(ratios[0]))–"
                    + "\(Measure.text(ratios[ratios.count - 1]))) | \(goal) |"
            )
        }
        say("")
        say("machine: \(Measure.machine)")
    }

    private func measure(_ name: String, _ start: (NAT64Path) throws -> Void) throws -> Figure {
        let path = try NAT64Path(name: name)
        defer { path.remove() }
        try start(path)
        try path.waitUntilOpen()
        let before = Measure.busySeconds()
        let stream = try path.transfer([], seconds: seconds)
        let busy = Measure.busySeconds() - before
        let datagrams = try path.transfer(
            ["-u", "-b", "0", "-l", "64"],
            seconds: seconds
        )
        return Figure(
            gigabits: stream.bitsPerSecond / 1e9,
            thousands: datagrams.bitsPerSecond / 8 / 64 / 1e3,
            secondsPerGigabyte: busy / (stream.byteCount / 1e9)
        )
    }
}

/// The two hosts and the one between them.
private struct NAT64Path {
    private static let device = "nat64"
    private static let left = (ipv4: "192.0.2.10", ipv6: "2001:db8:1::10")
    private static let right = (ipv4: "198.51.100.20", ipv6: "2001:db8:2::20")

    private let network: Network
    private let left: LabHost
    private let middle: LabHost
    private let right: LabHost

    init(name: String) throws {
        network = try Network(name: name)
        do {
            left = try network.host("left")
            middle = try network.host("middle")
            right = try network.host("right")
            for (host, port) in [(left, "left0"), (right, "right0")] {
                try Lab.must([
                    "ip", "link", "add", "eth0", "netns", host.namespace, "type", "veth", "peer",
                    "name", port, "netns", middle.namespace,
                ])
            }
            try left.address("eth0", ["\(Self.left.ipv6)/64"])
            try middle.address("left0", ["2001:db8:1::1/64"])
            try right.address("eth0", ["\(Self.right.ipv4)/24"])
            try middle.address("right0", ["198.51.100.1/24"])
            try left.must("ip", "-6", "route", "add", "default", "via", "2001:db8:1::1")
            try right.must("ip", "route", "add", "default", "via", "198.51.100.1")
            try middle.must(
                "sysctl",
                "-qw",
                "net.ipv4.ip_forward=1",
                "net.ipv6.conf.all.forwarding=1"
            )
        } catch {
            network.remove()
            throw error
        }
    }

    func remove() { network.remove() }

    func startOurs(_ executable: String) throws {
        let ours = try middle.start(
            "nat64",
            [
                executable, "lab", "nat64", "--device", Self.device, "--map",
                "\(Self.left.ipv4)=\(Self.left.ipv6)", "--map",
                "\(Self.right.ipv4)=\(Self.right.ipv6)",
            ]
        )
        try ours.waitForOutput("ready")
        try route()
    }

    func startTayga() throws {
        let configuration = try middle.write(
            "tayga.conf",
            """
            tun-device \(Self.device)
            ipv4-addr \(Tayga.own.ipv4)
            ipv6-addr \(Tayga.own.ipv6)
            map \(Self.left.ipv4) \(Self.left.ipv6)
            map \(Self.right.ipv4) \(Self.right.ipv6)
            """
        )
        try middle.must("tayga", "--mktun", "-c", configuration)
        try middle.must("ip", "link", "set", Self.device, "mtu", "1500", "up")
        try Tayga.run(on: middle, configuration, device: Self.device)
        try route()
    }

    private func route() throws {
        try middle.must("ip", "route", "add", "\(Self.left.ipv4)/32", "dev", Self.device)
        try middle.must("ip", "-6", "route", "add", "\(Self.right.ipv6)/128", "dev", Self.device)
    }

    func waitUntilOpen() throws {
        let answers = try Lab.waits(seconds: 10) {
            try left.run("ping", "-c1", "-W1", Self.right.ipv6).code == 0
        }
        guard answers else { throw LabError("Nothing comes through the translator.") }
    }

    /// What iperf3 saw arrive.
    func transfer(_ words: [String], seconds: Int) throws -> IPerf.Outcome {
        try IPerf.run(
            from: left,
            to: Self.right.ipv6,
            on: right,
            listening: Self.right.ipv4,
            words: words,
            seconds: seconds
        )
    }
}
