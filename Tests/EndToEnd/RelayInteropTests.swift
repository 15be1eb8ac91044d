import Foundation
import Lab
import Testing

extension EndToEnd {
    @Suite("The relay with clients that are not ours")
    struct RelayInteropTests {
        @Test("turnutils_uclient loses nothing by UDP, TCP and TLS, in both families")
        func uclient() throws {
            let cases = [
                ("channels-by-udp", ["-e", "203.0.113.9"]),
                ("indications-by-udp", ["-s", "-e", "203.0.113.9"]),
                ("channels-by-tcp", ["-t", "-e", "203.0.113.9"]),
                ("indications-by-tcp", ["-t", "-s", "-e", "203.0.113.9"]),
                ("channels-by-tls", ["-t", "-S", "-p", "443", "-e", "203.0.113.9"]),
                ("client-to-client", ["-y"]),
                ("peer-of-ipv6", ["-x", "-e", "2001:db8::9"]),
                ("both-families", ["-Z", "-e", "203.0.113.9"]),
            ]
            let world = try RelayWorld("cvrel")
            defer { world.remove() }
            let peer = try world.peer.start(
                "peer",
                ["turnutils_peer", "-p", "3480", "-L", "203.0.113.9", "-L", "2001:db8::9"]
            )
            try world.relay()
            let running = try cases.map { name, words in
                try world.client.start(
                    name,
                    ["turnutils_uclient", "-u", name, "-W", RelayWorld.secret, "-n", "30"]
                        + ["-m", "2"] + words + [RelayWorld.relayAddress]
                )
            }
            for client in running {
                let output = { "\(client.title): \(client.output.suffix(2_000))" }
                #expect(client.wait(seconds: 60), "\(output())")
                #expect(client.code == 0, "\(output())")
                #expect(client.output.contains("Total lost packets 0 "), "\(output())")
            }
            #expect(peer.isRunning, "\(peer.output)")
        }

        @Test(
            "Python's aioice connects two agents through it, by relayed candidates alone",
            arguments: [("udp", 3_478), ("tcp", 3_478), ("tls", 443)]
        )
        func aioice(transport: String, port: Int) throws {
            let world = try RelayWorld("cvrel")
            defer { world.remove() }
            let relay = try world.relay()
            let script = try world.client.write("agents.py", Self.agents)
            let outcome = try world.client.run(
                [
                    "env", "SSL_CERT_FILE=\(world.certificate)", "/usr/bin/python3", script,
                    RelayWorld.relayAddress, "\(port)", transport,
                ],
                input: RelayWorld.secret,
                seconds: 60
            )
            #expect(outcome.code == 0, "\(outcome.output)\n\(relay.output)")
            #expect(outcome.output.contains("1000 messages each way"), "\(outcome.output)")
        }

        @Test(
            "a Binding is answered as coturn answers it, for turnutils_stunclient and byte by byte"
        )
        func binding() throws {
            let world = try RelayWorld("cvrel")
            defer { world.remove() }
            let coturn = try world.coturn()
            try world.relay()
            let lines = try [RelayWorld.relayAddress, RelayWorld.coturnAddress].map { address in
                let outcome = try world.client.run("turnutils_stunclient", address)
                let line = outcome.output.split(separator: "\n").first {
                    $0.contains("UDP reflexive addr: 203.0.113.8:")
                }
                return try #require(line, "\(outcome.output)\n\(coturn.output)")
                    .drop { $0 != "I" }.prefix { $0 != ":" }
            }
            #expect(lines[0] == lines[1])
            let script = try world.client.write("binding.py", Self.binding)
            let outcome = try world.client.run(
                "/usr/bin/python3",
                script,
                RelayWorld.relayAddress,
                RelayWorld.coturnAddress
            )
            #expect(outcome.output.contains("the same"), "\(outcome.output)")
        }

