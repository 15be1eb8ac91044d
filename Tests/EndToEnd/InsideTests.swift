import Foundation
import Lab
import Testing

extension EndToEnd {
    @Suite("From inside the site nobody reaches a client")
    struct InsideTests {
        /// What the witness on the client's tunnel device has seen come in.
        private struct Seen: Decodable {
            /// `protocol/source/port>port`, or for ICMP `protocol/source/type.code` and the ports
            /// of the packet that it is about, or `#` and the identifier of an echo; and how often.
            let packets: [String: Int]
        }

        /// What the attacker inside the site has sent.
        private struct Sent: Decodable {
            let packets: Int
            let ports: [Int]
        }

        @Test(
            "SYNs, UDP, ICMP of all kinds and other protocols: only what its own flows brought",
            .timeLimit(.minutes(3))
        )
        func swept() throws {
            let demo = try EgressDemo("cvinsd")
            defer { demo.remove() }
            let (ada, gateway, site) = (demo.world.ada, demo.world.gateway, demo.world.site)
            _ = try demo.bigFile(megabytes: 60)
            for (range, via) in [
                ("100.64.0.0/11", "10.20.0.1"), ("fd00:2021:1111::/107", "fd20::1"),
            ] {
                try site.must("ip", "route", "add", range, "via", via)
            }
            let echo = try site.start("echo", ["python3", "-u", "-c", InsideScript.echo])
            try echo.waitForOutput("echoes")
            // Flows of the client's own, before, during and after.
            let flows = try ada.start("flows", ["python3", "-u", "-c", InsideScript.flows])
            try flows.waitForOutput("flows")
            let pings = try Pings(on: ada, "git.corp.example")
            let path = "\(ada.folder)/seen.json"
            let witness = try ada.start(
                "witness",
                ["python3", "-u", try ada.write("witness.py", InsideScript.witness), path]
            )
            try witness.waitForOutput("watches")
            let answers = pings.answers
            let echoes = Self.echoes(flows)
            let attack = try site.write("sweep.py", InsideScript.sweep)
            let table = try gateway.must("conntrack", "-L", "-f", "ipv4")
            let ports = Set(table.matches(of: #/dport=(\d+)/#).map { String($0.1) }).sorted()
            let before = try Self.sent(by: gateway)
            let outcome = try site.run(
                ["python3", attack, try Self.tunnel(of: ada), ports.joined(separator: ",")],
                seconds: 90
            )
            #expect(outcome.code == 0, "\(outcome.output)")
            let last = outcome.output.split(separator: "\n").last ?? ""
            let sent = try JSONDecoder().decode(Sent.self, from: Data(last.utf8))
            // The sweep did reach the gateway's tunnel device, and the flows went on meanwhile.
            let entered = try Self.sent(by: gateway) - before
            #expect(sent.packets > 10_000 && entered > sent.packets / 4, "\(sent) \(entered)")
            #expect(Lab.waits(seconds: 5) { pings.answers > answers + 10 })
            #expect(Lab.waits(seconds: 5) { Self.echoes(flows) > echoes + 5 })
            witness.stop()
            let seen = try JSONDecoder().decode(
                Seen.self,
                from: Data(String(contentsOfFile: path, encoding: .utf8).utf8)
            )
            let own = try #require(
                flows.output.split(separator: "\n").first { $0.hasPrefix("own") }
            )
            let expected = Set(own.split(separator: " ").dropFirst().map(String.init))
            // The pings are one flow, with one identifier.
            let echoed = seen.packets.keys.filter {
                $0.wholeMatch(of: #/1/100\.\S+/0\.0#..../#) != nil
            }
            #expect(echoed.count == 1, "\(echoed)")
            let foreign = seen.packets.filter { key, _ in
                !expected.contains(key) && !echoed.contains(key)
            }
            print(
                "inside: \(sent.packets) packets sent, \(entered) entered the tunnel device,",
                "\(seen.packets.values.reduce(0, +)) of the client's own flows reached it"
            )
            #expect(foreign.isEmpty, "\(foreign) besides \(expected)")
            #expect(expected.isSubset(of: seen.packets.keys), "\(expected) in \(seen.packets)")
            #expect(pings.finish() < 1)
            #expect(flows.isRunning, "\(flows.output)")
        }

        private static func echoes(_ flows: Running) -> Int {
            flows.output.split(separator: "\n").count { $0 == "echo" }
        }

        /// The client's tunnel addresses, with a comma between.
        private static func tunnel(of client: LabHost) throws -> String {
            let words = try client.must("ip", "-br", "address", "show", "dev", "culvert0")
                .split(separator: " ")
            let addresses = words.filter { $0.hasPrefix("100.") || $0.hasPrefix("fd00:") }
            return addresses.map { $0.prefix { $0 != "/" } }.joined(separator: ",")
        }

        /// Packets that the gateway's kernel has given to the tunnel device.
        private static func sent(by gateway: LabHost) throws -> Int {
            let path = "/sys/class/net/culvert0/statistics/tx_packets"
            return Int(try gateway.must("cat", path).trimmed) ?? 0
        }
    }
}
