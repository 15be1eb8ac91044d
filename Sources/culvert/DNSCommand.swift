internal import ArgumentParser
internal import Bytes
internal import Client
internal import DNS
internal import Daemon
internal import Foundation
internal import IDNA

/// `culvert dns`.
struct DNSCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "dns",
        abstract: "What the stub resolver makes of a name, and emptying its cache.",
        discussion: "EXAMPLE\n  culvert dns query git.corp.example",
        subcommands: [DNSQueryCommand.self, DNSFlushCommand.self]
    )
}

/// `culvert dns query`.
struct DNSQueryCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "query",
        abstract: "Which rule decides about a name, why, and the answer.",
        discussion: """
            EXAMPLE
              culvert dns query git.corp.example
              culvert dns query corp.example MX --json
            """
    )

    @Argument(help: "The name.")
    var name: String
    @Argument(help: "The type of records: A, AAAA, MX, TXT, TYPE65 …")
    var type = "A"
    @OptionGroup var option: ClientOption
    @Flag(help: "Print JSON.")
    var json = false

    func run() async throws {
        let ascii: String
        do { ascii = try IDNA.ascii(name) } catch {
            throw Sentence(
                "“\(error.label)” cannot be part of a name: \(error.words).",
                exit: .usedWrongly
            )
        }
        let path =
            "/api/v1/dns/query?name=\(PortalPath.escape(ascii))"
            + "&type=\(PortalPath.escape(type.uppercased()))"
        let (answer, text) = try await option.ask("GET", path, as: DNSAnswer.self)
        guard !json else { return print(text) }
        for sentence in answer.explanation.sentences { print(sentence) }
        for line in answer.lines { print(line) }
    }
}

/// `culvert dns flush`.
struct DNSFlushCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "flush",
        abstract: "Forget forwarded answers, here and in the host's own caches.",
        discussion: "EXAMPLE\n  culvert dns flush"
    )

    @OptionGroup var option: ClientOption

    func run() async throws {
        _ = try await option.ask("POST", "/api/v1/dns/flush", as: [String: Bool].self)
        print("Forwarded answers are forgotten; names keep their proxy addresses.")
    }
}

/// What `GET /api/v1/dns/query` of a client answers.
struct DNSAnswer: Codable, Sendable {
    /// Which rule decides, and why.
    var explanation: QueryExplanation
    /// The response code's mnemonic; nil: no answer came.
    var code: String?
    /// The answer's records, as zone files have them.
    var answers: [String]
    /// Extended errors (RFC 8914): number, and text where there is one.
    var errors: [String]

    /// - Parameters:
    ///   - explanation: Which rule decides.
    ///   - bytes: The answer; nil when none came.
    init(_ explanation: QueryExplanation, _ bytes: [UInt8]?) {
        self.explanation = explanation
        let message = bytes.flatMap { try? Message($0.rawSpan) }
        code = message?.responseCode.description
        answers = (message?.answers ?? []).map(RecordText.line)
        errors = (message?.edns?.extendedErrors ?? []).map {
            $0.text.isEmpty ? "\($0.code)" : "\($0.code) (\($0.text))"
        }
    }

    /// What a person reads.
    var lines: [String] {
        guard let code else { return ["No answer came in time."] }
        let head = "\(code), \(answers.count) record\(answers.count == 1 ? "" : "s")"
        return [head] + answers.map { "  \($0)" } + errors.map { "  extended error \($0)" }
    }
}
