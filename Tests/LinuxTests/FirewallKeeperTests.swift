internal import Glibc
internal import IP
internal import Synchronization
internal import Testing

@testable internal import Linux

extension KernelTests {
    @Suite("The keeper of the gateway's firewall")
    struct FirewallKeeperTests {
        @Test("sets the table again when somebody flushes the ruleset, and tells it once")
        func flushed() async throws {
            let site = try GatewaySite()
            let kept = try site.keep()
            try site.ping()
            let whole = try run("nft -s list ruleset", in: site.gateway)
            try run("nft flush ruleset", in: site.gateway)
            await kept.wait(for: .restored(table: "culvert"))
            try site.ping()
            #expect(try run("nft -s list ruleset", in: site.gateway) == whole)
            // A rule is missing, the table is there.
            try run("nft flush chain inet culvert egress", in: site.gateway)
            await kept.wait(for: .restored(table: "culvert"))
            #expect(try run("nft -s list ruleset", in: site.gateway) == whole)
            try site.stop(kept)
            #expect(try run("nft list ruleset", in: site.gateway).isEmpty)
            let sum = kept.notes.all.withLock { $0 }
            #expect(sum == [.restored(table: "culvert"), .restored(table: "culvert")])
        }

        @Test(
            "a running connection does not notice that the ruleset was flushed",
            .enabled(if: Subprocess.find("python3") != nil, "needs python3")
        )
        func running() throws {
            let site = try GatewaySite()
            let kept = try site.keep()
            let ruleset = try run("nft list ruleset", in: site.gateway)
            #expect(ruleset.contains("flags owner"), "\(ruleset)")
            try Self.python(Self.source, in: site.pair.far, isInBackground: true)
            let path = site.gateway.path
            try Self.python(
                Self.sink.replacing("GATEWAY", with: path),
                in: site.client,
                isInBackground: false
            )
            try site.stop(kept)
            #expect(try run("nft list ruleset", in: site.gateway).isEmpty)
        }

        /// Sends to whoever connects, until that one goes.
        private static let source = """
            import signal, socket
            signal.alarm(50)
            server = socket.create_server(("", 7000))
            link = server.accept()[0]
            while True:
                link.send(bytes(65536))
            """

        /// Reads, and flushes the gateway's ruleset meanwhile.
        private static let sink = """
            import signal, socket, subprocess, time
            signal.alarm(50)
            while True:
                try:
                    link = socket.create_connection(("10.9.0.2", 7000), 5)
                    break
                except ConnectionRefusedError:
                    time.sleep(0.05)
            for _ in range(5):
                subprocess.run("nsenter --net=GATEWAY nft flush ruleset", shell=True, check=True)
                end = time.monotonic() + 0.5
                while time.monotonic() < end:
                    assert link.recv(1 << 20)
            """

        private static func python(
            _ script: String,
            in namespace: borrowing NetworkNamespace,
            isInBackground: Bool
        ) throws {
            let tail = isInBackground ? "> /dev/null 2>&1 &" : ""
            let outcome = try make(in: namespace) {
                try Subprocess.run("/bin/sh", ["-c", "python3 -c '\(script)' \(tail)"])
            }
            #expect(outcome.status == 0, "\(outcome.output)")
        }

        @Test("does not race with somebody who removes the table again and again")
        func fought() async throws {
            let site = try GatewaySite()
            let kept = try site.keep()
            for _ in 1...FirewallKeeper.Limits.restorations {
                try run("nft flush ruleset", in: site.gateway)
                await kept.wait(for: .restored(table: "culvert"))
            }
            try run("nft flush ruleset", in: site.gateway)
            await kept.wait(for: .fought(table: "culvert"))
            try site.ping()
            try site.stop(kept)
        }

        struct Product: Sendable, CustomTestStringConvertible {
            let testDescription: String
            /// Iptables' words, a line each.
            let rules: [String]
            let chain: String
            /// What the product does when it begins anew.
            let again: [String]
        }

