internal import Foundation
internal import Glibc

/// A host of a lab whose programs ask systemd-resolved: with a message bus, /run and /etc of its
/// own, so that nothing of it is seen elsewhere.
public struct ResolvedHost: Sendable {
    /// The host.
    public let host: LabHost
    private let package: ResolvedPackage
    private let holder: Running
    private let resolved: Running

    /// Starts systemd-resolved on `host`, which has its links already.
    ///
    /// - Parameters:
    ///   - host: Where it runs.
    ///   - settings: Lines of resolved.conf, in its section `[Resolve]`.
    ///   - package: The program.
    /// - Throws: ``LabError`` when it does not come up.
    public init(
        _ host: LabHost,
        settings: [String] = [],
        package: ResolvedPackage
    ) throws {
        (self.host, self.package) = (host, package)
        let script = try host.write("resolved/mounts.sh", Self.mounts)
        try host.write(
            "resolved/resolved.conf",
            (["[Resolve]"] + settings).joined(separator: "\n") + "\n"
        )
        let holder = try host.start(
            "mounts",
            ["unshare", "--mount", "sh", "-e", script, host.folder + "/resolved", package.folder]
        )
        try holder.waitForOutput("ready")
        self.holder = holder
        resolved = try Running(
            title: "\(host.title)'s systemd-resolved",
            words: Self.words(in: holder, package.environment + [package.service]),
            logPath: host.folder + "/systemd-resolved.log"
        )
        host.network.keep(resolved)
        let answers = try Lab.waits(seconds: 10) {
            try run("resolvectl", "status").code == 0 || !resolved.isRunning
        }
        guard answers, resolved.isRunning else {
            throw LabError("systemd-resolved did not start. It said:\n\(resolved.output)")
        }
    }

    /// Makes the mounts, starts the bus, and lives on to hold both. Its parameters: a folder for
    /// files, and the package's.
    private static let mounts = """
        mount --make-rprivate /
        mkdir -p "$1/etc"
        cp -a /etc/. "$1/etc/"
        rm -f "$1/etc/resolv.conf"
        mount --bind "$1/etc" /etc
        mount -t tmpfs -o mode=755 run /run
        mkdir -p /run/dbus /run/systemd/resolve /etc/dbus-1/system.d /etc/systemd
        user=systemd-resolve
        grep -q "^$user:" /etc/group || echo "$user:x:994:" >> /etc/group
        grep -q "^$user:" /etc/passwd || \\
            echo "$user:x:994:994::/:/usr/sbin/nologin" >> /etc/passwd
        chown $user:$user /run/systemd/resolve
        cp "$2"/usr/share/dbus-1/system.d/org.freedesktop.resolve1.conf /etc/dbus-1/system.d/
        cp "$1/resolved.conf" /etc/systemd/resolved.conf
        ln -s /run/systemd/resolve/stub-resolv.conf /etc/resolv.conf
        sed -i 's/^hosts:.*/hosts: files resolve [!UNAVAIL=return] dns/' /etc/nsswitch.conf
        dbus-daemon --system --nofork --nopidfile &
        trap 'kill $!; exit' TERM
        while [ ! -S /run/dbus/system_bus_socket ]; do sleep 0.02; done
        echo ready
        wait

        """

    private static func words(in holder: Running, _ words: [String]) -> [String] {
        // The one behind `ip netns exec`, which becomes the program that it runs.
        ["nsenter", "-t", "\(holder.identifier)", "--mount", "--net"] + words
    }

    /// `words` as they are run on this host.
    public func words(_ words: [String]) -> [String] {
        Self.words(in: holder, package.environment + words)
    }

    /// Runs a command to its end.
    @discardableResult
    public func run(_ words: String..., seconds: Double = 30) throws -> Outcome {
        try Lab.run(self.words(words), seconds: seconds)
    }

    /// Runs a command to its end.
    public func run(_ words: [String]) throws -> Outcome { try Lab.run(self.words(words)) }

    /// Runs a command that must succeed; its output.
    @discardableResult
    public func must(_ words: [String]) throws -> String { try Lab.must(self.words(words)) }

    /// Runs a command that must succeed; its output.
    @discardableResult
    public func must(_ words: String...) throws -> String { try Lab.must(self.words(words)) }

    /// What the host's /etc/resolv.conf says, and where it leads.
    public var resolverConfiguration: String {
        let target = try? run("readlink", "/etc/resolv.conf").output
        return (target ?? "") + ((try? run("cat", "/etc/resolv.conf").output) ?? "")
    }

    /// A client of ours that asks nobody how the host is to be told.
    ///
    /// - Parameters:
    ///   - roles: The executable.
    ///   - portal: Where its token comes from.
    ///   - email: Whose client it is.
    /// - Returns: Its process.
    /// - Throws: ``LabError`` when it does not connect.
    public func client(_ roles: Roles, portal: LabHost, email: String) throws -> Running {
        let path = "\(host.folder)/client.token"
        if !FileManager.default.fileExists(atPath: path) {
            let token = try roles.ask(portal: portal, "token", "--client", email)
            try host.write("client.token", token)
        }
        // Without the package's libraries, as on any host.
        let client = try Running(
            title: "\(host.title)'s client",
            words: Self.words(
                in: holder,
                [
                    roles.executable, "client", "--token-file", path, "--name", host.title,
                    "--state", Roles.state("client", on: host),
                ]
            ),
            logPath: "\(host.folder)/client.log"
        )
        host.network.keep(client)
        let status = try command(roles, "status", "--wait", "20s")
        guard status.code == 0 else {
            throw LabError(
                "The client on \(host.title) did not connect: \(status.output)\n\(client.output)"
            )
        }
        return client
    }

    /// A command for the client.
    public func command(_ roles: Roles, _ words: String...) throws -> Outcome {
        let socket = ["--socket", Roles.socket("client", on: host)]
        return try Lab.run(Self.words(in: holder, [roles.executable] + words + socket))
    }

    /// `culvert down` where nobody listens any more.
    public func down(_ roles: Roles) throws -> Outcome {
        let state = ["--state", Roles.state("client", on: host)]
        return try Lab.run(Self.words(in: holder, [roles.executable, "down"] + state))
    }

    /// What systemd-resolved and the bus said, for a failed expectation.
    public var log: String { resolved.output + holder.output }
}
