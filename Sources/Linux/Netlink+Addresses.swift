internal import Bytes
internal import CLinux
internal import Glibc
public import IP

/// An address of an interface.
public struct InterfaceAddress: Sendable, Equatable {
    /// Index of the interface that has it.
    public let interface: UInt32
    /// The address itself; with a peer, our end.
    public let address: IPAddress
    /// Leading bits of the network that it implies: 32 or 128 for none.
    public let bitCount: Int
    /// Not confirmed yet, found in use elsewhere, or not to be used for new connections.
    public let isUnusable: Bool
    /// Changes by itself, for privacy (RFC 8981).
    public let isTemporary: Bool

    public init(
        interface: UInt32,
        address: IPAddress,
        bitCount: Int,
        isUnusable: Bool = false,
        isTemporary: Bool = false
    ) {
        (self.interface, self.address, self.bitCount) = (interface, address, bitCount)
        (self.isUnusable, self.isTemporary) = (isUnusable, isTemporary)
    }
}

extension Netlink {
    /// All addresses of all interfaces.
    public static func addresses() throws(NetlinkError) -> [InterfaceAddress] {
        var addresses: [InterfaceAddress] = []
        var socket = try NetlinkSocket()
        try socket.dump(
            NetlinkMessage(
                type: RTM_GETADDR,
                flags: dumpFlags,
                body: [UInt8](repeating: 0, count: 8)
            ),
            "list the addresses",
            { _, body in
                if let address = address(body) { addresses.append(address) }
            },
            restart: { addresses = [] }
        )
        return addresses
    }

    /// Gives an interface an address; one that it has already is fine. No duplicate detection.
    public static func add(_ address: InterfaceAddress) throws(NetlinkError) {
        var socket = try NetlinkSocket()
        try socket.request(
            message(address, type: RTM_NEWADDR, flags: NLM_F_CREATE | NLM_F_REPLACE),
            "add address \(address.address)"
        )
    }

    /// Takes an address from an interface; one that it does not have is fine.
    public static func remove(_ address: InterfaceAddress) throws(NetlinkError) {
        var socket = try NetlinkSocket()
        do throws(NetlinkError) {
            try socket.request(
                message(address, type: RTM_DELADDR, flags: 0),
                "remove address \(address.address)"
            )
        } catch {
            guard [EADDRNOTAVAIL, ENODEV].contains(error.code) else { throw error }
        }
    }

    private static func message(
        _ address: InterfaceAddress,
        type: Int,
        flags: Int32
    ) -> NetlinkMessage {
        // struct ifaddrmsg.
        let family = address.address.isIPv4 ? AF_INET : AF_INET6
        var body: [UInt8] = [UInt8(family), UInt8(address.bitCount), 0, 0]
        body.append(native: address.interface)
        var message = NetlinkMessage(type: type, flags: Int(flags | NLM_F_ACK), body: body)
        message.append(Int(IFA_LOCAL), address.address)
        message.append(Int(IFA_ADDRESS), address.address)
        if type == RTM_NEWADDR { message.append(Int(IFA_FLAGS), UInt32(IFA_F_NODAD)) }
        return message
    }

    private static func address(_ body: RawSpan) -> InterfaceAddress? {
        guard body.byteCount >= 8 else { return nil }
        var flags = UInt32(body.byte(at: 2))
        var local: IPAddress?
        var address: IPAddress?
        let rest = body.extracting(droppingFirst: 8)
        var attributes = NetlinkAttributes(rest)
        while let (type, value) = attributes.next() {
            switch type {
            case Int(IFA_LOCAL): local = rest.attributeAddress(value)
            case Int(IFA_ADDRESS): address = rest.attributeAddress(value)
            case Int(IFA_FLAGS): flags = rest.attributeUInt32(value) ?? flags
            default: break
            }
        }
        // With a peer, IFA_ADDRESS is the peer's.
        guard let own = local ?? address else { return nil }
        return InterfaceAddress(
            interface: body.nativeUInt32(at: 4),
            address: own,
            bitCount: Int(body.byte(at: 1)),
            isUnusable: flags & UInt32(IFA_F_TENTATIVE | IFA_F_DADFAILED | IFA_F_DEPRECATED) != 0,
            isTemporary: flags & UInt32(IFA_F_TEMPORARY) != 0
        )
    }
}
