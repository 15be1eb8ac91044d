internal import Foundation

/// Two hosts on one wire with a tunnel between them.
public struct TunnelPair {
    /// An implementation of WireGuard at one end.
    public enum Kind: Sendable, Equatable {
        /// `culvert lab tunnel`.
        case ours(executable: String)
        /// Debian's `wireguard-go`.
        case wireGuardGo
    }

    public let network: Network
    public let left: LabHost
    public let right: LabHost
    /// The tunnel's addresses.
    public let leftInside = "10.9.0.1"
    public let rightInside = "10.9.0.2"

    init(oursNamed name: String, executable: String) throws {
        let ours = Kind.ours(executable: executable)
        try self.init(name: name, left: ours, right: ours)
    }

    init(wireGuardGoNamed name: String) throws {
        try self.init(name: name, left: .wireGuardGo, right: .wireGuardGo)
    }

    /// Makes both ends; the left one begins the handshake.
    ///
    /// - Parameters:
    ///   - name: The network's name, in its namespaces' names.
    ///   - left: What runs on the left.
    ///   - right: What runs on the right.
    ///   - presharedKey: Whether both share a key besides.
    /// - Throws: ``LabError`` when the network or an end does not come up.
    public init(name: String, left: Kind, right: Kind, presharedKey: Bool = false) throws {
        network = try Network(name: name)
        do {
            self.left = try network.host("left")
            self.right = try network.host("right")
            try Lab.must([
                "ip", "link", "add", "eth0", "netns", self.left.namespace, "type", "veth", "peer",
                "name", "eth0", "netns", self.right.namespace,
            ])
            try self.left.address("eth0", ["192.0.2.1/24"])
            try self.right.address("eth0", ["192.0.2.2/24"])
            var shared: String?
            if presharedKey {
                shared = try self.left.write("psk", try Lab.wireGuardKey("genpsk"))
            }
            // The answering end must be there before the first initiation.
            var rightEnd = try TunnelEndProcess(
                kind: right,
                on: self.right,
                initiates: false,
                inside: rightInside
            )
            var leftEnd = try TunnelEndProcess(
                kind: left,
                on: self.left,
                initiates: true,
                inside: leftInside
            )
            let frames = left == right && left != .wireGuardGo
            try rightEnd.start(presharedKeyFile: shared, frames: frames)
            try leftEnd.start(presharedKeyFile: shared, frames: frames)
            try rightEnd.peer(
                leftEnd,
                remote: "192.0.2.1",
                inside: leftInside,
                presharedKeyFile: shared
            )
            try leftEnd.peer(
                rightEnd,
                remote: "192.0.2.2",
                inside: rightInside,
                presharedKeyFile: shared
            )
            let answers = try Lab.waits(seconds: 10) {
                try self.left.run("ping", "-c1", "-W1", rightInside).code == 0
            }
            guard answers else {
                throw LabError("The tunnel does not open.\n\(leftEnd.output)\n\(rightEnd.output)")
            }
        } catch {
            network.remove()
            throw error
        }
    }
}

extension Lab {
    /// A key from `wg`, without its warning about files that others can read.
    fileprivate static func wireGuardKey(_ kind: String) throws -> String {
        let lines = try must(["wg", kind]).split(separator: "\n").map(String.init)
        guard let key = lines.first(where: { $0.count == 44 && $0.hasSuffix("=") }) else {
            throw LabError("wg \(kind) gives no key: \(lines)")
        }
        return key + "\n"
    }
}

/// One end of a tunnel as a process.
private struct TunnelEndProcess {
    private let kind: TunnelPair.Kind
    private let host: LabHost
    private let initiates: Bool
    private let inside: String
    private var process: Running?
    private(set) var publicKey = ""
    /// Unique on the machine: the control sockets of wireguard-go lie in one folder for all hosts.
    private var device: String { "\(host.network.name)\(host.title)" }

    init(kind: TunnelPair.Kind, on host: LabHost, initiates: Bool, inside: String) throws {
        (self.kind, self.host, self.initiates, self.inside) = (kind, host, initiates, inside)
    }

    var output: String { process?.output ?? "" }
    private var peerKeyFile: String { "\(host.folder)/peer.key" }

    mutating func start(presharedKeyFile: String?, frames: Bool) throws {
        switch kind {
        case .ours(let executable):
            var words = [
                executable, "lab", "tunnel", "--peer-key-file", peerKeyFile, "--address",
                "\(inside)/24", "--device", device, "--port", "51820",
            ]
            if initiates { words += ["--initiates", "--endpoint", "192.0.2.2:51820"] }
            if let presharedKeyFile { words += ["--preshared-key-file", presharedKeyFile] }
            if frames { words.append("--frames") }
            let process = try host.start("tunnel", words)
            try process.waitForOutput("=\n")
            publicKey =
                process.output.split(separator: "\n").map(String.init)
                .first { $0.hasSuffix("=") } ?? ""
            self.process = process
        case .wireGuardGo:
            let process = try host.start("wireguard-go", ["wireguard-go", "--foreground", device])
            self.process = process
            let isThere = try Lab.waits(seconds: 10) {
                try host.run("wg", "show", device).code == 0
            }
            guard isThere else { throw LabError("wireguard-go does not start: \(process.output)") }
            let key = try Lab.wireGuardKey("genkey")
            let path = try host.write("private.key", key)
            publicKey = try Lab.must(["wg", "pubkey"], input: key).trimmed
            try host.must("wg", "set", device, "private-key", path, "listen-port", "51820")
            try host.must("ip", "address", "add", "\(inside)/24", "dev", device)
            try host.must("ip", "link", "set", device, "mtu", "1280", "up")
        }
    }

    func peer(
        _ other: TunnelEndProcess,
        remote: String,
        inside: String,
        presharedKeyFile: String?
    ) throws {
        switch kind {
        case .ours: try host.write("peer.key", other.publicKey + "\n")
        case .wireGuardGo:
            var words = [
                "wg", "set", device, "peer", other.publicKey, "allowed-ips", "\(inside)/32",
            ]
            if initiates { words += ["endpoint", "\(remote):51820"] }
            if let presharedKeyFile { words += ["preshared-key", presharedKeyFile] }
            try host.run(words)
        }
    }
}
