internal import Foundation

/// The demo: every step is done with programs that people know, and told as it is seen.
public struct Demo {
    private let roles: Roles
    private let world: DemoNetwork
    private let say: (String) -> Void

    /// Builds the network and starts every role.
    ///
    /// - Parameters:
    ///   - executable: Path of `culvert`.
    ///   - say: Called with each line for the person who watches.
    /// - Throws: ``LabError`` when a host or a role does not come up.
    public init(executable: String, say: @escaping (String) -> Void) throws {
        self.say = say
        roles = Roles(executable: executable)
        say("Building a network of 8 hosts in namespaces: public DNS, SaaS, portal, gateway, site,")
        say("a home NAT router, and behind it the laptops of Ada and Bob.")
        world = try DemoNetwork(name: "cvdemo")
        say("Starting the portal, a gateway in the site \"headquarters\", and two clients.")
        let portal = try roles.portal(on: world.portal)
        self.portal = portal
        try roles.apply(DemoNetwork.configuration, portal: world.portal)
        _ = try roles.gateway(on: world.gateway, site: "headquarters", portal: world.portal)
        _ = try roles.client(on: world.ada, email: "ada@example.com", portal: world.portal)
        _ = try roles.client(on: world.bob, email: "bob@example.com", portal: world.portal)
    }

    private let portal: Running

    /// Runs all steps.
    ///
    /// - Throws: ``LabError`` at the first thing that was not seen.
    public func run(pictures folder: String?) throws {
        try names()
        try internalPage()
        try sharedAddress()
        try ping()
        try withoutPolicy()
        try adminPages(pictures: folder)
        say("")
        say("Every step was seen.")
    }

    /// Where to look while it stays up.
    public var invitation: [String] {
        [
            "The network stays up. Try, as root in another terminal:",
            "  ip netns exec \(world.ada.namespace) curl http://git.corp.example/",
            "  ip netns exec \(world.ada.namespace) \(roles.executable) status --socket "
                + Roles.socket("client", on: world.ada),
            "The admin page, from the portal's own host: https://portal.example:8443/",
            "  first sign-in: \(administratorLink ?? "culvert token --admin prints a link")",
            "Ctrl-C ends it and removes everything.",
        ]
    }

