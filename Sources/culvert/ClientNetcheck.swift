internal import ArgumentParser
internal import Client
internal import Control
internal import Foundation
internal import IP
internal import RelayUse

/// `culvert netcheck`.
struct NetcheckCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "netcheck",
        abstract: "NAT kind, relays, round trips, IPv6, UDP blocked?",
        discussion: """
            Asks the running client, which keeps its relays under watch all the time, and lets two \
            of them try what is let in from outside, for a few seconds. Exit code 1 \
            means that UDP is blocked or no relay answers, 4 that there is no client.

            EXAMPLE
              culvert netcheck
              culvert netcheck --json
            """
    )

    @OptionGroup var option: ClientOption
    @Flag(help: "Print JSON.")
    var json = false

    func run() async throws {
        let (check, text) = try await option.ask(
            "GET",
            "/api/v1/netcheck",
            as: NetworkCheck.self
        )
        print(json ? text : NetcheckText.render(check))
        guard check.udp == .works else { throw ExitCode(1) }
    }
}

/// `culvert netcheck` as a person reads it.
enum NetcheckText {
    static func render(_ check: NetworkCheck) -> String {
        var lines = check.sentences
        lines += ["", StatusText.table(["", "IPV4", "IPV6"], facts(check))]
        if !check.relays.isEmpty { lines += ["", StatusText.relays(check.relays)] }
        if !check.candidates.isEmpty {
            let rows = check.candidates.map { [$0.kind.rawValue, "\($0.endpoint)"] }
            lines += ["", StatusText.table(["REACHED AS", "ADDRESS"], rows)]
        }
        return lines.joined(separator: "\n")
    }

    private static func facts(_ check: NetworkCheck) -> [[String]] {
        func word(_ filtering: FilteringCheck.Filtering?) -> String {
            (filtering ?? .unknown).rawValue
        }
        func mapped(_ isIPv4: Bool) -> String {
            let own = check.mapped.filter { $0.address.isIPv4 == isIPv4 }
            return own.isEmpty ? "–" : own.map(\.description).joined(separator: ", ")
        }
        return [
            ["reaches relays by UDP", check.ipv4.rawValue, check.ipv6.rawValue],
            ["NAT maps", check.mappingIPv4.rawValue, check.mappingIPv6.rawValue],
            ["lets in", word(check.filteringIPv4), word(check.filteringIPv6)],
            ["seen as", mapped(true), mapped(false)],
        ]
    }
}
