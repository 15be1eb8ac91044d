internal import Bytes
internal import CLinux
internal import Glibc
public import IP

/// The UDP sockets of one loop: one for each family, on the same port.
///
/// Bound to every address; each datagram's own address, ECN bits and segment size travel beside it.
/// Path MTU discovery is off, so that the kernel fragments what a small link cannot carry. Made in
/// the network namespace of the calling thread.
public struct UDPSockets: ~Copyable, Sendable {
    /// What a person may want to know about the sockets; not an error.
    public enum Note: Equatable, Sendable, CustomStringConvertible {
        /// The preferred port is in use; another one was taken.
        case portTaken(preferred: UInt16, taken: UInt16)
        /// One family is not there; the other goes on.
        case familyUnavailable(IPFamily, SystemError)
        /// The kernel joins no received datagrams (no UDP_GRO): correct, but slower.
        case receivesSingly

        public var description: String {
            switch self {
            case .portTaken(let preferred, let taken):
                "UDP port \(preferred) is in use by another program; using \(taken). A firewall "
                    + "rule for the first will not match."
            case .familyUnavailable(let family, let error):
                "No UDP socket for \(family == .ipv4 ? "IPv4" : "IPv6") (\(error)); going on "
                    + "without it."
            case .receivesSingly:
                "The kernel does not join received datagrams (UDP_GRO); going on, slower."
            }
        }
    }

    /// Sizes that the sockets ask for.
    enum Limits {
        /// Receive buffer in bytes: 10 ms at 10 Gbit/s, the next power of two.
        static var receiveByteCount: Int32 { 16 << 20 }
        /// Send buffer in bytes: 1 ms at 10 Gbit/s.
        static var sendByteCount: Int32 { 2 << 20 }
        /// Random ports tried until both families have the same one.
        static var portAttempts: Int { 16 }
    }

    var ipv4: FileDescriptor?
    var ipv6: FileDescriptor?
    /// The port of both, host byte order.
    public let port: UInt16

    /// Opens a socket of each family, on one port.
    ///
    /// - Parameters:
    ///   - preferredPort: 0 for any.
    ///   - mark: The firewall mark that keeps their packets out of the tunnel; 0 for none.
    ///   - onNote: Told of what works less well than wished.
    /// - Throws: ``SystemError``, the one of IPv4 first, when neither family works.
    public init(
        preferredPort: UInt16 = 0,
        mark: UInt32 = 0,
        onNote: (Note) -> Void = { _ in }
    ) throws(SystemError) {
        var wanted = preferredPort
        for _ in 0..<Limits.portAttempts {
            let four = Self.open(.ipv4, port: wanted, mark: mark)
            let six = Self.open(.ipv6, port: four.port ?? wanted, mark: mark)
            if four.isPortTaken || six.isPortTaken {
                wanted = 0
                continue
            }
            guard let port = four.port ?? six.port else {
                throw four.error ?? six.error ?? SystemError(call: "socket", code: EAFNOSUPPORT)
            }
            if preferredPort != 0, port != preferredPort {
                onNote(.portTaken(preferred: preferredPort, taken: port))
            }
            if let error = four.error { onNote(.familyUnavailable(.ipv4, error)) }
            if let error = six.error { onNote(.familyUnavailable(.ipv6, error)) }
            if !four.joins && !six.joins { onNote(.receivesSingly) }
            self.port = port
            ipv4 = four.takeDescriptor()
            ipv6 = six.takeDescriptor()
            return
        }
        throw SystemError(call: "bind", code: EADDRINUSE)
    }

    /// The families that work.
    public var families: [IPFamily] {
        (ipv4 == nil ? [] : [.ipv4]) + (ipv6 == nil ? [] : [.ipv6])
    }

    /// One try at one family.
    private struct Opened: ~Copyable {
        var descriptor: FileDescriptor?
        var port: UInt16?
        var error: SystemError?
        /// Whether received datagrams come joined.
        var joins = false

        var isPortTaken: Bool { error?.code == EADDRINUSE }

        consuming func takeDescriptor() -> FileDescriptor? { descriptor.take() }
    }

    private static func open(_ family: IPFamily, port: UInt16, mark: UInt32) -> Opened {
        var opened = Opened()
        do throws(SystemError) {
            let descriptor = try FileDescriptor(
                socket: family == .ipv4 ? AF_INET : AF_INET6,
                type: Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_NONBLOCK.rawValue)
            )
            opened.joins = try setOptions(of: descriptor, family, mark: mark)
            try descriptor.bind(to: SocketAddress(any: family, port: port))
            opened.port = try descriptor.localEndpoint().endpoint.port
            opened.descriptor = consume descriptor
        } catch {
            opened.error = error
        }
        return opened
    }

    /// Returns whether received datagrams will come joined.
    private static func setOptions(
        of descriptor: borrowing FileDescriptor,
        _ family: IPFamily,
        mark: UInt32
    ) throws(SystemError) -> Bool {
        switch family {
        case .ipv4:
            let level = Int32(IPPROTO_IP)
            try descriptor.setOption(level, IP_PKTINFO, 1)
            try descriptor.setOption(level, IP_RECVTOS, 1)
            try descriptor.setOption(level, IP_MTU_DISCOVER, IP_PMTUDISC_DONT)
        case .ipv6:
            let level = Int32(IPPROTO_IPV6)
            try descriptor.setOption(level, IPV6_V6ONLY, 1)
            try descriptor.setOption(level, culvert_IPV6_RECVPKTINFO, 1)
            try descriptor.setOption(level, IPV6_RECVTCLASS, 1)
            try descriptor.setOption(level, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_DONT)
        }
        if mark != 0 {
            try descriptor.setOption(SOL_SOCKET, SO_MARK, Int32(bitPattern: mark))
        }
        for (forced, plain, byteCount) in [
            (SO_RCVBUFFORCE, SO_RCVBUF, Limits.receiveByteCount),
            (SO_SNDBUFFORCE, SO_SNDBUF, Limits.sendByteCount),
        ] where !descriptor.trySetOption(SOL_SOCKET, forced, byteCount) {
            // Without privilege the kernel cuts the size to its limit and says nothing.
            _ = descriptor.trySetOption(SOL_SOCKET, plain, byteCount)
        }
        return descriptor.trySetOption(Int32(IPPROTO_UDP), culvert_UDP_GRO, 1)
    }
}
