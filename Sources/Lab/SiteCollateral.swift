internal import Foundation

// What shares an address, a port or a name, and must not be mixed up.
extension SiteCase {
    static let collateral = SiteCase(
        name: "collateral",
        what:
            "two names on one address, under one policy, two, or none; one source port; two clients"
    ) { place in
        var figures: [String] = []
        var faults: [String] = []
        var logs = ""
        do {
            let lab = try Collateral(executable: place.executable, network: place.network)
            defer { lab.world.network.remove() }
            do {
                figures = try lab.run { faults.append($0) }
            } catch { faults.append("\(error)") }
            if !faults.isEmpty { logs = lab.logs }
        } catch { faults.append("\(error)") }
        return Report(name: "collateral", figures: figures, faults: faults, logs: logs)
    }
}

/// The demo's network, whose SaaS has two names on one address.
private struct Collateral {
    let world: DemoNetwork
    private let roles: Roles
    private let running: [Running]
    private static let both = ["chat.saas.example", "www.saas.example"]

    init(executable: String, network: String) throws {
        let roles = Roles(executable: executable)
        self.roles = roles
        world = try DemoNetwork(name: network)
        do {
            let portal = try roles.portal(on: world.portal)
            try roles.apply(DemoNetwork.configuration, portal: world.portal)
            let gateway = try roles.gateway(
                on: world.gateway,
                site: "headquarters",
                portal: world.portal
            )
            running = [
                portal, gateway,
                try roles.client(on: world.ada, email: "ada@example.com", portal: world.portal),
                try roles.client(on: world.bob, email: "bob@example.com", portal: world.portal),
            ]
        } catch {
            world.network.remove()
            throw error
        }
    }

    var logs: String { running.map { "\($0.output.suffix(2_500))\n" }.joined() }

    /// Runs all forms, and tells `fault` of what was not as it must be.
    func run(_ fault: (String) -> Void) throws -> [String] {
        try oneProtected(fault)
        try twoPolicies(fault)
        try samePort(fault)
        return [
            "one of two names on one address protected: each took its way, 10 times in turn",
            "two names on one address under two policies: each person reaches one",
            "one source port to both at once: each connection got its own page",
            "one name and source port from two clients at once: each got its page",
        ]
    }

    /// Chat goes through the gateway, its public neighbour does not.
    private func oneProtected(_ fault: (String) -> Void) throws {
        for _ in 0..<10 {
            for name in Self.both {
                if try fetch(name, on: world.ada) != 0 { fault("ada does not reach \(name)") }
            }
        }
        let lines = try accesses()
        let expected = [
            "\(DemoNetwork.Address.gateway) chat.saas.example 200",
            "\(DemoNetwork.Address.home) www.saas.example 200",
        ]
        for line in expected where lines.count(where: { $0 == line }) < 10 {
            fault("not 10 times “\(line)”: \(lines)")
        }
        for line in Set(lines) where !expected.contains(line) { fault("unexpected: \(line)") }
    }

    /// Chat is for Ada, its neighbour for Bob.
    private func twoPolicies(_ fault: (String) -> Void) throws {
        try roles.apply(
            Self.configuration([("Engineering", "Chat"), ("Visitors", "Www")]),
            portal: world.portal
        )
        for (host, own, other) in [
            (world.ada, Self.both[0], Self.both[1]), (world.bob, Self.both[1], Self.both[0]),
        ] {
            let reaches = try Lab.waits(seconds: 10) { try fetch(own, on: host) == 0 }
            if !reaches { fault("\(host.title) does not reach \(own)") }
            let isRefused = try Lab.waits(seconds: 10) { try fetch(other, on: host) != 0 }
            if !isRefused { fault("\(host.title) reaches \(other)") }
            if try fetch(own, on: host) != 0 { fault("\(host.title) lost \(own)") }
        }
    }

    /// One source port to both names at once, and from both people to one name.
    private func samePort(_ fault: (String) -> Void) throws {
        let groups = ["Engineering", "Visitors"]
        try roles.apply(
            Self.configuration(groups.flatMap { [($0, "Chat"), ($0, "Www")] }),
            portal: world.portal
        )
        for host in [world.ada, world.bob] {
            let reaches = try Lab.waits(seconds: 10) {
                try Self.both.allSatisfy { try fetch($0, on: host) == 0 }
            }
            if !reaches { fault("\(host.title) does not reach both names") }
        }
        let pages = ["Hello from Chat", "Hello from the public neighbour"]
        for (hosts, names) in [
            ([world.ada, world.ada], Self.both),
            ([world.ada, world.bob], [Self.both[0], Self.both[0]]),
        ] {
            let programs = try zip(hosts, names).enumerated().map { number, pair in
                let script = try pair.0.write("one-port.py", Self.script)
                let program = try pair.0.start(
                    "one-port-\(number)",
                    ["python3", "-u", script, pair.1, "45000", "\(world.network.folder)/go"]
                )
                try program.waitForOutput("connected")
                return program
            }
            try Lab.must(["touch", "\(world.network.folder)/go"])
            for (program, name) in zip(programs, names) {
                _ = program.wait(seconds: 10)
                let page = pages[name == Self.both[0] ? 0 : 1]
                if !program.output.contains(page) { fault("\(name): \(program.output)") }
            }
            try Lab.must(["rm", "\(world.network.folder)/go"])
        }
    }

    private func fetch(_ name: String, on host: LabHost) throws -> Int32 {
        try host.run("curl", "-4", "-sS", "--fail", "--max-time", "5", "http://\(name)/").code
    }

    private func accesses() throws -> [String] {
        try world.saas.must("cat", "\(world.saas.folder)/access.log")
            .split(separator: "\n").map(String.init)
    }

    private static func configuration(_ policies: [(group: String, resource: String)]) -> String {
        let head = DemoNetwork.configuration.components(separatedBy: "policies:")[0]
        let resource = "  - name: Www\n    address: www.saas.example\n    site: headquarters\n"
        return head.replacing("groups:\n", with: resource + "groups:\n") + "policies:\n"
            + policies.map { "  - group: \($0.group)\n    resource: \($0.resource)\n" }.joined()
    }

    /// Connects from a given port, waits for a file, then asks for the page.
    private static let script = """
        import os, socket, sys, time
        name, port, go = sys.argv[1], int(sys.argv[2]), sys.argv[3]
        address = socket.getaddrinfo(name, 80, socket.AF_INET, socket.SOCK_STREAM)[0][4]
        connection = socket.socket()
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        connection.bind(("", port))
        connection.settimeout(10)
        connection.connect(address)
        print("connected", flush=True)
        while not os.path.exists(go):
            time.sleep(0.02)
        connection.sendall(b"GET / HTTP/1.0\\r\\nHost: " + name.encode() + b"\\r\\n\\r\\n")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\\1\\0\\0\\0\\0\\0\\0\\0")
        page = b""
        while True:
            part = connection.recv(4096)
            if not part:
                break
            page += part
        print(page.decode())

        """
}
