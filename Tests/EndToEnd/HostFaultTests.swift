import Foundation
import Lab
import Testing

extension EndToEnd {
    @Suite("What a host lacks is said in words, and nothing half applied is left")
    struct HostFaultTests {
        struct Case: Sendable, CustomTestStringConvertible {
            let testDescription: String
            let role: String
            let lack: [String]
            let sentence: String
        }

        static let cases = [
            Case(
                testDescription: "a gateway without privilege",
                role: "gateway",
                lack: Lack.privilege,
                sentence: "CAP_NET_ADMIN. Start as root"
            ),
            Case(
                testDescription: "a client without privilege",
                role: "client",
                lack: Lack.privilege,
                sentence: "CAP_NET_ADMIN. Start as root"
            ),
            Case(
                testDescription: "a gateway without a tunnel device",
                role: "gateway",
                lack: Lack.tunnelDevice,
                sentence: "There is no /dev/net/tun"
            ),
            Case(
                testDescription: "a client without a tunnel device",
                role: "client",
                lack: Lack.tunnelDevice,
                sentence: "There is no /dev/net/tun"
            ),
            Case(
                testDescription: "a gateway without nftables",
                role: "gateway",
                lack: Lack.nftables,
                sentence: "Install the package nftables"
            ),
        ]

        @Test("exit code 1 and one sentence at the end", .timeLimit(.minutes(2)))
        func lacks() throws {
            let world = try FaultWorld("cvlack")
            defer { world.remove() }
            for row in Self.cases {
                let before = try world.hostState()
                let outcome = try world.host.run(row.lack + world.words(row.role))
                #expect(outcome.code == 1, "\(row.testDescription): \(outcome.output)")
                let last = outcome.output.trimmed.split(separator: "\n").last ?? ""
                #expect(last.contains(row.sentence), "\(row.testDescription): \(outcome.output)")
                #expect(try world.hostState() == before, "\(row.testDescription)")
            }
        }

        @Test("a client without nftables says what that costs, and connects")
        func clientWithoutFirewall() throws {
            let world = try FaultWorld("cvnonf")
            defer { world.remove() }
            let before = try world.hostState()
            let client = try world.host.start("client", Lack.nftables + world.words("client"))
            try client.waitForOutput("connected to the portal")
            #expect(client.output.contains("replies may be lost where rp_filter is strict"))
            #expect(client.output.contains("Install the package nftables"))
            client.stop()
            #expect(try world.hostState() == before)
        }

        @Test("a taken port: the gateway takes another one and says so; its metrics cannot")
        func takenPorts() throws {
            let world = try FaultWorld("cvport")
            defer { world.remove() }
            let before = try world.hostState()
            let squatter = try world.host.start(
                "squatter",
                [
                    "python3", "-u", "-c",
                    """
                    import socket, time
                    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
                    udp.bind(("0.0.0.0", 51830))
                    tcp = socket.create_server(("127.0.0.1", 9464))
                    print("bound")
                    time.sleep(600)
                    """,
                ]
            )
            try squatter.waitForOutput("bound")
            let refused = try world.host.run(world.words("gateway"))
            #expect(refused.code == 1, "\(refused.output)")
            #expect(
                refused.output.contains("127.0.0.1:9464 is taken by another program; stop it"),
                "\(refused.output)"
            )
            let gateway = try world.host.start(
                "gateway",
                world.words("gateway", "--metrics-port", "0")
            )
            try gateway.waitForOutput("connected to the portal")
            #expect(gateway.output.contains("UDP port 51830 is in use by another program; using"))
            gateway.stop()
            #expect(try world.hostState() == before)
        }

        @Test("a portal that may not listen there, or is told nonsense, says so")
        func portalListening() throws {
            let network = try Network(name: "cvlist")
            defer { network.remove() }
            let host = try network.host("portal")
            func portal(_ listen: String, lack: [String] = []) throws -> Outcome {
                try host.run(
                    lack + [
                        executable, "portal", "--listen", listen, "--url",
                        "https://portal.example", "--state", host.folder + "/state",
                    ]
                )
            }
            let privileged = try portal(":443", lack: Lack.privilege)
            #expect(privileged.code == 1, "\(privileged.output)")
            #expect(privileged.output.contains("Listening on :443 is not permitted"))
            let foreign = try portal("198.51.100.1:8443")
            #expect(foreign.code == 1, "\(foreign.output)")
            #expect(foreign.output.contains("198.51.100.1:8443 is no address of this machine"))
            let nonsense = try portal("nonsense")
            #expect(nonsense.code == 2, "\(nonsense.output)")
            #expect(nonsense.output.contains("is no address to listen on"))
        }
    }
}
