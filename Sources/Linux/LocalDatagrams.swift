internal import CLinux
internal import Glibc

/// Datagrams to a Unix socket of this machine, which never wait for its reader.
public struct LocalDatagrams: ~Copyable, Sendable {
    private let socket: FileDescriptor

    /// - Parameter path: Of the socket; at most 107 bytes.
    /// - Throws: ``SystemError`` when nobody listens there.
    public init(to path: String) throws(SystemError) {
        socket = try FileDescriptor(localSocketTo: path, type: SOCK_DGRAM)
    }

    /// Sends one datagram.
    ///
    /// - Parameter bytes: All of it.
    /// - Returns: False when its reader is gone or behind.
    public func send(_ bytes: [UInt8]) -> Bool {
        unsafe bytes.withUnsafeBytes { bytes in
            let flags = Int32(MSG_NOSIGNAL) | Int32(MSG_DONTWAIT)
            return unsafe Glibc.send(socket.raw, bytes.baseAddress, bytes.count, flags)
                == bytes.count
        }
    }
}
