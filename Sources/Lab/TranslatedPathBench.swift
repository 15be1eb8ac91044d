internal import Foundation

/// What translation costs the whole way: a client's TCP streams to a server that has one family
/// only, by the proxy address of the other family against that of its own, by turns in one run.
public struct TranslatedPathBench {
    /// How many times as fast as the untranslated path the translated one is to be.
    public static let goal = 0.9

    private let executable: String
    private let runs: Int
    private let seconds: Int

    public init(executable: String, runs: Int, seconds: Int) {
        (self.executable, self.runs, self.seconds) = (executable, runs, seconds)
    }

    /// A server by both families of proxy addresses.
    private struct Server {
        let title: String
        let name: String
        /// Where it listens.
        let address: String
        /// The type of its own record, and the one of the other family.
        let own: String
        let other: String
    }

    private static let servers = [
        Server(
            title: "IPv6 to an IPv4 server",
            name: "four.corp.example",
            address: OneWire.server,
            own: "A",
            other: "AAAA"
        ),
        Server(
            title: "IPv4 to an IPv6 server",
            name: "six.corp.example",
            address: "fd20::80",
            own: "AAAA",
            other: "A"
        ),
    ]

    /// Streams, and which way the bytes go.
    private static let loads = [
        (title: "one stream up", words: []),
        (title: "one stream down", words: ["-R"]),
        (title: "eight streams up", words: ["-P", "8"]),
        (title: "eight streams down", words: ["-P", "8", "-R"]),
    ]

    /// Runs it and prints the table.
    ///
    /// - Throws: ``LabError`` when something does not start, or nothing comes through.
    public func run(say: (String) -> Void) throws {
        let wire = try OneWire(
            name: "cvtp",
            executable: executable,
            records: Self.servers.map { "\($0.name). 60 IN \($0.own) \($0.address)" },
            siteAddresses: ["fd20::80/64"],
            configuration: FamilyCheck.configuration
        )
        defer { wire.remove() }
        say("")
        say("tunnel: client, gateway with NAT, site; TCP, \(runs) alternating runs of \(seconds) s")
        say("")
        say("| what | Gbit/s translated | untranslated | ratio (min–max) | goal |")
        say("|---|---|---|---|---|")
        for server in Self.servers {
            // A host that asks for the other family only is told where that is.
            let translated = try Self.proxy(of: server, server.other, wire)
            let plain = try Self.proxy(of: server, server.own, wire)
            for load in Self.loads {
                var rates: (translated: [Double], plain: [Double]) = ([], [])
                for _ in 0..<runs {
                    rates.translated.append(try rate(server, translated, load.words, wire))
                    rates.plain.append(try rate(server, plain, load.words, wire))
                }
                let columns = Self.columns(rates.translated, rates.plain)
                say("| \(server.title), \(load.title) \(columns)")
            }
        }
    }

    private static func columns(_ translated: [Double], _ plain: [Double]) -> String {
        let ratios = zip(translated, plain).map { $0 / $1 }.sorted()
        let median = Measure.median(ratios)
        let spread = "\(Measure.text(ratios[0]))–\(Measure.text(ratios[ratios.count - 1]))"
        return "| \(Measure.text(Measure.median(translated))) "
            + "| \(Measure.text(Measure.median(plain))) | \(Measure.text(median)) (\(spread)) "
            + "| ≥ \(goal), \(median >= goal ? "met" : "missed") |"
    }

    private static func proxy(
        of server: Server,
        _ type: String,
        _ wire: OneWire
    ) throws -> String {
        let answer = try wire.ada.must("dig", "+short", "+tries=3", server.name, type)
        guard let first = answer.split(separator: "\n").first else {
            throw LabError("\(server.name) has no \(type) for a host that asks for nothing else.")
        }
        return String(first)
    }

    /// Gbit/s of one run.
    private func rate(
        _ server: Server,
        _ address: String,
        _ words: [String],
        _ wire: OneWire
    ) throws -> Double {
        try IPerf.run(
            from: wire.ada,
            to: address,
            on: wire.site,
            listening: server.address,
            words: words,
            seconds: seconds
        ).bitsPerSecond / 1e9
    }
}
