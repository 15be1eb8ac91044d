internal import CLinux
internal import Glibc

/// An open file descriptor with one owner; closed when the owner lets go of it.
public struct FileDescriptor: ~Copyable, Sendable {
    /// The number, for system calls while this value lives.
    public let raw: Int32

    /// Takes over `raw`.
    public init(taking raw: Int32) { self.raw = raw }

    deinit { _ = Glibc.close(raw) }

    /// Gives the number away, to be closed by the new owner.
    public consuming func take() -> Int32 {
        let raw = raw
        discard self
        return raw
    }
}

extension FileDescriptor {
    /// Opens `path`; the descriptor is closed in child processes.
    init(open path: String, flags: Int32, mode: UInt32 = 0o644) throws(SystemError) {
        let raw = try SystemError.check("open \(path)") {
            unsafe culvert_open(path, flags | O_CLOEXEC, mode)
        }
        self.init(taking: raw)
    }

    /// A socket, closed in child processes.
    init(socket family: Int32, type: Int32, protocol number: Int32 = 0) throws(SystemError) {
        let kind = type | Int32(SOCK_CLOEXEC.rawValue)
        let raw = try SystemError.check("socket") { Glibc.socket(family, kind, number) }
        self.init(taking: raw)
    }

    /// Sets an integer option.
    func setOption(_ level: Int32, _ option: Int32, _ value: Int32) throws(SystemError) {
        var value = value
        try SystemError.check("setsockopt \(option) of level \(level)") {
            unsafe setsockopt(
                raw,
                level,
                option,
                &value,
                socklen_t(MemoryLayout<Int32>.size)
            )
        }
    }

    /// Sets an integer option; false where the kernel refuses it.
    func trySetOption(_ level: Int32, _ option: Int32, _ value: Int32) -> Bool {
        do throws(SystemError) {
            try setOption(level, option, value)
            return true
        } catch {
            return false
        }
    }

    /// Binds a socket to `endpoint`.
    func bind(to endpoint: SocketAddress) throws(SystemError) {
        try SystemError.check("bind") {
            unsafe endpoint.withPointer { address, byteCount in
                unsafe Glibc.bind(raw, address, byteCount)
            }
        }
    }

    /// The endpoint that a socket is bound to.
    func localEndpoint() throws(SystemError) -> SocketAddress {
        var address = SocketAddress.empty
        try SystemError.check("getsockname") {
            unsafe address.withMutablePointer { address, byteCount in
                unsafe getsockname(raw, address, byteCount)
            }
        }
        return address
    }
}
