import Foundation
import Lab
import Testing

extension EndToEnd {
    @Suite("The client is killed")
    struct ClientKilledTests {
        static func proxies(_ host: LabHost) throws -> [String] {
            try ["A", "AAAA"].flatMap { type in
                try host.must("dig", "+short", "git.corp.example", type)
                    .split(separator: "\n").map(String.init)
            }.sorted()
        }

        @Test(
            "`culvert down` puts resolv.conf back, byte for byte; names keep their addresses",
            .timeLimit(.minutes(3))
        )
        func downAfterKill() throws {
            let demo = try RunningDemo("cvkill")
            defer { demo.remove() }
            let ada = demo.world.ada
            let original = """
                # the home router's own words
                nameserver 203.0.113.53
                nameserver 2001:db8::53
                options timeout:2 attempts:2

                """
            let ours = ada.resolverConfiguration
            #expect(ours.contains("nameserver 100.100.111."), "\(ours)")
            let before = try Self.proxies(ada)
            #expect(before.count == 8, "\(before)")

            demo.client.send(SIGKILL)
            #expect(demo.client.wait(seconds: 5))
            #expect(ada.resolverConfiguration == ours)
            let down = try Lab.run(
                ada.words([
                    executable, "down", "--state", Roles.state("client", on: ada),
                ])
            )
            #expect(down.code == 0, "\(down.output)")
            #expect(ada.resolverConfiguration == original)

            let again = try roles.startClient(on: ada)
            #expect(try Self.proxies(ada) == before)
            again.send(SIGKILL)
            #expect(again.wait(seconds: 5))
            let third = try roles.startClient(on: ada)
            #expect(try Self.proxies(ada) == before)
            third.stop()
            #expect(ada.resolverConfiguration == original)
        }
    }
}
