internal import CLinux
internal import Glibc
public import IP

/// Why TCP to the sentinels cannot be served.
public enum SentinelListenerError: Error, Equatable, Sendable, CustomStringConvertible {
    /// The process may not make a network namespace.
    case refused(SystemError)
    case tunnel(TunnelError)
    case netlink(NetlinkError)
    case system(SystemError)

    public var description: String {
        switch self {
        case .refused(let error):
            "DNS over TCP is off: a network namespace could not be made (\(error)). It takes the "
                + "capability CAP_SYS_ADMIN; DNS over UDP works without."
        case .tunnel(let error): "DNS over TCP is off. \(error)"
        case .netlink(let error): "DNS over TCP is off. \(error)."
        case .system(let error): "DNS over TCP is off. \(error)."
        }
    }
}

/// The kernel's TCP stack for addresses that must not be the host's own: in a network namespace of
/// ours, whose only device is a second TUN. Give the device to a ``Diversion``.
public struct SentinelListener: ~Copyable, Sendable {
    enum Limits {
        /// Connections that wait to be accepted.
        static var backlog: Int32 { 128 }
    }

    /// The second tunnel device.
    public var device: TunnelDevice?
    /// A listening socket for IPv4; accepts connections to any of the addresses.
    public var ipv4: FileDescriptor?
    /// The same for IPv6.
    public var ipv6: FileDescriptor?

    /// Makes the namespace, its device, and the listening sockets, which do not block.
    ///
    /// - Parameters:
    ///   - addresses: All that connections may go to; the connection's local address tells which.
    ///   - port: TCP port.
    /// - Throws: ``SentinelListenerError`` when the kernel refuses a part of it.
    public init(addresses: [IPPrefix], port: UInt16 = 53) throws(SentinelListenerError) {
        let outcome: Result<Parts, SentinelListenerError>
        do throws(SystemError) {
            let namespace = try NetworkNamespace()
            outcome = try namespace.run { Self.make(addresses, port) }
        } catch {
            throw .refused(error)
        }
        guard var parts = try outcome.get().content.take() else {
            throw .refused(SystemError(call: "unshare", code: ESRCH))
        }
        device = parts.device.take()
        ipv4 = parts.ipv4.take()
        ipv6 = parts.ipv6.take()
    }

    /// What the thread in the namespace hands out.
    private struct Parts: Sendable {
        let content: Handover<SentinelParts>
    }

    private static func make(
        _ addresses: [IPPrefix],
        _ port: UInt16
    ) -> Result<Parts, SentinelListenerError> {
        do throws(SentinelListenerError) {
            let device = try makeDevice(addresses)
            let ipv4 = try makeListener(.ipv4, port)
            // A kernel without IPv6 has no sentinels of it either.
            let ipv6 = try? makeListener(.ipv6, port)
            let parts = SentinelParts(device: device, ipv4: ipv4, ipv6: ipv6)
            return .success(Parts(content: Handover(parts)))
        } catch {
            return .failure(error)
        }
    }

    private static func makeDevice(
        _ addresses: [IPPrefix]
    ) throws(SentinelListenerError) -> TunnelDevice {
        let device: TunnelDevice
        do throws(TunnelError) {
            device = try TunnelDevice(name: "sentinels")
        } catch {
            throw .tunnel(error)
        }
        do throws(NetlinkError) {
            let loopback: UInt32 = 1
            try Netlink.set(link: loopback, LinkChange(isUp: true))
            try device.configure()
            for prefix in addresses {
                // Every address of the prefix is local, without being listed one by one.
                try Netlink.add(
                    Route(prefix, kind: .local, table: Route.localTable, interface: loopback)
                )
            }
            for everything in ["0.0.0.0/0", "::/0"] {
                guard let prefix = IPPrefix(everything) else { continue }
                do throws(NetlinkError) {
                    try Netlink.add(Route(prefix, interface: device.index))
                } catch {
                    guard Netlink.isFamilyMissing(error.code) else { throw error }
                }
            }
        } catch {
            throw .netlink(error)
        }
        return device
    }

    private static func makeListener(
        _ family: IPFamily,
        _ port: UInt16
    ) throws(SentinelListenerError) -> FileDescriptor {
        do throws(SystemError) {
            let listener = try FileDescriptor(
                socket: family == .ipv4 ? AF_INET : AF_INET6,
                type: Int32(SOCK_STREAM.rawValue) | Int32(SOCK_NONBLOCK.rawValue)
            )
            if family == .ipv6 {
                try listener.setOption(Int32(IPPROTO_IPV6), IPV6_V6ONLY, 1)
            }
            try listener.setOption(SOL_SOCKET, SO_REUSEADDR, 1)
            try listener.bind(to: SocketAddress(any: family, port: port))
            try SystemError.check("listen") { listen(listener.raw, Limits.backlog) }
            return listener
        } catch {
            throw .system(error)
        }
    }
}

/// The device and sockets, on their way out of the namespace's thread.
private struct SentinelParts: ~Copyable, Sendable {
    var device: TunnelDevice?
    var ipv4: FileDescriptor?
    var ipv6: FileDescriptor?
}