        static let products = [
            Product(
                testDescription: "Docker",
                rules: [
                    "-P FORWARD DROP", "-N DOCKER-USER", "-N DOCKER-FORWARD",
                    "-A FORWARD -j DOCKER-USER", "-A FORWARD -j DOCKER-FORWARD",
                    "-A DOCKER-USER -j RETURN",
                ],
                chain: "DOCKER-USER",
                again: ["-F DOCKER-USER", "-A DOCKER-USER -j RETURN"]
            ),
            Product(
                testDescription: "ufw",
                rules: [
                    "-P FORWARD DROP", "-N ufw-before-logging-forward", "-N ufw-before-forward",
                    "-N ufw-user-forward", "-N ufw-reject-forward",
                    "-A FORWARD -j ufw-before-logging-forward", "-A FORWARD -j ufw-before-forward",
                    "-A FORWARD -j ufw-reject-forward",
                    "-A ufw-before-forward -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
                    "-A ufw-before-forward -j ufw-user-forward",
                ],
                chain: "ufw-before-forward",
                again: ["-F ufw-before-forward", "-A ufw-before-forward -j ufw-user-forward"]
            ),
        ]

        @Test(
            "puts rules in a product's own chain, again when it begins anew, and takes them out",
            .enabled(if: Subprocess.find("iptables") != nil, "needs iptables"),
            arguments: products
        )
        func product(product: Product) async throws {
            let site = try GatewaySite()
            for line in product.rules { try run("iptables " + line, in: site.gateway) }
            // As a gateway that was killed has left it.
            try run(
                "iptables -A \(product.chain) -i cvgone -m comment --comment culvert -j ACCEPT",
                in: site.gateway
            )
            let before = try run("iptables -S", in: site.gateway)
            try site.translate()
            #expect(throws: SceneryError.self, "the product drops it") { try site.ping(wait: 1) }
            let kept = try site.keep()
            await kept.wait { if case .opened = $0 { true } else { false } }
            try site.ping()
            let during = try run("iptables -S", in: site.gateway)
            #expect(during.components(of: "--comment culvert") == 2, "\(during)")
            for line in product.again { try run("iptables " + line, in: site.gateway) }
            try await site.pingsAgain(after: kept)
            try site.stop(kept)
            let after = try run("iptables -S", in: site.gateway)
            let own = before.split(separator: "\n").filter { !$0.contains("culvert") }
            let left = after.split(separator: "\n").map(String.init)
            #expect(!after.contains("culvert"), "\(after)")
            #expect(Set(left).isSubset(of: Set(own.map(String.init))), "\(after)")
        }

        @Test("names the command for a chain that it does not know, and sees when it was given")
        func unknown() async throws {
            let site = try GatewaySite()
            for line in [
                "nft add table inet mine",
                "nft add chain inet mine f { type filter hook forward priority 0 ; policy drop ; }",
            ] {
                try run(line, in: site.gateway)
            }
            let kept = try site.keep()
            let note = await kept.wait { if case .blocked = $0 { true } else { false } }
            guard case .blocked(let chain, let command) = note else { return }
            #expect(chain == "The firewall chain f of table inet mine")
            #expect(kept.keeper.obstacles.count == 1)
            #expect(throws: SceneryError.self) { try site.ping(wait: 1) }
            try site.shell(command)
            await kept.wait(for: .passes)
            #expect(kept.keeper.obstacles.isEmpty)
            try site.ping()
            try site.stop(kept)
            let left = try run("nft list tables", in: site.gateway)
            #expect(left == "table inet mine\n")
        }

        @Test("believes packets that come out more than what a chain looks like")
        func counted() async throws {
            let site = try GatewaySite()
            for line in [
                "nft add table inet mine",
                "nft add chain inet mine f { type filter hook forward priority 0 ; policy drop ; }",
                "nft add rule inet mine f ip saddr 100.64.0.0/24 accept",
                "nft add rule inet mine f ct state established accept",
            ] {
                try run(line, in: site.gateway)
            }
            let kept = try site.keep()
            await kept.wait { if case .blocked = $0 { true } else { false } }
            try site.ping()
            await kept.wait(for: .passes)
            #expect(kept.keeper.obstacles.isEmpty)
            try site.stop(kept)
        }