    private func names() throws {
        step("A protected name is answered from 100.96.0.0/11, by a sentinel")
        let inside = try seen(world.ada, "dig", "git.corp.example", "A")
        try expect(inside, contains: "status: NOERROR")
        try expect(inside, matches: #"IN\s+A\s+100\.(9[6-9]|1[01][0-9]|12[0-7])\."#)
        try expect(inside, matches: #"SERVER: 100\.100\.111\.\d+#53"#)
        show(inside.lines(containing: ["IN\tA", "SERVER"]))
        step("Outside the tunnel nobody knows the name")
        let outside = try seen(world.home.host, "dig", "git.corp.example", "A")
        try expect(outside, contains: "status: NXDOMAIN")
        show(outside.lines(containing: ["status:"]))
    }

    private func internalPage() throws {
        step("The first packet opens the tunnel; curl sees the internal page, over both families")
        for family in ["-4", "-6"] {
            let page = try seen(
                world.ada,
                "curl",
                "-sS",
                family,
                "-m",
                "5",
                "http://git.corp.example/"
            )
            try expect(page, contains: "Hello from Git")
            show(["curl \(family): \(page.trimmed)"])
        }
        step("The server saw the gateway's address, not Ada's")
        let log = file(world.site, "access.log")
        try expect(log, contains: "\(DemoNetwork.Address.gatewayInside) git.corp.example 200")
        try expect(log, contains: "\(DemoNetwork.Address.gatewayInsideIPv6) git.corp.example 200")
        show(log.lines(containing: ["git.corp.example"]))
    }

    private func sharedAddress() throws {
        step("A SaaS name that lets only the gateway in: 200 by name, 403 from Ada's own address")
        let status = ["curl", "-4", "-sS", "-m", "5", "-o", "/dev/null", "-w", "%{http_code}"]
        let protected = try seen(world.ada, status + ["http://chat.saas.example/"])
        let direct = try seen(
            world.ada,
            status + [
                "--resolve", "chat.saas.example:80:\(DemoNetwork.Address.saas)",
                "http://chat.saas.example/",
            ]
        )
        try expect(protected, contains: "200")
        try expect(direct, contains: "403")
        show(["through the gateway: \(protected)", "from her own address: \(direct)"])
        step("Its neighbour on the same address goes straight")
        let neighbour = try seen(world.ada, status + ["http://www.saas.example/"])
        try expect(neighbour, contains: "200")
        let log = file(world.saas, "access.log")
        try expect(log, contains: "\(DemoNetwork.Address.gateway) chat.saas.example 200")
        try expect(log, contains: "\(DemoNetwork.Address.home) www.saas.example 200")
        show(log.lines(containing: ["saas.example"]))
    }

    private func ping() throws {
        step("ping works, over both families")
        for family in ["-4", "-6"] {
            let answer = try seen(
                world.ada,
                "ping",
                family,
                "-c",
                "2",
                "-i",
                "0.2",
                "-W",
                "2",
                "git.corp.example"
            )
            try expect(answer, contains: " 0% packet loss")
            show(answer.lines(containing: ["bytes from"]))
        }
    }

    private func withoutPolicy() throws {
        step("Bob has no policy: refused at once, in words")
        let curl = try world.bob.run("curl", "-sS", "-4", "-m", "5", "http://git.corp.example/")
        guard curl.code == 7, curl.seconds < 1 else {
            throw LabError(
                "curl ended with \(curl.code) after \(curl.seconds) s: \(curl.output)\n"
                    + "Bob's client said:\n" + file(world.bob, "client.log")
            )
        }
        show(["curl: exit code 7 after \(Int(curl.seconds * 1000)) ms: \(curl.output.trimmed)"])
        let ping = try world.bob.run("ping", "-4", "-c", "1", "-W", "2", "git.corp.example")
        try expect(ping.output, contains: "Packet filtered")
        show(ping.output.lines(containing: ["filtered"]))
        let why = try roles.command(on: world.bob, "explain", "git.corp.example")
        guard why.code == 3 else { throw LabError("explain ended with \(why.code): \(why.output)") }
        show(["culvert explain: \(why.output.trimmed)"])
    }

    private func adminPages(pictures folder: String?) throws {
        step("The admin page lists clients, gateway and authorizations")
        guard let link = administratorLink else {
            throw LabError("The portal printed no link for its first administrator.")
        }
        let admin = AdminBrowser(host: world.portal)
        try admin.signIn(
            link: link,
            email: "admin@example.com",
            password: "correct horse battery staple"
        )
        try expect(try admin.page("/clients"), contains: "ada")
        try expect(try admin.page("/"), contains: "gateway")
        let activity = try admin.page("/activity")
        try expect(activity, contains: "ada@example.com")
        try expect(activity, contains: "Git")
        show(["signed in; ada, the gateway and her authorizations are listed"])
        guard let folder else { return }
        for (path, name) in [("/", "overview"), ("/clients", "clients"), ("/activity", "activity")]
        {
            let picture = "\(folder)/\(name).png"
            try admin.picture(of: path, to: picture)
            show(["picture: \(picture)"])
        }
    }

    private var administratorLink: String? {
        portal.output.split(whereSeparator: \.isWhitespace)
            .first { $0.hasPrefix("https://portal.example:8443/") }.map(String.init)
    }

    // MARK: - Seeing

    private func step(_ title: String) {
        say("")
        say("▸ \(title)")
    }

    private func show(_ lines: [String]) { for line in lines { say("    \(line)") } }

    private func seen(_ host: LabHost, _ words: String...) throws -> String {
        try seen(host, words)
    }

    private func seen(_ host: LabHost, _ words: [String]) throws -> String {
        let outcome = try host.run(words)
        guard outcome.code == 0 else {
            throw LabError(
                "\(words.joined(separator: " ")) on \(host.title) ended with \(outcome.code): "
                    + outcome.output
            )
        }
        return outcome.output
    }

    private func file(_ host: LabHost, _ name: String) -> String {
        String(
            decoding: FileManager.default.contents(atPath: "\(host.folder)/\(name)") ?? Data(),
            as: UTF8.self
        )
    }

    private func expect(_ text: String, contains part: String) throws {
        guard text.contains(part) else {
            throw LabError("Expected to see \(part.debugDescription) in:\n\(text)")
        }
    }

    private func expect(_ text: String, matches pattern: String) throws {
        guard text.range(of: pattern, options: .regularExpression) != nil else {
            throw LabError("Expected a match of \(pattern) in:\n\(text)")
        }
    }
}

extension String {
    /// The lines in which one of `parts` occurs.
    func lines(containing parts: [String]) -> [String] {
        split(separator: "\n").map(String.init).filter { line in
            parts.contains { line.contains($0) }
        }
    }
}
