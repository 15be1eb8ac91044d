internal import Bytes
internal import CLinux
internal import Glibc
public import IP

/// An entry of a routing table.
public struct Route: Sendable, Equatable {
    /// What happens to a packet that matches.
    public enum Kind: UInt8, Sendable {
        case unicast = 1
        /// To this host itself.
        case local = 2
        /// Refused with an ICMP error.
        case unreachable = 7
        /// As if the table had nothing: the next rule decides.
        case `throw` = 9
    }

    /// The destinations.
    public var prefix: IPPrefix
    /// What happens to packets for them.
    public var kind = Kind.unicast
    /// Number of the table that it is in.
    public var table: UInt32
    /// Where packets leave; nil for kinds that send none, and for several ways at once.
    public var interface: UInt32?
    /// The next router; nil when the destinations are reached directly.
    public var gateway: IPAddress?
    /// Who made it (RTPROT_): 2 the kernel, 9 router advertisements.
    public var origin: UInt8
    /// False when its interface has no carrier.
    public var isAlive = true

    /// The table in which hosts keep their routes.
    public static let mainTable: UInt32 = 254
    /// The table of what is this host itself.
    public static let localTable: UInt32 = 255
    /// The origin of routes that the kernel made, with an address (RTPROT_KERNEL).
    public static let kernelOrigin: UInt8 = 2
    /// The origin of routes that a router advertised (RTPROT_RA).
    public static let advertisementOrigin: UInt8 = 9
    /// The origin of routes and rules that are ours.
    public static let ownOrigin: UInt8 = 221

    public init(
        _ prefix: IPPrefix,
        kind: Kind = .unicast,
        table: UInt32 = Route.mainTable,
        interface: UInt32? = nil,
        gateway: IPAddress? = nil,
        origin: UInt8 = Route.ownOrigin
    ) {
        (self.prefix, self.kind, self.table) = (prefix, kind, table)
        (self.interface, self.gateway, self.origin) = (interface, gateway, origin)
    }
}

extension Netlink {
    /// The routes of one table, or (nil) of all, of both families.
    public static func routes(table: UInt32? = nil) throws(NetlinkError) -> [Route] {
        var routes: [Route] = []
        for family in [AF_INET, AF_INET6] {
            let before = routes
            var socket = try NetlinkSocket()
            do throws(NetlinkError) {
                try socket.dump(
                    NetlinkMessage(
                        type: RTM_GETROUTE,
                        flags: dumpFlags,
                        body: [UInt8(family)] + [UInt8](repeating: 0, count: 11)
                    ),
                    "list the routes",
                    { _, body in
                        guard let route = route(body) else { return }
                        if table == nil || route.table == table { routes.append(route) }
                    },
                    restart: { routes = before }
                )
            } catch {
                guard family == AF_INET6, isFamilyMissing(error.code) else { throw error }
            }
        }
        return routes
    }

    /// Adds a route, or puts it in place of the one for the same prefix and table.
    public static func add(_ route: Route) throws(NetlinkError) {
        var socket = try NetlinkSocket()
        try socket.request(
            message(route, type: RTM_NEWROUTE, flags: NLM_F_CREATE | NLM_F_REPLACE),
            "add route \(route.prefix)"
        )
    }

    /// Removes a route; one that is not there is fine.
    public static func remove(_ route: Route) throws(NetlinkError) {
        var socket = try NetlinkSocket()
        do throws(NetlinkError) {
            try socket.request(
                message(route, type: RTM_DELROUTE, flags: 0),
                "remove route \(route.prefix)"
            )
        } catch {
            guard [ESRCH, ENODEV, ENOENT].contains(error.code) else { throw error }
        }
    }

    private static func message(_ route: Route, type: Int, flags: Int32) -> NetlinkMessage {
        let isIPv4 = route.prefix.family == .ipv4
        let scope: UInt8 =
            switch route.kind {
            case .local: 254
            case .unicast where isIPv4 && route.gateway == nil: 253
            default: 0
            }
        // struct rtmsg.
        var body: [UInt8] = [
            UInt8(isIPv4 ? AF_INET : AF_INET6), UInt8(route.prefix.bitCount), 0, 0,
            route.table < 256 ? UInt8(route.table) : 0, route.origin, scope, route.kind.rawValue,
        ]
        body.append(native: UInt32(0))
        var message = NetlinkMessage(type: type, flags: Int(flags | NLM_F_ACK), body: body)
        if route.prefix.bitCount > 0 { message.append(Int(RTA_DST.rawValue), route.prefix.address) }
        message.append(Int(RTA_TABLE.rawValue), route.table)
        if let interface = route.interface { message.append(Int(RTA_OIF.rawValue), interface) }
        if let gateway = route.gateway { message.append(Int(RTA_GATEWAY.rawValue), gateway) }
        return message
    }

    static func route(_ body: RawSpan) -> Route? {
        guard body.byteCount >= 12, let kind = Route.Kind(rawValue: body.byte(at: 7)) else {
            return nil
        }
        let flags = body.nativeUInt32(at: 8)
        // Copies that the kernel keeps for single destinations.
        guard flags & UInt32(RTM_F_CLONED) == 0 else { return nil }
        let isIPv4 = Int32(body.byte(at: 0)) == AF_INET
        var destination = isIPv4 ? IPAddress(ipv4: 0) : IPAddress(high: 0, low: 0)
        var route = Route(
            IPPrefix(host: destination),
            kind: kind,
            table: UInt32(body.byte(at: 4)),
            origin: body.byte(at: 5)
        )
        route.isAlive = flags & UInt32(RTNH_F_DEAD | RTNH_F_LINKDOWN) == 0
        let rest = body.extracting(droppingFirst: 12)
        var attributes = NetlinkAttributes(rest)
        while let (type, value) = attributes.next() {
            switch type {
            case Int(RTA_DST.rawValue): destination = rest.attributeAddress(value) ?? destination
            case Int(RTA_TABLE.rawValue): route.table = rest.attributeUInt32(value) ?? route.table
            case Int(RTA_OIF.rawValue): route.interface = rest.attributeUInt32(value)
            case Int(RTA_GATEWAY.rawValue): route.gateway = rest.attributeAddress(value)
            default: break
            }
        }
        guard let prefix = IPPrefix(destination, bitCount: Int(body.byte(at: 1))) else {
            return nil
        }
        route.prefix = prefix
        return route
    }
}
