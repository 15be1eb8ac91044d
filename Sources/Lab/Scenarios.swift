internal import Foundation

/// Every scenario of reaching and staying reached.
extension Scenario {
    /// In the order of the table.
    public static let all = resets + moves + gateways + middle + networks

    private static let resets = [
        Scenario("nat-client", "NAT reset, client's router") { stage in
            try stage.repeatedly { try stage.field.network.home.resetMappings(renumbers: true) }
        },
        Scenario("nat-gateway", "NAT reset, gateway's router") { stage in
            let office = stage.field.network.sites[0].router
            try stage.repeatedly { try office.resetMappings(renumbers: true) }
        },
        Scenario("nat-both", "NAT reset, both routers") { stage in
            let network = stage.field.network
            try stage.repeatedly {
                try network.home.resetMappings(renumbers: true)
                try network.sites[0].router.resetMappings(renumbers: true)
            }
        },
    ]

    private static let moves = [
        Scenario("renumbered", "client's router renumbered") { stage in
            try stage.field.network.home.renumber(
                from: "203.0.113.66",
                to: "203.0.113.68",
                gateway: "203.0.113.1"
            )
        },
        Scenario("moved", "client moved to another network and back") { stage in
            let network = stage.field.network
            try network.moveClient(to: network.cafe)
            stage.wait(stage.pace.resetInterval)
            try network.moveClient(to: network.home)
        },
    ]

    private static let pairOfGateways = FieldPlan().with {
        $0.relays = .ours
        $0.gatewayCount = 2
    }

    private static let gateways = [
        Scenario(
            "gateway-killed",
            "gateway killed (another in the site)",
            plan: pairOfGateways,
            gapLimit: 3,
            survives: false
        ) { stage in stage.field.killGateway(try stage.field.gatewayInUse()) },
        Scenario(
            "gateway-cut",
            "gateway cut off (another in the site)",
            plan: pairOfGateways,
            gapLimit: 3,
            survives: false
        ) { stage in try stage.field.network.network.cut(try stage.field.gatewayInUse()) },
        Scenario(
            "gateway-stopped",
            "gateway stopped gracefully",
            plan: pairOfGateways,
            survives: false
        ) { stage in stage.field.stopGateway(try stage.field.gatewayInUse()) },
        Scenario(
            "gateway-restarted",
            "gateway killed and started again (the only one)",
            gapLimit: 3,
            survives: false
        ) { stage in
            let gateway = stage.field.network.sites[0].gateways[0]
            stage.field.killGateway(gateway)
            try stage.field.startGateway(gateway)
        },
    ]

    private static let symmetricPlan = FieldPlan().with {
        FieldPlan.symmetric(&$0)
        $0.relays = .ours
    }

    private static let middle = [
        Scenario("relay-killed", "relays killed in turn", plan: symmetricPlan, path: "relayed") {
            stage in
            for relay in stage.field.network.relays {
                stage.field.killRelay(relay)
                stage.wait(stage.pace.resetInterval)
                try stage.field.startRelay(relay)
                stage.wait(stage.pace.resetInterval)
            }
        },
        Scenario("relay-cut", "relays cut off in turn", plan: symmetricPlan, path: "relayed") {
            stage in
            for relay in stage.field.network.relays {
                try stage.field.network.network.cut(relay)
                stage.wait(stage.pace.resetInterval)
                try stage.field.network.network.cut(relay, false)
                stage.wait(stage.pace.resetInterval)
            }
        },
        Scenario("portal-killed", "portal killed and back") { stage in
            stage.field.killPortal()
            stage.wait(stage.pace.resetInterval)
            try stage.field.startPortal()
        },
    ]

    private static let networks = [
        Scenario("cones", "both routers full cone", plan: plan("cones")),
        Scenario("symmetric", "both routers symmetric", plan: symmetricPlan, path: "relayed"),
        Scenario(
            "coturn",
            "both routers symmetric, coturn relays",
            plan: plan("coturn"),
            path: "relayed"
        ),
        Scenario(
            "udp-blocked",
            "UDP blocked at the client (TLS relay)",
            plan: plan("udp-blocked"),
            path: "relayed"
        ),
        Scenario(
            "loss",
            "20 % loss both ways (2 MB)",
            plan: FieldPlan().with {
                $0.relays = .ours
                $0.lines["ada"] = .init(milliseconds: 5, loss: 0.2, seed: 4)
            },
            byteCount: 2 << 20
        ),
        Scenario("ipv4", "IPv4 only", plan: plan("ipv4")),
        Scenario("ipv6", "IPv6 only", plan: plan("ipv6")),
        Scenario(
            "attacked",
            "garbage, replays, forgeries, floods",
            plan: plan("cones").with {
                $0.relays = .stock
                $0.gatewayCount = 1
            },
            isAttacked: true
        ),
    ]

    private static func plan(_ name: String) -> FieldPlan {
        FieldPlan.named.first { $0.name == name }?.plan ?? FieldPlan()
    }
}

/// Runs scenarios, some side by side, and prints a table.
public struct ScenarioRunner: Sendable {
    private let executable: String
    private let pace: Scenario.Pace
    private let width: Int

    /// - Parameters:
    ///   - executable: Path of `culvert`.
    ///   - pace: How long each takes.
    ///   - width: How many run at the same time, each on a network of its own.
    public init(executable: String, pace: Scenario.Pace, width: Int) {
        (self.executable, self.pace, self.width) = (executable, pace, width)
    }

    /// Runs `scenarios`; calls `onReport` as each ends, in the order of their ends.
    public func run(
        _ scenarios: [Scenario],
        onReport: @escaping @Sendable (Scenario.Report) -> Void
    ) async -> [Scenario.Report] {
        await SideBySide(width: width).run(
            scenarios.count,
            { index in
                scenarios[index].run(executable: executable, network: "cvs\(index)", pace: pace)
            },
            onResult: onReport
        )
    }
}
