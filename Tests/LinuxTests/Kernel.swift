internal import Bytes
internal import CLinux
internal import Glibc
internal import IP
internal import SansIO
internal import Synchronization
internal import Testing

@testable internal import Linux

/// Everything that needs namespaces hangs below this suite, so that it runs one test at a time.
@Suite(
    "On this kernel",
    .serialized,
    .enabled(if: geteuid() == 0, "needs root"),
    .timeLimit(.minutes(1))
)
enum KernelTests {}

/// A program that is part of the test's scenery failed.
struct SceneryError: Error, CustomStringConvertible {
    let description: String
}

/// Runs a command line in `namespace`; its output.
@discardableResult
func run(_ line: String, in namespace: borrowing NetworkNamespace) throws -> String {
    let words = line.split(separator: " ").map(String.init)
    guard let path = Subprocess.find(words[0]) else {
        throw SceneryError(description: "\(words[0]) is not installed")
    }
    let result = try namespace.run { () -> Result<Subprocess.Outcome, SystemError> in
        do throws(SystemError) {
            return .success(try Subprocess.run(path, Array(words.dropFirst())))
        } catch {
            return .failure(error)
        }
    }
    let outcome = try result.get()
    guard outcome.status == 0 else {
        throw SceneryError(description: "\(line): \(outcome.status): \(outcome.output)")
    }
    return outcome.output
}

/// What `work` makes on a thread inside `namespace`, handed out whole.
func make<Value: ~Copyable & Sendable>(
    in namespace: borrowing NetworkNamespace,
    _ work: @escaping @Sendable () throws -> Value
) throws -> Value {
    let result = try namespace.run { () -> Result<Handover<Value>, any Error> in
        Result { Handover(try work()) }
    }
    guard let value = try result.get().take() else { throw SceneryError(description: "lost") }
    return value
}

/// A data plane around an echo machine, and what it puts out.
struct Plane {
    let plane: DataPlane<EchoMachine>
    let outputs: AsyncStream<EchoMachine.Output>
    let notes: Notes
    let port: UInt16

    final class Notes: Sendable {
        let all = Mutex<[LoopNote]>([])
    }

    init(
        in namespace: borrowing NetworkNamespace,
        tunnel: Bool = false,
        echoes: Bool = false,
        ecn: UInt8 = 0,
        sendByteCount: Int32? = nil,
        forwards: Endpoint? = nil,
        listening: (addresses: [IPAddress], port: UInt16)? = nil
    ) throws {
        let (outputs, continuation) = AsyncStream.makeStream(of: EchoMachine.Output.self)
        let notes = Notes()
        self.outputs = outputs
        self.notes = notes
        (plane, port) = try make(in: namespace) {
            let sockets =
                if let listening {
                    try UDPSockets(listeningOn: listening.addresses, port: listening.port)
                } else {
                    try UDPSockets()
                }
            let port = sockets.port
            if let sendByteCount {
                try sockets.setSendByteCount(sendByteCount)
            }
            var device: TunnelDevice?
            if tunnel {
                device = try TunnelDevice(name: "cvlx%d")
                try device?.configure()
            }
            let plane = try DataPlane(
                machine: EchoMachine(echoes: echoes, ecn: ecn, forwards: forwards),
                tunnel: device,
                sockets: sockets,
                onOutput: { continuation.yield($0) },
                onNote: { note in notes.all.withLock { $0.append(note) } }
            )
            return (plane, port)
        }
    }

    /// The first output that `matches`.
    func first(_ matches: (EchoMachine.Output) -> Bool) async -> EchoMachine.Output? {
        for await output in outputs where matches(output) { return output }
        return nil
    }

    /// Waits until `count` datagrams have come in all.
    func received(_ count: Int) async {
        _ = await first { output in
            if case .received(let sum) = output { sum >= count } else { false }
        }
    }
}

extension UDPSockets {
    /// Makes every send buffer this small.
    func setSendByteCount(_ byteCount: Int32) throws {
        for socket in all {
            let duplicate = FileDescriptor(taking: dup(socket.descriptor))
            try duplicate.setOption(SOL_SOCKET, SO_SNDBUF, byteCount)
        }
    }
}

/// The port that a socket is bound to.
func boundPort(of descriptor: Int32) throws -> UInt16 {
    try FileDescriptor(taking: dup(descriptor)).localEndpoint().endpoint.port
}

extension NetworkNamespace {
    /// A path by which other programs find it while this value lives.
    var path: String { "/proc/\(getpid())/fd/\(descriptor.raw)" }
}

/// Two namespaces joined by a veth pair: 10.9.0.1 and 10.9.0.2, fd09::1 and fd09::2.
struct Pair: ~Copyable {
    let near: NetworkNamespace
    let far: NetworkNamespace

    init(mtu: Int = 1_500) throws {
        let near = try NetworkNamespace()
        let far = try NetworkNamespace()
        let peer = "peer name cvlxb mtu \(mtu) netns \(far.path)"
        try run("ip link add cvlxa mtu \(mtu) type veth \(peer)", in: near)
        try Self.setUp("cvlxa", 1, in: near)
        try Self.setUp("cvlxb", 2, in: far)
        // Returns when both ends have their carrier.
        try run("ping -c 1 -W 5 10.9.0.2", in: near)
        self.near = near
        self.far = far
    }

    private static func setUp(
        _ name: String,
        _ number: Int,
        in namespace: borrowing NetworkNamespace
    ) throws {
        try run("ip link set lo up", in: namespace)
        try run("ip address add 10.9.0.\(number)/24 dev \(name)", in: namespace)
        try run("ip address add fd09::\(number)/64 dev \(name) nodad", in: namespace)
        try run("ip link set \(name) up", in: namespace)
    }
}

func endpoint(_ text: String, _ port: UInt16) -> Endpoint {
    IPAddress(text).map { Endpoint($0, port: port) } ?? .unspecified
}

/// Sends datagrams as an application would, as fast as its socket takes them.
enum Blast {
    static func send(
        _ count: Int,
        byteCount: Int,
        to remote: Endpoint
    ) -> Result<Void, SystemError> {
        let bytes = [UInt8](repeating: 7, count: byteCount)
        do throws(SystemError) {
            let socket = try FileDescriptor(socket: AF_INET, type: Int32(SOCK_DGRAM.rawValue))
            let address = SocketAddress(remote)
            try SystemError.check("connect") {
                unsafe address.withPointer { unsafe connect(socket.raw, $0, $1) }
            }
            for _ in 0..<count { try socket.writeAll(bytes) }
            return .success(())
        } catch {
            return .failure(error)
        }
    }
}
