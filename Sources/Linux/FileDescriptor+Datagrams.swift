internal import CLinux
internal import Glibc
internal import IP

/// Buffers that a socket asks the kernel for, in bytes. A bound, not memory that is set aside.
struct SocketBuffers {
    let receiveByteCount: Int32
    let sendByteCount: Int32

    /// Of the main port: 10 ms at 10 Gbit/s, the next power of two; 1 ms.
    static let main = SocketBuffers(receiveByteCount: 16 << 20, sendByteCount: 2 << 20)
    /// Of a port of a machine's own: 10 ms at 800 Mbit/s; 4 ms.
    static let port = SocketBuffers(receiveByteCount: 1 << 20, sendByteCount: 512 << 10)
}

extension FileDescriptor {
    /// A UDP socket that never waits.
    init(datagrams family: IPFamily) throws(SystemError) {
        try self.init(
            socket: family == .ipv4 ? AF_INET : AF_INET6,
            type: Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_NONBLOCK.rawValue)
        )
    }

    /// Sets what the packet path needs of a UDP socket of `family`.
    ///
    /// - Returns: Whether received datagrams will come joined.
    func prepareForPackets(
        _ family: IPFamily,
        mark: UInt32,
        buffers: SocketBuffers
    ) throws(SystemError) -> Bool {
        switch family {
        case .ipv4:
            let level = Int32(IPPROTO_IP)
            try setOption(level, IP_PKTINFO, 1)
            try setOption(level, IP_RECVTOS, 1)
            try setOption(level, IP_MTU_DISCOVER, IP_PMTUDISC_DONT)
        case .ipv6:
            let level = Int32(IPPROTO_IPV6)
            try setOption(level, IPV6_V6ONLY, 1)
            try setOption(level, culvert_IPV6_RECVPKTINFO, 1)
            try setOption(level, IPV6_RECVTCLASS, 1)
            try setOption(level, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_DONT)
        }
        if mark != 0 { try setOption(SOL_SOCKET, SO_MARK, Int32(bitPattern: mark)) }
        for (forced, plain, byteCount) in [
            (SO_RCVBUFFORCE, SO_RCVBUF, buffers.receiveByteCount),
            (SO_SNDBUFFORCE, SO_SNDBUF, buffers.sendByteCount),
        ] where !trySetOption(SOL_SOCKET, forced, byteCount) {
            // Without privilege the kernel cuts the size to its limit and says nothing.
            _ = trySetOption(SOL_SOCKET, plain, byteCount)
        }
        return trySetOption(Int32(IPPROTO_UDP), culvert_UDP_GRO, 1)
    }
}