        @Test("says it when packets do not come out and no chain looks like it")
        func unseen() async throws {
            let site = try GatewaySite()
            for line in [
                "nft add table inet mine",
                "nft add chain inet mine f { type filter hook forward priority 0 ; }",
                "nft add rule inet mine f ip daddr 10.9.0.0/24 drop",
            ] {
                try run(line, in: site.gateway)
            }
            let kept = try site.keep()
            #expect(throws: SceneryError.self) { try site.ping(count: 4, wait: 1) }
            await kept.wait(for: .unseen)
            #expect(kept.keeper.obstacles == [FirewallNote.unseen.description])
            try run("nft delete table inet mine", in: site.gateway)
            try site.ping()
            await kept.wait(for: .passes)
            try site.stop(kept)
        }
    }
}

/// A client behind the "tunnel" cvlx0 of a gateway, and a server 10.9.0.2 that has no route back.
struct GatewaySite: ~Copyable {
    let pair: Pair
    let client: NetworkNamespace

    var gateway: NetworkNamespace { _read { yield pair.near } }

    init() throws {
        let pair = try Pair()
        let client = try NetworkNamespace()
        for line in [
            "ip link add cvlx0 type veth peer name cvlxc", "ip link set cvlxc netns \(client.path)",
            "ip address add 100.64.0.1/24 dev cvlx0", "ip link set cvlx0 up",
            "sysctl -qw net.ipv4.ip_forward=1",
        ] {
            try run(line, in: pair.near)
        }
        for line in [
            "ip address add 100.64.0.9/24 dev cvlxc", "ip link set cvlxc up",
            "ip route add default via 100.64.0.1", "ping -c 1 -W 5 100.64.0.1",
        ] {
            try run(line, in: client)
        }
        self.pair = pair
        self.client = client
    }

    private static let firewall = GatewayFirewall(
        tunnelInterface: "cvlx0",
        ranges: KernelTests.FirewallTests.ranges
    )

    /// A keeper in the gateway, and what it tells.
    struct Kept: Sendable {
        let keeper: FirewallKeeper
        let notes: Notes
        let stream: AsyncStream<FirewallNote>

        final class Notes: Sendable {
            let all = Mutex<[FirewallNote]>([])
        }

        @discardableResult
        func wait(_ matches: (FirewallNote) -> Bool) async -> FirewallNote? {
            for await note in stream where matches(note) { return note }
            return nil
        }

        func wait(for note: FirewallNote) async { await wait { $0 == note } }
    }

    func keep() throws -> Kept {
        let (stream, continuation) = AsyncStream.makeStream(of: FirewallNote.self)
        let notes = Kept.Notes()
        let keeper = try make(in: pair.near) {
            try FirewallKeeper(firewall: Self.firewall, opening: "cvlx0") { note in
                notes.all.withLock { $0.append(note) }
                continuation.yield(note)
            }
        }
        return Kept(keeper: keeper, notes: notes, stream: stream)
    }

    /// Ends the keeping, where it was begun.
    func stop(_ kept: Kept) throws {
        _ = try make(in: pair.near) { try kept.keeper.stop() }
    }

    /// Sets the table without a keeper.
    func translate() throws {
        _ = try make(in: pair.near) { try Self.firewall.install() }
    }

    /// Pings the server from the client: all must be answered.
    func ping(count: Int = 1, wait seconds: Int = 5) throws {
        try run("ping -c \(count) -i 0.2 -W \(seconds) 10.9.0.2", in: client)
    }

    /// Waits for pings to be answered again.
    func pingsAgain(after kept: Kept) async throws {
        await kept.wait { if case .opened = $0 { true } else { false } }
        try ping()
    }

    /// Runs a line of a shell in the gateway.
    func shell(_ line: String) throws {
        let outcome = try make(in: pair.near) {
            try Subprocess.run("/bin/sh", ["-c", line])
        }
        guard outcome.status == 0 else { throw SceneryError(description: outcome.output) }
    }
}

extension String {
    /// How often `part` is in it.
    fileprivate func components(of part: String) -> Int {
        split(separator: "\n").count { $0.contains(part) }
    }
}
