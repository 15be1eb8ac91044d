internal import Foundation
internal import Glibc

/// Namespaces and links of one lab. ``remove()`` takes everything away again.
public final class Network: @unchecked Sendable {
    /// The lab's name, which all its namespaces begin with; at most 6 characters were asked for.
    public let name: String
    /// Where the lab's hosts keep their files.
    public let folder: String
    /// Holds the lock of the name; -1 after ``remove()``.
    private var descriptor: Int32
    private var hosts: [LabHost] = []
    private var running: [Running] = []
    private var linkCount = 0
    /// Where each host's wire ends, by the host's title.
    private var ports: [String: (hub: LabHost, port: String)] = [:]
    private let lock = NSLock()

    /// An empty network. What a run that was killed left of the same name is removed first; while
    /// another process has one of that name, this one gets a letter more.
    ///
    /// - Throws: ``LabError`` in words when this user may not make namespaces.
    public init(name: String) throws {
        let (name, descriptor) = try Self.free(name)
        (self.name, self.descriptor) = (name, descriptor)
        folder = NSTemporaryDirectory() + "culvert-\(name)-\(getpid())"
        try Self.removeRemains(of: name)
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        let probe = try Lab.run(["ip", "netns", "add", "\(name)-probe"])
        guard probe.code == 0 else {
            throw LabError(
                "Network namespaces cannot be made here (\(probe.output.trimmed)). Run as root, or "
                    + "inside: unshare --map-root-user --net --mount"
            )
        }
        try Lab.must(["ip", "netns", "del", "\(name)-probe"])
    }

    /// A host of its own: a namespace with loopback up.
    public func host(_ title: String) throws -> LabHost {
        let host = LabHost(title: title, namespace: "\(name)-\(title)", network: self)
        try FileManager.default.createDirectory(
            atPath: host.folder,
            withIntermediateDirectories: true
        )
        try Lab.must(["ip", "netns", "add", host.namespace])
        hosts.append(host)
        try host.must("ip", "link", "set", "lo", "up")
        return host
    }

    /// Joins `host` to the bridge of `hub` by an interface `interface` with `addresses`.
    ///
    /// - Parameters:
    ///   - host: Gets the interface.
    ///   - hub: Has the bridge.
    ///   - interface: Its name on `host`.
    ///   - bridge: The bridge's name on `hub`.
    ///   - addresses: The interface's, with prefix lengths.
    ///   - line: What the wire is like; nil for a plain one, without delay.
    ///   - delayWords: The command that carries frames over a wire with delay: `culvert lab delay`.
    /// - Throws: ``LabError`` when a device or an address is refused.
    public func attach(
        _ host: LabHost,
        to hub: LabHost,
        as interface: String = "eth0",
        bridge: String = "br0",
        addresses: [String],
        line: DelayLine.Character? = nil,
        delayWords: [String] = []
    ) throws {
        let port = "port\(nextLink())"
        if let line {
            let process = try host.start(
                "line-\(interface)",
                ["chrt", "-f", "10"] + delayWords + [
                    "--left", interface, "--right", port, "--milliseconds",
                    "\(Double(line.delay) / 1e6)", "--loss", "\(line.loss)", "--seed",
                    "\(line.seed)",
                ]
            )
            try process.waitForOutput("ready")
            try host.must("ip", "link", "set", port, "netns", hub.namespace)
        } else {
            try Lab.must([
                "ip", "link", "add", interface, "netns", host.namespace, "type", "veth", "peer",
                "name", port, "netns", hub.namespace,
            ])
        }
        try hub.must("ip", "link", "set", port, "master", bridge, "up")
        try host.address(interface, addresses)
        lock.withLock { ports[host.title] = (hub, port) }
    }

    /// Cuts the wire of `host`, or mends it: nothing passes any more, and nobody is told.
    ///
    /// - Throws: ``LabError`` when the host has no wire.
    public func cut(_ host: LabHost, _ isCut: Bool = true) throws {
        guard let (hub, port) = lock.withLock({ ports[host.title] }) else {
            throw LabError("\(host.title) has no wire.")
        }
        try hub.must("bridge", "link", "set", "dev", port, "state", isCut ? "0" : "3")
    }

    private func nextLink() -> Int {
        lock.withLock {
            linkCount += 1
            return linkCount
        }
    }

    /// The hosts' namespaces by their titles.
    public var namespaces: [String: String] {
        Dictionary(hosts.map { ($0.title, $0.namespace) }) { $1 }
    }

    /// The programs that run.
    var programs: [Running] { lock.withLock { running.filter(\.isRunning) } }

    /// Notes a program, so that it ends with the lab.
    public func keep(_ program: Running) { lock.withLock { running.append(program) } }

    /// Ends every program and removes every namespace and file of the lab.
    public func remove() {
        for program in running.reversed() where program.isRunning { program.send(SIGTERM) }
        for program in running.reversed() where !program.wait(seconds: 5) {
            program.stop(seconds: 0)
        }
        running = []
        Self.erase(hosts.map(\.namespace), folder: folder)
        hosts = []
        if descriptor >= 0 { close(descriptor) }
        descriptor = -1
    }

    /// A name that no other living network has, and its lock, which the kernel takes back when the
    /// process ends, however it does.
    ///
    /// - Throws: ``LabError`` when all are taken.
    private static func free(_ name: String) throws -> (name: String, descriptor: Int32) {
        for candidate in [name] + ["b", "c", "d", "e"].map({ name + $0 }) {
            let path = NSTemporaryDirectory() + "culvert-\(candidate).lock"
            let descriptor = unsafe open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
            guard descriptor >= 0 else { throw LabError("\(path) cannot be written.") }
            let isFree = flock(descriptor, LOCK_EX | LOCK_NB) == 0
            if isFree, StandingLab.current?.name != candidate { return (candidate, descriptor) }
            close(descriptor)
        }
        throw LabError("Too many networks named \(name) are up already; end one first.")
    }

