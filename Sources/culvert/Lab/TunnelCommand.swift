internal import ArgumentParser
internal import Bytes
internal import Control
internal import Daemon
internal import Foundation
internal import IP
internal import Linux
internal import Peering
internal import SansIO
internal import WireGuard

/// `culvert lab tunnel`: a plain WireGuard device, for benchmarks and for tests with others.
struct TunnelCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "tunnel",
        abstract: "One end of one WireGuard tunnel; prints its public key first.",
        shouldDisplay: false
    )

    @Flag(help: "Begin the handshake (else answer it).")
    var initiates = false

    @Flag(help: "The other end is ours too and understands control frames.")
    var frames = false

    @Option(help: "Where the other end is, as address:port.")
    var endpoint: String?

    @Option(help: "A file with the other end's public key in base64; waited for.")
    var peerKeyFile: String

    @Option(help: "A file with the preshared key in base64.")
    var presharedKeyFile: String?

    @Option(help: "The UDP port.")
    var port: UInt16 = 51830

    @Option(help: "The name of the tunnel device.")
    var device = "culvert0"

    @Option(help: "Addresses of the tunnel device, with prefix length.")
    var address: [String] = []

    func run() async throws {
        let device = try TunnelDevice(name: device)
        try device.configure()
        for text in address { try Self.add(text, to: device.index) }
        let now = SystemClock.now()
        let wall = SystemClock.wall()
        let start = WallStart(
            unixNanoseconds: UInt64(wall.seconds) * 1_000_000_000 + UInt64(wall.nanoseconds),
            at: now
        )
        let end = TunnelEnd(
            role: initiates ? .client : .gateway,
            wallStart: start,
            random: Kernel.randomSource()
        )
        let line = Base64.encode(end.publicKey.array, as: .standard) + "\n"
        FileHandle.standardOutput.write(Data(line.utf8))
        let plane = try DataPlane(
            machine: end,
            tunnel: device,
            sockets: try UDPSockets(preferredPort: port),
            onOutput: { _ in },
            onNote: { FileHandle.standardError.write(Data("\($0)\n".utf8)) }
        )
        await plane.handle(.peer(try configuration()))
        Interruption.wait()
        await plane.stop()
    }

    private func configuration() throws -> PeerConfiguration {
        var candidates: [Peering.Candidate] = []
        if let endpoint {
            guard let parsed = Endpoint(endpoint) else {
                throw Sentence("\(endpoint) is not an address with a port.", exit: .usedWrongly)
            }
            candidates = [Peering.Candidate(.host, parsed)]
        }
        return PeerConfiguration(
            publicKey: try Self.key(in: peerKeyFile),
            presharedKey: try presharedKeyFile.map(Self.key(in:)),
            candidates: candidates,
            speaksFrames: frames
        )
    }

    private static func key(in path: String) throws -> Key {
        let deadline = ContinuousClock.now + .seconds(30)
        while true {
            let text = String(
                decoding: FileManager.default.contents(atPath: path) ?? Data(),
                as: UTF8.self
            ).trimmingCharacters(in: .whitespacesAndNewlines)
            if let bytes = try? Base64.decode(text, as: .standard),
                let key = Key(copying: bytes.rawSpan)
            {
                return key
            }
            guard ContinuousClock.now < deadline else {
                throw Sentence("\(path) holds no key in base64.", exit: .usedWrongly)
            }
            usleep(20_000)
        }
    }

    private static func add(_ text: String, to interface: UInt32) throws {
        let parts = text.split(separator: "/")
        guard parts.count == 2, let address = IPAddress(String(parts[0])), let bits = Int(parts[1])
        else {
            throw Sentence("\(text) is not an address with a prefix length.", exit: .usedWrongly)
        }
        try Netlink.add(
            InterfaceAddress(interface: interface, address: address, bitCount: bits)
        )
    }
}
