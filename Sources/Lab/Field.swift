internal import Foundation

/// What a field network is like: who sits behind which router, and what lies between.
public struct FieldPlan: Sendable {
    /// What the hosts have towards the internet.
    public enum Families: String, Sendable {
        case ipv4, ipv6, both
        var hasIPv4: Bool { self != .ipv6 }
        var hasIPv6: Bool { self != .ipv4 }
    }

    /// Who relays.
    public enum Relays: Sendable {
        case none
        /// Two of `culvert relay`.
        case ours
        /// Two of `culvert relay` without a session, known to the portal by configuration.
        case stock
        /// Debian's coturn, known to the portal by configuration.
        case coturn
    }

    /// A router's kind.
    public struct Access: Sendable {
        public var mapping: Router.Mapping
        public var blocksUDP: Bool
        public init(_ mapping: Router.Mapping = .preserving, blocksUDP: Bool = false) {
            (self.mapping, self.blocksUDP) = (mapping, blocksUDP)
        }
    }

    /// The client's router.
    public var home = Access()
    /// The router of the gateways' site.
    public var office = Access()
    /// What client and gateways have towards the internet.
    public var families = Families.ipv4
    /// Gateways in the site "headquarters".
    public var gatewayCount = 1
    /// Whether there is a second site, "berlin", with a gateway of its own.
    public var hasSecondSite = false
    public var relays = Relays.none
    /// The wire between a host and the internet, by the host's title.
    public var lines: [String: DelayLine.Character] = [:]

    public init() {}

    /// The plans that have a name, for `culvert lab up`.
    public static let named: [(name: String, what: String, plan: FieldPlan)] = [
        ("field", "client and two gateways behind NAT routers, two relays", relayed { _ in }),
        ("sites", "two sites, the first with two gateways", relayed { $0.hasSecondSite = true }),
        (
            "cones", "full-cone routers on both sides",
            relayed {
                $0.home = Access(.fullCone)
                $0.office = Access(.fullCone)
            }
        ),
        ("symmetric", "symmetric routers on both sides", relayed(Self.symmetric)),
        (
            "udp-blocked", "the client's router passes no UDP",
            relayed { $0.home = Access(blocksUDP: true) }
        ),
        ("ipv4", "no IPv6 on the internet side", relayed { $0.families = .ipv4 }),
        ("ipv6", "no IPv4 on the internet side", relayed { $0.families = .ipv6 }),
        (
            "coturn", "symmetric routers, coturn as relay",
            relayed {
                Self.symmetric(&$0)
                $0.relays = .coturn
            }
        ),
    ]

    /// This plan, changed.
    public func with(_ change: (inout FieldPlan) -> Void) -> FieldPlan {
        var plan = self
        change(&plan)
        return plan
    }

    static func symmetric(_ plan: inout FieldPlan) {
        plan.home = Access(.symmetric)
        plan.office = Access(.symmetric)
    }

    private static func relayed(_ change: (inout FieldPlan) -> Void) -> FieldPlan {
        var plan = FieldPlan()
        plan.relays = .ours
        plan.gatewayCount = 2
        change(&plan)
        return plan
    }
}
