import Foundation
import Lab
import Testing

extension EndToEnd {
    @Suite("Clients' packets leave the gateway's host, whatever else is on it")
    struct EgressTests {
        @Test("a flushed ruleset costs less than a second, and a fixed address is kept")
        func flushed() throws {
            let demo = try EgressDemo("cvflsh")
            defer { demo.remove() }
            let (ada, gateway) = (demo.world.ada, demo.world.gateway)
            let sum = try demo.bigFile(megabytes: 12)
            let pings = try Pings(on: ada, "git.corp.example")
            let path = "\(ada.folder)/big"
            let download = try ada.start(
                "download",
                [
                    "curl", "-4", "-sS", "-m", "60", "--limit-rate", "2M", "-o", path,
                    "http://git.corp.example/big",
                ]
            )
            for _ in 1...3 {
                let answers = pings.answers
                try gateway.must("nft", "flush", "ruleset")
                #expect(Lab.waits(seconds: 5) { pings.answers > answers + 10 })
            }
            #expect(download.wait(seconds: 60))
            #expect(download.code == 0, "\(download.output)")
            #expect(try ada.must("sha256sum", path).hasPrefix(sum))
            let gap = pings.finish()
            print("egress: three flushed rulesets, longest time without a ping \(gap) s")
            #expect(gap < 1)
            let said = demo.gateway.output.components(separatedBy: "it is set again").count - 1
            #expect((1...3).contains(said), "\(demo.gateway.output)")
        }

        @Test("each server sees the interface's address, or the fixed one, in both families")
        func addresses() throws {
            let demo = try EgressDemo("cvaddr")
            defer { demo.remove() }
            let (gateway, site, saas) = (demo.world.gateway, demo.world.site, demo.world.saas)
            try demo.fetchAll()
            let inside = ["10.20.0.1", "fd20::1"].map { "\($0) git.corp.example 200" }
            let outside = ["203.0.113.20", "2001:db8::20"].map { "\($0) chat.saas.example 200" }
            try demo.expect(inside, on: site)
            try demo.expect(outside, on: saas)
            demo.gateway.stop()
            let refused = try gateway.run(
                demo.gatewayWords("--egress-address", "10.20.0.7,fd20::7")
            )
            #expect(refused.code == 1, "\(refused.output)")
            #expect(refused.output.contains("--egress-address 10.20.0.7 is no address of this"))
            let wrong = try gateway.run(demo.gatewayWords("--egress-address", "10.20.0.7,10.0.0.1"))
            #expect(wrong.code == 2, "\(wrong.output)")
            for address in ["10.20.0.7/32", "fd20::7/128"] {
                try gateway.must("ip", "address", "add", address, "dev", "eth1", "nodad")
            }
            let fixed = try gateway.start(
                "fixed",
                demo.gatewayWords("--egress-address", "10.20.0.7,fd20::7")
            )
            try fixed.waitForOutput("connected to the portal")
            try demo.fetch("git.corp.example")
            try demo.expect(
                ["10.20.0.7", "fd20::7"].map { "\($0) git.corp.example 200" },
                on: site
            )
        }

        @Test("the kernel remembers flows for no shorter than the gateway")
        func timeouts() throws {
            let demo = try EgressDemo("cvtime")
            defer { demo.remove() }
            let (ada, gateway, site) = (demo.world.ada, demo.world.gateway, demo.world.site)
            let echo = try site.start("echo", ["python3", "-u", "-c", Self.echo])
            try echo.waitForOutput("echoes")
            let flows = try ada.start("flows", ["python3", "-u", "-c", Self.flows])
            try flows.waitForOutput("flows")
            for family in ["-4", "-6"] {
                try ada.must("ping", family, "-c", "1", "-W", "5", "git.corp.example")
            }
            for (family, protocols) in [
                ("ipv4", ["tcp": 7_440, "udp": 300, "icmp": 60]),
                ("ipv6", ["tcp": 7_440, "udp": 300, "icmpv6": 60]),
            ] {
                let table = try gateway.must("conntrack", "-L", "-f", family)
                for (name, seconds) in protocols.sorted(by: { $0.key < $1.key }) {
                    let left = EgressDemo.secondsLeft(of: name, in: table)
                    print("egress: the kernel forgets \(name) over \(family) after \(left) s")
                    #expect(left.count >= 1, "\(name) in \(table)")
                    #expect(left.allSatisfy { $0 > seconds - 20 }, "\(name) in \(table)")
                    #expect(table.contains("zone-orig=17238"), "\(table)")
                }
            }
        }

        private static let echo = """
            import socket, threading
            def serve(link):
                while True:
                    data, sender = link.recvfrom(2048)
                    link.sendto(data, sender)
            link = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
            link.bind(("::", 7777))
            print("echoes")
            serve(link)
            """

