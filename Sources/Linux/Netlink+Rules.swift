internal import Bytes
internal import CLinux
internal import Glibc
public import IP

/// A rule that says which table decides (ip-rule(8)).
public struct RoutingRule: Sendable, Equatable {
    /// The packets that it looks at.
    public var family: IPFamily
    /// Smaller ones come first; the main table's is 32,766.
    public var priority: UInt32
    /// The table that decides.
    public var table: UInt32
    /// Only packets whose mark is (or, inverted, is not) this.
    public var mark: UInt32?
    /// The bits of the mark that count; nil means all.
    public var mask: UInt32?
    /// Whether it holds for the packets that do not match.
    public var isInverted = false
    /// Results with this prefix length or a shorter one do not count: 0 passes over default routes.
    public var suppressedPrefixLength: UInt32?
    /// Who made it, as for routes.
    public var origin = Route.ownOrigin

    public init(
        _ family: IPFamily,
        priority: UInt32,
        table: UInt32,
        mark: UInt32? = nil,
        mask: UInt32? = nil,
        isInverted: Bool = false,
        suppressedPrefixLength: UInt32? = nil,
        origin: UInt8 = Route.ownOrigin
    ) {
        (self.family, self.priority, self.table) = (family, priority, table)
        (self.mark, self.mask, self.isInverted) = (mark, mask, isInverted)
        (self.suppressedPrefixLength, self.origin) = (suppressedPrefixLength, origin)
    }
}

extension Netlink {
    private static var actionToTable: UInt8 { 1 }
    private static var invert: UInt32 { 2 }
    private static var noSuppression: UInt32 { .max }

    /// All rules of both families that lead to a table.
    public static func rules() throws(NetlinkError) -> [RoutingRule] {
        var rules: [RoutingRule] = []
        for family in IPFamily.allCases {
            let before = rules
            var socket = try NetlinkSocket()
            let number = UInt8(family == .ipv4 ? AF_INET : AF_INET6)
            do throws(NetlinkError) {
                try socket.dump(
                    NetlinkMessage(
                        type: RTM_GETRULE,
                        flags: dumpFlags,
                        body: [number] + [UInt8](repeating: 0, count: 11)
                    ),
                    "list the rules",
                    { _, body in
                        if let rule = rule(body, family) { rules.append(rule) }
                    },
                    restart: { rules = before }
                )
            } catch {
                guard family == .ipv6, isFamilyMissing(error.code) else { throw error }
            }
        }
        return rules
    }

    /// Adds a rule; one that is there already is fine.
    public static func add(_ rule: RoutingRule) throws(NetlinkError) {
        var socket = try NetlinkSocket()
        do throws(NetlinkError) {
            try socket.request(
                message(rule, type: RTM_NEWRULE, flags: NLM_F_CREATE | NLM_F_EXCL),
                "add rule \(rule.priority)"
            )
        } catch {
            guard error.code == EEXIST else { throw error }
        }
    }

    /// Removes a rule; one that is not there is fine.
    public static func remove(_ rule: RoutingRule) throws(NetlinkError) {
        var socket = try NetlinkSocket()
        do throws(NetlinkError) {
            try socket.request(
                message(rule, type: RTM_DELRULE, flags: 0),
                "remove rule \(rule.priority)"
            )
        } catch {
            guard error.code == ENOENT else { throw error }
        }
    }

    private static func message(_ rule: RoutingRule, type: Int, flags: Int32) -> NetlinkMessage {
        // struct fib_rule_hdr.
        var body: [UInt8] = [
            UInt8(rule.family == .ipv4 ? AF_INET : AF_INET6), 0, 0, 0,
            rule.table < 256 ? UInt8(rule.table) : 0, 0, 0, actionToTable,
        ]
        body.append(native: rule.isInverted ? invert : 0)
        var message = NetlinkMessage(type: type, flags: Int(flags | NLM_F_ACK), body: body)
        message.append(Int(FRA_PRIORITY), rule.priority)
        message.append(Int(FRA_TABLE), rule.table)
        message.append(Int(FRA_PROTOCOL), [rule.origin])
        if let mark = rule.mark {
            message.append(Int(FRA_FWMARK), mark)
            message.append(Int(FRA_FWMASK), rule.mask ?? .max)
        }
        if let length = rule.suppressedPrefixLength {
            message.append(Int(FRA_SUPPRESS_PREFIXLEN), length)
        }
        return message
    }

    private static func rule(_ body: RawSpan, _ family: IPFamily) -> RoutingRule? {
        guard body.byteCount >= 12, body.byte(at: 7) == actionToTable else { return nil }
        var rule = RoutingRule(family, priority: 0, table: UInt32(body.byte(at: 4)), origin: 0)
        rule.isInverted = body.nativeUInt32(at: 8) & invert != 0
        let rest = body.extracting(droppingFirst: 12)
        var attributes = NetlinkAttributes(rest)
        while let (type, value) = attributes.next() {
            let number = rest.attributeUInt32(value)
            switch type {
            case Int(FRA_PRIORITY): rule.priority = number ?? 0
            case Int(FRA_TABLE): rule.table = number ?? rule.table
            case Int(FRA_FWMARK): rule.mark = number
            case Int(FRA_FWMASK): rule.mask = number
            case Int(FRA_PROTOCOL) where value.count == 1:
                rule.origin = rest.byte(at: value.lowerBound)
            case Int(FRA_SUPPRESS_PREFIXLEN):
                rule.suppressedPrefixLength = number == noSuppression ? nil : number
            default: break
            }
        }
        return rule
    }
}