    /// Ends what a network of that name left whose maker was killed.
    private static func removeRemains(of name: String) throws {
        let namespaces = try Lab.run(["ip", "netns", "list"]).output.split(separator: "\n")
            .compactMap { $0.split(separator: " ").first.map(String.init) }
            .filter { $0.hasPrefix("\(name)-") }
        for namespace in namespaces {
            let processes = try Lab.run(["ip", "netns", "pids", namespace]).output
                .split(separator: "\n").compactMap { Int32($0) }
            for process in processes { kill(process, SIGKILL) }
        }
        let temporary = NSTemporaryDirectory()
        let folders = try FileManager.default.contentsOfDirectory(atPath: temporary)
            .filter { $0.wholeMatch(of: #/culvert-(.+)-\d+/#).map { String($0.1) } == name }
        for folder in folders { erase(namespaces, folder: temporary + folder) }
    }

    /// Removes namespaces and files.
    static func erase(_ namespaces: [String], folder: String) {
        for namespace in namespaces {
            _ = try? Lab.run(["ip", "netns", "del", namespace])
            try? FileManager.default.removeItem(atPath: "/etc/netns/\(namespace)")
        }
        _ = unsafe rmdir("/etc/netns")
        try? FileManager.default.removeItem(atPath: folder)
    }
}

/// One host of a lab.
public struct LabHost: Sendable {
    /// Its name among its like.
    public let title: String
    /// Its network namespace.
    public let namespace: String
    /// The lab that it belongs to.
    public let network: Network

    /// Where its files are.
    public var folder: String { "\(network.folder)/\(title)" }

    /// `words` as they are run on this host.
    public func words(_ words: [String]) -> [String] { ["ip", "netns", "exec", namespace] + words }

    /// Runs a command to its end.
    @discardableResult
    public func run(_ words: String..., seconds: Double = 30) throws -> Outcome {
        try Lab.run(self.words(words), seconds: seconds)
    }

    /// Runs a command to its end.
    @discardableResult
    public func run(_ words: [String], input: String? = nil, seconds: Double = 30) throws -> Outcome
    {
        try Lab.run(self.words(words), input: input, seconds: seconds)
    }

    /// Runs a command that must succeed.
    @discardableResult
    public func must(_ words: String...) throws -> String { try Lab.must(self.words(words)) }

    /// Runs a command that must succeed, with standard input.
    @discardableResult
    public func must(_ words: [String], input: String) throws -> String {
        try Lab.must(self.words(words), input: input)
    }

    /// Starts a program that ends with the lab.
    public func start(_ title: String, _ words: [String]) throws -> Running {
        let log = "\(folder)/\(title).log"
        let program = try Running(
            title: "\(self.title)'s \(title)",
            words: self.words(words),
            logPath: log
        )
        network.keep(program)
        return program
    }

    /// Writes a file of this host.
    ///
    /// - Returns: Its path.
    @discardableResult
    public func write(_ name: String, _ text: String) throws -> String {
        let path = "\(folder)/\(name)"
        let parent = URL(filePath: path).deletingLastPathComponent()
        try FileManager.default.createDirectory(at: parent, withIntermediateDirectories: true)
        try Data(text.utf8).write(to: URL(filePath: path))
        return path
    }

    /// Gives `interface` its addresses and brings it up.
    public func address(_ interface: String, _ addresses: [String]) throws {
        for address in addresses {
            let words = ["ip", "address", "add", address, "dev", interface]
            try Lab.must(self.words(words + (address.contains(":") ? ["nodad"] : [])))
        }
        try must("ip", "link", "set", interface, "up")
    }

    /// Where packets for elsewhere go.
    public func defaultRoutes(_ gateways: [String]) throws {
        for gateway in gateways {
            let family = gateway.contains(":") ? "-6" : "-4"
            try must("ip", family, "route", "replace", "default", "via", gateway)
        }
    }

    /// The host's own `/etc/resolv.conf`, seen by every program that is run on it.
    public func resolvers(_ lines: String) throws {
        let folder = "/etc/netns/\(namespace)"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        try Data(lines.utf8).write(to: URL(filePath: "\(folder)/resolv.conf"))
    }

    /// The content of the host's `/etc/resolv.conf`.
    public var resolverConfiguration: String {
        String(
            decoding: FileManager.default.contents(atPath: "/etc/netns/\(namespace)/resolv.conf")
                ?? Data(),
            as: UTF8.self
        )
    }

    /// A bridge, for hosts to be attached to.
    public func bridge(_ name: String = "br0", addresses: [String]) throws {
        // Without an address of its own it would change to that of a later wire, and its neighbours
        // would ask for the old one until they give up.
        let own = [2] + (0..<5).map { _ in UInt8.random(in: .min ... .max) }
        let hardware = own.map { String(format: "%02x", $0) }.joined(separator: ":")
        try must("ip", "link", "add", name, "address", hardware, "type", "bridge")
        try address(name, addresses)
    }

    /// Forwards packets between its interfaces.
    public func forwards() throws {
        try must("sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1")
    }
}

extension String {
    /// Without blanks and line ends around it.
    public var trimmed: String { trimmingCharacters(in: .whitespacesAndNewlines) }
}
