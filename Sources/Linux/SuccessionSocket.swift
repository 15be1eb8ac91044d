internal import CLinux
internal import Glibc
internal import SansIO

/// Where a running process can be asked for what it has: a Unix socket beside its state.
///
/// The process that asks must be the same user, or root. It is sent one ``DescriptorSet``; the end
/// of the connection is the end of the process that sent it.
public struct SuccessionSocket: ~Copyable, Sendable {
    private let socket: FileDescriptor

    /// Listens at `path`; what is left there of another process is removed.
    ///
    /// - Parameter path: At most 107 bytes.
    /// - Throws: ``SystemError`` when it cannot be made.
    public init(listeningAt path: String) throws(SystemError) {
        let address = try LocalAddress(path)
        let socket = try FileDescriptor(
            socket: AF_UNIX,
            type: Int32(SOCK_SEQPACKET.rawValue) | Int32(SOCK_NONBLOCK.rawValue)
        )
        TextFile.remove(path)
        let raw = socket.raw
        try SystemError.check("bind \(path)") {
            unsafe address.withPointer { unsafe bind(raw, $0, $1) }
        }
        _ = unsafe chmod(path, 0o600)
        try SystemError.check("listen \(path)") { listen(raw, 4) }
        self.socket = socket
    }

    /// Becomes readable when somebody asks.
    public var descriptor: Int32 { socket.raw }

    /// Takes the next one who may ask.
    ///
    /// - Returns: The connection to it; nil when there is none.
    public func accept() -> FileDescriptor? {
        while true {
            let raw = Glibc.accept(socket.raw, nil, nil)
            guard raw >= 0 else { return nil }
            let connection = FileDescriptor(taking: raw)
            _ = fcntl(raw, F_SETFD, FD_CLOEXEC)
            var user: UInt32 = .max
            guard unsafe culvert_peer_user(raw, &user) == 0, user == 0 || user == geteuid() else {
                continue
            }
            return connection
        }
    }

    /// Connects to the process that listens at `path`.
    ///
    /// - Parameter path: As it was given there.
    /// - Returns: The connection; nil when nobody listens.
    /// - Throws: ``SystemError`` when that cannot be known.
    public static func connect(to path: String) throws(SystemError) -> FileDescriptor? {
        do throws(SystemError) {
            return try FileDescriptor(localSocketTo: path, type: SOCK_SEQPACKET)
        } catch {
            if error.code == ENOENT || error.code == ECONNREFUSED { return nil }
            throw error
        }
    }

    /// Waits until the other side has sent something, or ended.
    ///
    /// - Parameters:
    ///   - connection: To the other side.
    ///   - timeout: How long.
    /// - Returns: False when nothing happened.
    public static func wait(for connection: borrowing FileDescriptor, _ timeout: Duration) -> Bool {
        wait(for: connection.raw, timeout)
    }

    /// Waits until the other side, which has sent everything, ends.
    ///
    /// - Parameters:
    ///   - connection: To the other side; open for as long.
    ///   - timeout: How long at most.
    public static func waitForEnd(of connection: Int32, _ timeout: Duration) {
        _ = wait(for: connection, timeout)
    }

    private static func wait(for connection: Int32, _ timeout: Duration) -> Bool {
        let end = SystemClock.now().advanced(by: timeout)
        while true {
            let left = max(0, SystemClock.now().duration(to: end).nanoseconds / 1_000_000)
            var waited = pollfd(fd: connection, events: Int16(POLLIN), revents: 0)
            let ready = unsafe poll(&waited, 1, Int32(clamping: left))
            if ready < 0, errno == EINTR { continue }
            return ready > 0
        }
    }
}