        /// One connection that idles and one datagram that is answered, in each family.
        private static let flows = """
            import socket, time
            kept = []
            for family in (socket.AF_INET, socket.AF_INET6):
                address = socket.getaddrinfo("git.corp.example", 80, family)[0][4]
                stream = socket.socket(family, socket.SOCK_STREAM)
                stream.settimeout(10)
                stream.connect(address)
                datagrams = socket.socket(family, socket.SOCK_DGRAM)
                datagrams.settimeout(10)
                datagrams.sendto(b"hello", (address[0], 7777))
                assert datagrams.recv(100) == b"hello"
                kept += [stream, datagrams]
            print("flows")
            time.sleep(600)
            """
    }

    /// The demo with everything of the site open to Ada.
    struct EgressDemo {
        let world: DemoNetwork
        let gateway: Running
        let client: Running

        static let configuration = DemoNetwork.configuration.replacing(
            "    allow: [tcp/80, icmp]\n",
            with: ""
        )

        init(_ name: String, prepare: (DemoNetwork) throws -> Void = { _ in }) throws {
            world = try DemoNetwork(name: name)
            do {
                _ = try roles.portal(on: world.portal)
                try roles.apply(Self.configuration, portal: world.portal)
                try prepare(world)
                let portal = world.portal
                gateway = try roles.gateway(on: world.gateway, site: "headquarters", portal: portal)
                client = try roles.client(on: world.ada, email: "ada@example.com", portal: portal)
            } catch {
                world.network.remove()
                throw error
            }
        }

        /// Ends everything; for `defer`.
        func remove() { world.network.remove() }

        /// The words that start the gateway again.
        func gatewayWords(_ more: String...) -> [String] {
            let folder = world.gateway.folder
            return [
                executable, "gateway", "--token-file", "\(folder)/gateway.token", "--name",
                "gateway", "--state", Roles.state("gateway", on: world.gateway),
            ] + more
        }

        /// A file to download from the site.
        ///
        /// - Returns: Its SHA-256.
        func bigFile(megabytes: Int) throws -> String {
            let path = "\(world.site.folder)/git.corp.example/big"
            let count = "count=\(megabytes)"
            try world.site.must(
                "dd",
                "if=/dev/urandom",
                "of=\(path)",
                "bs=1M",
                count,
                "status=none"
            )
            return String(try world.site.must("sha256sum", path).prefix(64))
        }

        /// Fetches a page over both families.
        func fetch(_ name: String) throws {
            for family in ["-4", "-6"] {
                try world.ada.must("curl", family, "-sSf", "-m", "20", "http://\(name)/")
            }
        }

        func fetchAll() throws {
            for name in ["git.corp.example", "chat.saas.example"] { try fetch(name) }
        }

        /// The last lines of a web server's log.
        func expect(_ lines: [String], on server: LabHost) throws {
            let path = "\(server.folder)/access.log"
            let isSeen = try Lab.waits(seconds: 5) {
                let log = try String(contentsOfFile: path, encoding: .utf8)
                return log.split(separator: "\n").suffix(lines.count).map(String.init) == lines
            }
            let log = try String(contentsOfFile: path, encoding: .utf8)
            #expect(isSeen, "\(log)")
        }

        /// The times left of a protocol's entries of the tunnel in what conntrack has printed.
        static func secondsLeft(of name: String, in table: String) -> [Int] {
            table.split(separator: "\n").compactMap { line in
                let words = line.split(separator: " ", omittingEmptySubsequences: true)
                let isOfTunnel = line.contains(" src=100.") || line.contains(" src=fd00:")
                guard words.first == Substring(name), isOfTunnel, words.count > 2,
                    !line.contains("TIME_WAIT"), !line.contains("LAST_ACK"), !line.contains("CLOSE")
                else { return nil }
                return Int(words[2])
            }
        }
    }

    /// Ten pings a second, and the longest time without an answer.
    struct Pings {
        private static let interval = 0.1
        private let running: Running

        init(on host: LabHost, _ name: String, family: String = "-4") throws {
            running = try host.start(
                "ping-\(name)",
                ["ping", family, "-n", "-D", "-O", "-i", "\(Self.interval)", name]
            )
            try running.waitForOutput("bytes from", seconds: 10)
        }

        var answers: Int { times.count }

        private var times: [Double] {
            running.output.split(separator: "\n").compactMap { line in
                guard line.hasPrefix("["), line.contains("bytes from") else { return nil }
                return Double(line.dropFirst().prefix { $0 != "]" })
            }
        }

        /// Ends it.
        ///
        /// - Returns: The longest time without an answer beyond the interval, in seconds.
        func finish() -> Double {
            running.stop()
            let times = times
            let gaps = zip(times, times.dropFirst()).map { $1 - $0 }
            return max(0, (gaps.max() ?? .infinity) - Self.interval)
        }
    }
}
