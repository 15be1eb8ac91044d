internal import Glibc

/// Where a Unix socket of this machine is: a path, or a name that is in no folder (`@…`).
struct LocalAddress {
    private var address = sockaddr_un()
    private let byteCount: Int

    /// - Throws: ``SystemError`` `ENAMETOOLONG` for more than 107 bytes.
    init(_ text: String) throws(SystemError) {
        var bytes = Array(text.utf8)
        let isNameless = bytes.first == UInt8(ascii: "@")
        // The kernel tells such a name by its first byte, and by its length.
        if isNameless { bytes[0] = 0 } else { bytes.append(0) }
        let room = MemoryLayout<sockaddr_un>.size - 2
        guard bytes.count <= room else {
            throw SystemError(call: "use the socket \(text)", code: ENAMETOOLONG)
        }
        address.sun_family = sa_family_t(AF_UNIX)
        unsafe withUnsafeMutableBytes(of: &address.sun_path) { place in
            unsafe place.copyBytes(from: bytes)
        }
        byteCount = 2 + bytes.count
    }

    /// Lends the address to a system call.
    func withPointer<R>(_ body: (UnsafePointer<sockaddr>, socklen_t) -> R) -> R {
        unsafe withUnsafePointer(to: address) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                unsafe body($0, socklen_t(byteCount))
            }
        }
    }
}

extension FileDescriptor {
    /// A Unix socket that is connected to `path`.
    init(localSocketTo path: String, type: __socket_type) throws(SystemError) {
        let address = try LocalAddress(path)
        let socket = try FileDescriptor(socket: AF_UNIX, type: Int32(type.rawValue))
        let raw = socket.raw
        try SystemError.check("connect \(path)") {
            unsafe address.withPointer { unsafe connect(raw, $0, $1) }
        }
        self.init(taking: socket.take())
    }
}
