internal import Foundation

/// The client's resolver against those that people know, by `dnsperf`, on one host with the same
/// upstream, by turns in one run.
public struct DNSBench {
    /// How many times the best of the others ours must answer.
    public static let goal = 1.5

    private enum Limits {
        /// Names that are asked again and again.
        static let names = 1_000
        /// Names that are asked once, in one run.
        static let newNames = 400_000
        /// Answers, in the order in which they came, of which one percentile is taken.
        static let piece = 1_000
        /// Queries a second when latency is what matters.
        static let rate = 10_000
        /// What ours may lose of a run, as a share.
        static let loss = 0.001
        /// What others may: dnsmasq closes a connection after 100 queries, whatever is under way.
        static let lossOfOthers = 0.5
    }

    private let executable: String
    private let runs: Int
    private let seconds: Int

    public init(executable: String, runs: Int, seconds: Int) {
        (self.executable, self.runs, self.seconds) = (executable, runs, seconds)
    }

    /// What is asked.
    private struct Work {
        let title: String
        let zone: String
        let isStream: Bool
        /// Whether each name is asked once only.
        let isNew: Bool
    }

    private static let works = [
        Work(title: "protected, UDP", zone: "corp.example", isStream: false, isNew: false),
        Work(title: "cached, UDP", zone: "bench.example", isStream: false, isNew: false),
        Work(title: "uncached, UDP", zone: "bench.example", isStream: false, isNew: true),
        Work(title: "protected, TCP", zone: "corp.example", isStream: true, isNew: false),
        Work(title: "cached, TCP", zone: "bench.example", isStream: true, isNew: false),
        Work(title: "uncached, TCP", zone: "bench.example", isStream: true, isNew: true),
    ]

    /// A resolver under test.
    private struct Server {
        let title: String
        let address: String
        let process: Int32
    }

    private struct Figure {
        let perSecond: Double
        let microseconds: Double
    }

    /// Runs it and prints the tables.
    ///
    /// - Throws: ``LabError`` when a server answers wrongly or loses queries.
    public func run(say: (String) -> Void) throws {
        let world = try RunningDNS(
            name: "cvdb",
            executable: executable,
            setting: RunningDNS.Setting(
                hostResolvers: "nameserver \(DNSPeers.upstream)\n",
                prepare: DNSPeers.startUpstream
            )
        )
        defer { world.remove() }
        let ada = world.network.ada
        guard let sentinel = world.sentinels.first else { throw LabError("There is no sentinel.") }
        let peers = try DNSPeers.start(on: ada).map { peer in
            Server(title: peer.title, address: peer.address, process: peer.identifier)
        }
        let servers =
            [Server(title: "ours", address: sentinel, process: world.client.identifier)] + peers
        say(
            "dns: dnsperf on the client's host, \(runs) alternating runs of \(seconds) s, "
                + "200 queries under way"
        )
        say("")
        let titles = servers.map(\.title).joined(separator: " | ")
        say(
            "| answers a second | \(titles) | ours to the best (min–max) | goal | µs of CPU each |"
        )
        say("|---|" + String(repeating: "---|", count: servers.count + 3))
        for work in Self.works { say(try throughput(work, servers, ada)) }
        say("")
        say(
            "99th percentiles: the median of those of each \(Limits.piece) answers that came one "
                + "after the other, so that what disturbs the machine now and then does not decide"
        )
        say("")
        say("| 99th percentile at \(Limits.rate) a second, µs | \(titles) | goal |")
        say("|---|" + String(repeating: "---|", count: servers.count + 1))
        for work in Self.works where !work.isStream {
            say(try latency(work, servers, ada))
        }
        say("")
        say("machine: \(Measure.machine)")
    }

    // MARK: - Throughput

    private func throughput(_ work: Work, _ servers: [Server], _ host: LabHost) throws -> String {
        for server in servers { try Self.check(work, server, host) }
        var figures: [String: [Figure]] = [:]
        for number in 0..<runs {
            for server in servers {
                let path = try names(work, "r\(number)\(server.title)", host)
                let before = try Measure.processorSeconds(of: server.process)
                let outcome = try perform(work, server, path, host, [], seconds: seconds)
                let used = try Measure.processorSeconds(of: server.process) - before
                let answered = try Self.number("Queries completed:", in: outcome)
                let rate = try Self.number("Queries per second:", in: outcome)
                figures[server.title, default: []].append(
                    Figure(perSecond: rate, microseconds: used / answered * 1e6)
                )
            }
        }
        let ours = figures["ours"] ?? []
        let others = servers.dropFirst().map(\.title)
        // The best is who is best in the median, the same for every run.
        let best = others.max { left, right in
            Self.median(figures[left], \.perSecond) < Self.median(figures[right], \.perSecond)
        }
        let ratios = zip(ours, figures[best ?? ""] ?? []).map { $0.perSecond / $1.perSecond }
            .sorted()
        let rates = servers.map {
            String(format: "%.0f", Self.median(figures[$0.title], \.perSecond))
        }
        let costs = servers.map {
            String(format: "%.1f", Self.median(figures[$0.title], \.microseconds))
        }
        let ratio = Measure.median(ratios)
        return "| \(work.title) | \(rates.joined(separator: " | ")) | \(Measure.text(ratio)) "
            + "(\(Measure.text(ratios[0]))–\(Measure.text(ratios[ratios.count - 1]))) "
            + "of \(best ?? "?") | \(ratio >= Self.goal ? "met" : "≥ \(Self.goal)") "
            + "| \(costs.joined(separator: ", ")) |"
    }

