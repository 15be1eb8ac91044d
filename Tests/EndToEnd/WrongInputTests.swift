import Foundation
import Lab
import Testing

extension EndToEnd {
    @Suite("Wrong input is answered with one sentence: what, where, what to do")
    struct WrongInputTests {
        struct Case: Sendable, CustomTestStringConvertible {
            let testDescription: String
            let words: [String]
            let code: Int32
            let sentence: String
        }

        static let folder = NSTemporaryDirectory() + "culvert-wrong-\(getpid())"

        static let cases = [
            Case(
                testDescription: "an unknown flag",
                words: ["status", "--colour"],
                code: 2,
                sentence: "--colour"
            ),
            Case(
                testDescription: "an unknown command",
                words: ["stauts"],
                code: 2,
                sentence: "stauts"
            ),
            Case(
                testDescription: "no token",
                words: ["gateway"],
                code: 2,
                sentence: "starts from a token"
            ),
            Case(
                testDescription: "a token file that is not there",
                words: ["client", "--token-file", "/nowhere/token"],
                code: 2,
                sentence: "/nowhere/token cannot be read"
            ),
            Case(
                testDescription: "a token that is none",
                words: ["client", "--token-file", "\(folder)/nonsense"],
                code: 2,
                sentence: "a token begins with"
            ),
            Case(
                testDescription: "a setting that does not exist",
                words: ["gateway", "--config", "\(folder)/unknown.yaml"],
                code: 2,
                sentence: "unknown.yaml:2:1: there is no setting"
            ),
            Case(
                testDescription: "a level that does not exist",
                words: [
                    "gateway", "--config", "\(folder)/empty.yaml", "--log-level", "loud",
                    "--token-file", "/nowhere",
                ],
                code: 2,
                sentence: "--log-level is"
            ),
            Case(
                testDescription: "no daemon",
                words: ["status", "--socket", "\(folder)/no.sock"],
                code: 4,
                sentence: "is the daemon running"
            ),
            Case(
                testDescription: "a portal's socket that is not there",
                words: ["export", "--socket", "\(folder)/no.sock"],
                code: 4,
                sentence: "is the daemon running"
            ),
            Case(
                testDescription: "a configuration that is not there",
                words: ["apply", "-f", "/nowhere/account.yaml", "--socket", "\(folder)/no.sock"],
                code: 2,
                sentence: "/nowhere/account.yaml"
            ),
            Case(
                testDescription: "a certificate without its key",
                words: [
                    "portal", "--url", "https://portal.example", "--state", "\(folder)/portal",
                    "--certificate", "/nowhere/certificate.pem",
                ],
                code: 2,
                sentence: "give both --certificate and --key"
            ),
            Case(
                testDescription: "a URL that is none",
                words: ["portal", "--url", "portal example", "--state", "\(folder)/portal"],
                code: 2,
                sentence: "not a URL like https://"
            ),
            Case(
                testDescription: "a portal without a URL",
                words: ["portal", "--state", "\(folder)/portal"],
                code: 2,
                sentence: "--url"
            ),
        ]

        @Test("refuses", arguments: cases)
        func refuses(_ row: Case) throws {
            try FileManager.default.createDirectory(
                atPath: Self.folder,
                withIntermediateDirectories: true
            )
            try Data("hello\n".utf8).write(to: URL(filePath: Self.folder + "/nonsense"))
            try Data().write(to: URL(filePath: Self.folder + "/empty.yaml"))
            try Data("# comment\nprot: 1\n".utf8)
                .write(to: URL(filePath: Self.folder + "/unknown.yaml"))
            let outcome = try Lab.run([executable] + row.words, seconds: 10)
            #expect(outcome.code == row.code, "\(outcome.output)")
            #expect(outcome.output.contains(row.sentence), "\(outcome.output)")
        }

        @Test("wrong configurations name file, line and column", .timeLimit(.minutes(2)))
        func configurations() throws {
            let network = try Network(name: "cvwr")
            defer { network.remove() }
            let host = try network.host("portal")
            _ = try roles.portal(on: host)
            let socket = Roles.socket("portal", on: host)
            for (text, place) in [
                ("sites:\n  - nme: berlin\n", ":2:5"),
                ("resources:\n  - name: Git\n    address: 'a..b'\n    site: x\n", ":3:14"),
                ("account: [\n", ":"),
            ] {
                let path = try host.write("wrong.yaml", text)
                let outcome = try host.run(
                    executable,
                    "apply",
                    "-f",
                    path,
                    "--socket",
                    socket
                )
                #expect(outcome.code == 2, "\(outcome.output)")
                #expect(outcome.output.contains("wrong.yaml\(place)"), "\(outcome.output)")
            }
        }

        @Test("a second portal on one port, or with one state folder, says so")
        func taken() throws {
            let network = try Network(name: "cvtk")
            defer { network.remove() }
            let host = try network.host("portal")
            _ = try roles.portal(on: host)
            let second = try host.run(
                executable,
                "portal",
                "--listen",
                "[::]:8443",
                "--url",
                "https://portal.example:8443",
                "--state",
                host.folder + "/second"
            )
            #expect(second.code == 1, "\(second.output)")
            #expect(second.output.contains("8443"), "\(second.output)")
            let same = try host.run(
                executable,
                "portal",
                "--listen",
                "[::]:8444",
                "--url",
                "https://portal.example:8444",
                "--state",
                Roles.state("portal", on: host)
            )
            #expect(same.code == 1, "\(same.output)")
        }
    }
}
