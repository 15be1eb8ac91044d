import Foundation
import Lab
import Testing

extension EndToEnd {
    @Suite("The rights that the client's unit leaves it")
    struct UnitRightsTests {
        /// The capabilities of the unit in the repository, as setpriv wants them.
        static func capabilities() throws -> String {
            let unit = URL(filePath: #filePath).deletingLastPathComponent()
                .deletingLastPathComponent().deletingLastPathComponent()
                .appending(path: "packaging/culvert-client.service")
            let text = try String(contentsOf: unit, encoding: .utf8)
            let line = try #require(text.firstMatch(of: #/CapabilityBoundingSet=(.*)/#))
            return line.1.split(separator: " ").map { name in
                "+" + name.dropFirst("CAP_".count).lowercased()
            }.joined(separator: ",")
        }

        @Test("are enough: names by UDP and TCP, and all put back", .timeLimit(.minutes(3)))
        func enough() throws {
            let demo = try RunningDemo("cvunit")
            defer { demo.remove() }
            let ada = demo.world.ada
            demo.client.stop()
            let original = ada.resolverConfiguration
            let state = Roles.state("client", on: ada)
            let confined = [
                "setpriv", "--bounding-set=-all,\(try Self.capabilities())", "--inh-caps=-all",
                "--no-new-privs", executable,
            ]
            let client = try ada.start(
                "client-of-unit",
                confined + [
                    "client", "--token-file", "\(ada.folder)/client.token", "--dns", "resolv.conf",
                    "--state", state,
                ]
            )
            #expect(try roles.command(on: ada, "status", "--wait", "20s").code == 0)
            for transport in ["+notcp", "+tcp"] {
                let answer = try ada.must("dig", transport, "+short", "git.corp.example")
                #expect(answer.contains("100.96.0."), "\(transport): \(answer)\n\(client.output)")
            }
            for family in ["-4", "-6"] {
                let page = try ada.run("curl", family, "-sm", "10", "http://git.corp.example/")
                #expect(page.output.contains("inside the site"), "\(page)\n\(client.output)")
            }
            #expect(!client.output.contains("error"), "\(client.output)")
            #expect(!client.output.contains("is off"), "\(client.output)")
            client.send(SIGKILL)
            #expect(client.wait(seconds: 5))
            #expect(ada.resolverConfiguration != original)
            let down = try ada.run(confined + ["down", "--state", state])
            #expect(down.code == 0, "\(down.output)")
            #expect(ada.resolverConfiguration == original)
            let rules = try ada.must("ip", "rule", "list")
            #expect(!rules.contains("17238"), "\(rules)")
            let tables = try ada.must("nft", "list", "tables")
            #expect(!tables.contains("culvert"), "\(tables)")
        }
    }
}