        @Test("a credential has sixteen addresses, and private peers are refused")
        func limits() throws {
            let world = try RelayWorld("cvrel")
            defer { world.remove() }
            try world.relay()
            let many = try world.client.run(
                [
                    "turnutils_uclient", "-y", "-c", "-m", "20", "-n", "2", "-u", "uclient", "-W",
                    RelayWorld.secret, RelayWorld.relayAddress,
                ],
                seconds: 30
            )
            #expect(many.output.contains("486"), "\(many.output.suffix(2_000))")
            for peer in ["127.0.0.1", "10.0.0.1", "169.254.169.254", "224.0.0.1"] {
                let outcome = try world.client.run(
                    [
                        "turnutils_uclient", "-n", "2", "-e", peer, "-u", peer, "-W",
                        RelayWorld.secret, RelayWorld.relayAddress,
                    ],
                    seconds: 30
                )
                #expect(outcome.output.contains("403"), "\(peer): \(outcome.output.suffix(2_000))")
            }
        }

        @Test("with a portal it serves, says nothing of its secrets, and leaves within two seconds")
        func portal() throws {
            let world = try RelayWorld("cvrel")
            defer { world.remove() }
            let roles = EndToEnd.roles
            let portal = try roles.portal(on: world.peer, address: "203.0.113.9")
            let token = try roles.ask(portal: world.peer, "token", "--relay", "interop").trimmed
            let relay = try world.relay(token: token)
            try relay.waitForOutput("connected to the portal")
            func status() throws -> String {
                try world.peer.run(
                    "curl",
                    "-s",
                    "--unix-socket",
                    Roles.socket("portal", on: world.peer),
                    "http://portal/api/v1/status"
                ).output
            }
            #expect(try Lab.waits(seconds: 5) { try status().contains("\"relaysOnline\":1") })
            let ready = try world.relayHost.run("curl", "-s", "http://127.0.0.1:9465/readyz")
            #expect(ready.output == "ready\n")
            let metrics = try world.relayHost.run("curl", "-s", "http://127.0.0.1:9465/metrics")
            #expect(metrics.output.contains("culvert_relay_portal_up 1"), "\(metrics.output)")
            let words = try Lab.must(["cat", "/proc/\(relay.identifier)/cmdline"])
            #expect(!words.contains(token))
            let start = ContinuousClock.now
            relay.stop(seconds: 5)
            #expect(ContinuousClock.now - start < .seconds(2))
            #expect(relay.code == 0, "\(relay.output)")
            #expect(!relay.output.contains(token) && !relay.output.contains("warning"))
            #expect(try Lab.waits(seconds: 2) { try status().contains("\"relaysOnline\":0") })
            #expect(portal.isRunning)
        }

        /// Two agents of ICE with relayed candidates only.
        private static let agents = """
            import asyncio, base64, hashlib, hmac, sys, time
            from aioice import Candidate, Connection
            from aioice.ice import TransportPolicy

            relay, port, transport = sys.argv[1], int(sys.argv[2]), sys.argv[3]
            secret = sys.stdin.read().strip()
            username = f"{int(time.time()) + 600}:aioice"
            digest = hmac.new(secret.encode(), username.encode(), hashlib.sha1).digest()

            def agent(controls):
                return Connection(
                    controls, turn_server=(relay, port), turn_username=username,
                    turn_password=base64.b64encode(digest).decode(),
                    turn_transport="udp" if transport == "udp" else "tcp",
                    turn_ssl=transport == "tls", transport_policy=TransportPolicy.RELAY)

            async def talk(one, other, text):
                for number in range(1000):
                    await one.send(f"{text} {number}".encode() * 10)
                    got = await asyncio.wait_for(other.recv(), 5)
                    assert got == f"{text} {number}".encode() * 10, got

            async def main():
                one, other = agent(True), agent(False)
                await asyncio.gather(one.gather_candidates(), other.gather_candidates())
                assert {c.type for c in one.local_candidates} == {"relay"}
                for candidate in one.local_candidates:
                    await other.add_remote_candidate(candidate)
                for candidate in other.local_candidates:
                    await one.add_remote_candidate(candidate)
                await other.add_remote_candidate(None)
                await one.add_remote_candidate(None)
                other.remote_username, other.remote_password = (
                    one.local_username, one.local_password)
                one.remote_username, one.remote_password = (
                    other.local_username, other.local_password)
                await asyncio.gather(one.connect(), other.connect())
                await talk(one, other, "there")
                await talk(other, one, "back")
                print("1000 messages each way")
                await asyncio.gather(one.close(), other.close())

            asyncio.run(main())
            """