    private static func median(_ figures: [Figure]?, _ value: (Figure) -> Double) -> Double {
        Measure.median((figures ?? []).map(value) + (figures == nil ? [0] : []))
    }

    // MARK: - Latency

    private func latency(_ work: Work, _ servers: [Server], _ host: LabHost) throws -> String {
        var figures: [String: [Double]] = [:]
        for number in 0..<runs {
            for server in servers {
                let path = try names(work, "l\(number)\(server.title)", host)
                let rate = ["-v", "-Q", "\(Limits.rate)"]
                let outcome = try perform(work, server, path, host, rate, seconds: 1)
                let times = outcome.split(separator: "\n").compactMap { line -> Double? in
                    guard line.hasPrefix("> ") else { return nil }
                    return line.split(separator: " ").last.flatMap { Double($0) }
                }
                guard times.count > Limits.piece else {
                    throw LabError("dnsperf tells no times: \(outcome.prefix(500))")
                }
                figures[server.title, default: []] += Self.percentiles(times)
            }
        }
        let medians = servers.map { Measure.median(figures[$0.title] ?? [0]) }
        let best = medians.dropFirst().min() ?? 0
        let words = medians.map { String(format: "%.0f", $0) }.joined(separator: " | ")
        return "| \(work.title) | \(words) | \(medians[0] <= best ? "met" : "≤ \(Int(best))") |"
    }

    /// The 99th percentile of each whole piece, in µs.
    private static func percentiles(_ times: [Double]) -> [Double] {
        stride(from: 0, through: times.count - Limits.piece, by: Limits.piece).map { start in
            let piece = times[start..<start + Limits.piece].sorted()
            return piece[Limits.piece * 99 / 100] * 1e6
        }
    }

    // MARK: - Asking

    /// The answer to one question must be there before anything is timed.
    private static func check(_ work: Work, _ server: Server, _ host: LabHost) throws {
        let way = work.isStream ? "+tcp" : "+notcp"
        let words = ["dig", way, "+short", "@\(server.address)", "n1.\(work.zone)", "A"]
        let answer = try host.run(words, seconds: 20).output.trimmed
        let wanted = work.zone == "corp.example" ? #/100\.96\.|10\.0\.0\.1/# : #/^192\.0\.2\.1$/#
        guard answer.contains(wanted) else {
            throw LabError("\(server.title) says \(answer.debugDescription) to \(words)")
        }
    }

    /// A file of names for dnsperf.
    private func names(_ work: Work, _ prefix: String, _ host: LabHost) throws -> String {
        let count = work.isNew ? Limits.newNames : Limits.names
        var text = ""
        text.reserveCapacity(count * 40)
        for number in 0..<count {
            text += "\(work.isNew ? prefix : "")n\(number).\(work.zone) A\n"
        }
        return try host.write("names.txt", text)
    }

    private func perform(
        _ work: Work,
        _ server: Server,
        _ path: String,
        _ host: LabHost,
        _ more: [String],
        seconds: Int
    ) throws -> String {
        var words = ["dnsperf", "-s", server.address, "-d", path, "-l", "\(seconds)", "-t", "2"]
        words += ["-c", "4", "-q", "200", "-m", work.isStream ? "tcp" : "udp"]
        if work.isNew { words += ["-n", "1"] }
        let outcome = try host.run(words + more, seconds: Double(seconds) + 20)
        guard outcome.code == 0 else {
            throw LabError("dnsperf ended with \(outcome.code): \(outcome.output.suffix(1_000))")
        }
        let sent = try Self.number("Queries sent:", in: outcome.output)
        let lost = try Self.number("Queries lost:", in: outcome.output)
        let allowed = server.title == "ours" ? Limits.loss : Limits.lossOfOthers
        let good = outcome.output.contains("NOERROR")
        guard good, sent > 100, lost / sent <= allowed else {
            throw LabError(
                "\(server.title), \(work.title): \(Int(lost)) of \(Int(sent)) queries are lost:\n"
                    + outcome.output.suffix(1_200)
            )
        }
        return outcome.output
    }

    /// The number behind a word of dnsperf's report.
    static func number(_ key: String, in output: String) throws -> Double {
        let line = output.split(separator: "\n").last { $0.contains(key) }
        let words = line?.split(separator: ":").last?.split(separator: " ") ?? []
        guard let word = words.first, let number = Double(word) else {
            throw LabError("dnsperf does not say \(key) \(output.suffix(1_000))")
        }
        return number
    }
}
