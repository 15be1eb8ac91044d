internal import Bytes
internal import CLinux
internal import Glibc
internal import IP

/// Links, addresses, routes and rules of the kernel (rtnetlink, RFC 3549), in the network namespace
/// of the calling thread. Each call has a socket of its own and waits for the kernel's answer.
public enum Netlink {}

/// A network interface.
public struct Link: Sendable, Equatable {
    /// The number by which everything else names it.
    public let index: UInt32
    /// Its name, which may change.
    public let name: String
    /// Whether it is up and has a carrier.
    public let isRunning: Bool
    /// Whether it leads back to this host.
    public let isLoopback: Bool
    /// Bytes of the largest packet.
    public let mtu: UInt32
}

/// Changes of an interface; nil leaves a property as it is.
public struct LinkChange: Sendable, Equatable {
    /// Bytes of the largest packet.
    public var mtu: UInt32?
    /// Packets that wait for the device (txqueuelen).
    public var queueLength: UInt32?
    /// Whether IPv6 makes a link-local address by itself (addr_gen_mode).
    public var automaticLinkLocal: Bool?
    /// Whether it shall be up.
    public var isUp: Bool?

    public init(
        mtu: UInt32? = nil,
        queueLength: UInt32? = nil,
        automaticLinkLocal: Bool? = nil,
        isUp: Bool? = nil
    ) {
        (self.mtu, self.queueLength) = (mtu, queueLength)
        (self.automaticLinkLocal, self.isUp) = (automaticLinkLocal, isUp)
    }
}

extension Netlink {
    /// Codes by which the kernel says that it has no IPv6, or not for this interface.
    static func isFamilyMissing(_ code: Int32) -> Bool {
        [EAFNOSUPPORT, EOPNOTSUPP, EPROTONOSUPPORT, EACCES].contains(code)
    }

    /// All interfaces.
    public static func links() throws(NetlinkError) -> [Link] {
        var links: [Link] = []
        var socket = try NetlinkSocket()
        try socket.dump(
            NetlinkMessage(type: RTM_GETLINK, flags: dumpFlags, body: linkBody()),
            "list the interfaces",
            { _, body in
                if let link = link(body) { links.append(link) }
            },
            restart: { links = [] }
        )
        return links
    }

    /// Changes an interface; what concerns IPv6 is skipped where there is none.
    public static func set(link index: UInt32, _ change: LinkChange) throws(NetlinkError) {
        var socket = try NetlinkSocket()
        do throws(NetlinkError) {
            try socket.request(message(index, change), "change interface \(index)")
        } catch {
            guard change.automaticLinkLocal != nil, isFamilyMissing(error.code) else { throw error }
            var rest = change
            rest.automaticLinkLocal = nil
            try socket.request(message(index, rest), "change interface \(index)")
        }
    }

    static var dumpFlags: Int { Int(NLM_F_DUMP) }

    /// struct ifinfomsg.
    private static func linkBody(index: UInt32 = 0, flags: UInt32 = 0, mask: UInt32 = 0) -> [UInt8]
    {
        var body: [UInt8] = [UInt8(AF_UNSPEC), 0, 0, 0]
        body.append(native: index)
        body.append(native: flags)
        body.append(native: mask)
        return body
    }

    private static func message(_ index: UInt32, _ change: LinkChange) -> NetlinkMessage {
        let up = UInt32(IFF_UP)
        let isUp = change.isUp
        var message = NetlinkMessage(
            type: RTM_NEWLINK,
            flags: Int(NLM_F_ACK),
            body: linkBody(index: index, flags: isUp == true ? up : 0, mask: isUp == nil ? 0 : up)
        )
        if let mtu = change.mtu { message.append(Int(IFLA_MTU), mtu) }
        if let length = change.queueLength { message.append(Int(IFLA_TXQLEN), length) }
        if let automatic = change.automaticLinkLocal {
            // IN6_ADDR_GEN_MODE_EUI64 or _NONE.
            let mode: UInt8 = automatic ? 0 : 1
            message.append(Int(IFLA_AF_SPEC)) { message in
                message.append(Int(AF_INET6)) { message in
                    message.append(Int(IFLA_INET6_ADDR_GEN_MODE), [mode])
                }
            }
        }
        return message
    }

    private static func link(_ body: RawSpan) -> Link? {
        guard body.byteCount >= 16 else { return nil }
        let flags = body.nativeUInt32(at: 8)
        var name = ""
        var mtu: UInt32 = 0
        let rest = body.extracting(droppingFirst: 16)
        var attributes = NetlinkAttributes(rest)
        while let (type, value) = attributes.next() {
            switch type {
            case Int(IFLA_IFNAME): name = rest.attributeText(value)
            case Int(IFLA_MTU): mtu = rest.attributeUInt32(value) ?? 0
            default: break
            }
        }
        let running = UInt32(IFF_UP | IFF_RUNNING)
        return Link(
            index: body.nativeUInt32(at: 4),
            name: name,
            isRunning: flags & running == running,
            isLoopback: flags & UInt32(IFF_LOOPBACK) != 0,
            mtu: mtu
        )
    }
}