        /// One socket asks two servers; both must see it at the same place.
        private static let binding = """
            import os, socket, sys

            ask = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            ask.bind(("203.0.113.8", 40404))
            ask.settimeout(5)
            seen = []
            for server in sys.argv[1:]:
                transaction = os.urandom(12)
                ask.sendto(bytes.fromhex("000100002112a442") + transaction, (server, 3478))
                answer = ask.recv(2048)
                assert answer[:2] == b"\\x01\\x01" and answer[8:20] == transaction, answer
                place, mapped = 20, None
                while place < len(answer):
                    kind = int.from_bytes(answer[place:place + 2], "big")
                    size = int.from_bytes(answer[place + 2:place + 4], "big")
                    if kind == 0x20:
                        mapped = answer[place + 4:place + 4 + size]
                    place += 4 + (size + 3) // 4 * 4
                seen.append(mapped)
            assert seen[0] is not None and seen[0] == seen[1], seen
            print("the same")
            """
    }
}

/// A relay, a client and a peer on one network of public addresses.
struct RelayWorld {
    static let relayAddress = "203.0.113.31"
    static let coturnAddress = "203.0.113.32"
    static let secret = "what the relay and its clients share"

    let network: Network
    let relayHost: LabHost
    let coturnHost: LabHost
    let client: LabHost
    let peer: LabHost

    /// The relay's certificate, which is its own authority.
    var certificate: String { "\(relayHost.folder)/certificate.pem" }

    init(_ name: String) throws {
        let network = try Network(name: name)
        self.network = network
        let hub = try network.host("hub")
        try hub.bridge(addresses: [])
        func host(_ title: String, _ number: Int) throws -> LabHost {
            let host = try network.host(title)
            let addresses = ["203.0.113.\(number)/24", "2001:db8::\(number)/64"]
            try network.attach(host, to: hub, addresses: addresses)
            return host
        }
        relayHost = try host("relay", 31)
        coturnHost = try host("coturn", 32)
        (client, peer) = (try host("client", 8), try host("peer", 9))
    }

    func remove() { network.remove() }

    /// Ours, with a secret of its own, or with a portal's `token`; it listens.
    @discardableResult
    func relay(token: String? = nil) throws -> Running {
        try Lab.must([
            "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
            "-nodes", "-days", "2", "-subj", "/CN=relay", "-addext",
            "subjectAltName=IP:\(Self.relayAddress)", "-keyout", "\(relayHost.folder)/key.pem",
            "-out", certificate,
        ])
        let authority =
            if let token {
                ["--token-file", try relayHost.write("relay.token", token)]
            } else {
                ["--secret-file", try relayHost.write("relay.secret", Self.secret)]
            }
        let relay = try relayHost.start(
            "relay",
            [
                EndToEnd.executable, "relay", "--certificate", certificate, "--key",
                "\(relayHost.folder)/key.pem", "--ports", "50000-50999", "--state",
                Roles.state("relay", on: relayHost),
            ] + authority
        )
        try relay.waitForOutput("lending addresses")
        try listens(relay, on: relayHost, "443")
        return relay
    }

    /// Debian's coturn, to compare with.
    func coturn() throws -> Running {
        let coturn = try coturnHost.start(
            "coturn",
            [
                "turnserver", "-n", "--log-file=stdout", "--simple-log", "--use-auth-secret",
                "--static-auth-secret=\(Self.secret)", "--realm=culvert", "--no-cli",
                "--listening-ip=\(Self.coturnAddress)", "--relay-ip=\(Self.coturnAddress)",
                "--no-tls", "--no-dtls", "--pidfile=\(coturnHost.folder)/pid",
                "--userdb=\(coturnHost.folder)/turndb",
            ]
        )
        try listens(coturn, on: coturnHost, "3478")
        return coturn
    }

    private func listens(_ server: Running, on host: LabHost, _ port: String) throws {
        let listens = try Lab.waits(seconds: 20) {
            try host.run("ss", "-Hltun", "sport", "=", ":\(port)").output.contains(":\(port)")
        }
        guard listens else { throw LabError("\(server.title) does not listen: \(server.output)") }
    }
}
