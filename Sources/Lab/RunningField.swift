internal import Foundation

/// A field network with every role running.
public final class RunningField: @unchecked Sendable {
    public let network: FieldNetwork
    public let roles: Roles
    public private(set) var portal: Running
    /// By host title.
    public private(set) var gateways: [String: Running] = [:]
    /// By host title.
    public private(set) var relays: [String: Running] = [:]
    public private(set) var client: Running

    /// Builds the network, starts the roles, and waits until the client is connected.
    ///
    /// - Throws: ``LabError`` when something does not come up; nothing is left then.
    public init(name: String, plan: FieldPlan, executable: String, rate: Int = 5 << 20) throws {
        let roles = Roles(executable: executable)
        self.roles = roles
        network = try FieldNetwork(
            name: name,
            plan: plan,
            delayWords: roles.delayWords,
            rate: rate
        )
        do {
            let host = network.portal
            portal = try roles.portal(on: host)
            var stock = ""
            if plan.relays == .coturn || plan.relays == .stock {
                stock = try StockRelay.configuration(of: network)
            }
            try roles.apply(network.configuration(relays: stock), portal: host)
            switch plan.relays {
            case .none: break
            case .ours:
                for relay in network.relays {
                    relays[relay.title] = try roles.relay(on: relay, portal: host)
                }
            case .stock:
                for relay in network.relays {
                    relays[relay.title] = try StockRelay.ours(on: relay, executable: executable)
                }
            case .coturn:
                for relay in network.relays {
                    relays[relay.title] = try StockRelay.coturn(on: relay)
                }
            }
            for site in network.sites {
                for gateway in site.gateways {
                    gateways[gateway.title] = try roles.gateway(
                        on: gateway,
                        site: site.name,
                        portal: host
                    )
                }
            }
            client = try roles.client(on: network.ada, email: "ada@example.com", portal: host)
        } catch {
            network.remove()
            throw error
        }
    }

    /// Takes everything away again.
    public func remove() { network.remove() }

    /// Makes the file that scenarios download.
    ///
    /// - Returns: Its SHA-256.
    public func bigFile(byteCount: Int) throws -> String {
        let site = network.sites[0]
        let path = "\(site.server.folder)/git.\(site.domain)/big"
        try site.server.must(
            "dd",
            "if=/dev/urandom",
            "of=\(path)",
            "bs=1M",
            "count=\(byteCount >> 20)",
            "status=none"
        )
        return String(try site.server.must("sha256sum", path).prefix(64))
    }

    /// What the client says of itself.
    public var status: ClientStatus { ClientStatus(of: network.ada, roles) }

    /// The host of the gateway that serves the client.
    ///
    /// - Throws: ``LabError`` when none does.
    public func gatewayInUse() throws -> LabHost {
        let (all, status) = (network.sites.flatMap(\.gateways), status)
        guard let host = all.first(where: { $0.title == status.gateway }) else {
            throw LabError("The client uses no gateway: \(status.text)")
        }
        return host
    }

    /// Ends the portal as `kill -9` does.
    public func killPortal() { Self.kill(portal) }

    /// Starts the portal again, with the state that it left.
    public func startPortal() throws { portal = try roles.portal(on: network.portal) }

    /// Ends a gateway as `kill -9` does.
    public func killGateway(_ host: LabHost) { gateways[host.title].map(Self.kill) }

    /// Ends a gateway as `systemctl stop` does; returns at once.
    public func stopGateway(_ host: LabHost) { gateways[host.title]?.send(SIGTERM) }

    /// Starts a gateway again, with the token and state that it has.
    public func startGateway(_ host: LabHost) throws {
        gateways[host.title] = try roles.startGateway(on: host)
    }

    /// Ends a relay as `kill -9` does.
    public func killRelay(_ host: LabHost) { relays[host.title].map(Self.kill) }

    /// Starts a relay again.
    public func startRelay(_ host: LabHost) throws {
        relays[host.title] = try roles.startRelay(on: host)
    }

    private static func kill(_ program: Running) {
        program.send(SIGKILL)
        program.wait(seconds: 5)
    }

    /// Every role with its title, always in the same order.
    var everyRole: [(title: String, running: Running)] {
        let several = gateways.sorted { $0.key < $1.key } + relays.sorted { $0.key < $1.key }
        return [("client", client)] + several.map { ($0.key, $0.value) } + [("portal", portal)]
    }

    /// What the roles said last, for a report of something that was not seen.
    public var logs: String {
        everyRole.map { "\($0.title):\n\($0.running.output.suffix(2_500))\n" }.joined()
            + "status: \(status.text)"
    }
}
