internal import Control
internal import Daemon
internal import IP
internal import Linux
internal import Logging

/// What a gateway changes on its host, and puts back.
struct GatewayHost: ~Copyable {
    private let interface: String
    private let options: GatewayDaemon.Options
    private let logger: Logger
    private var routes: Routes
    private var journal = SysctlJournal()
    private var firewall: GatewayFirewall?

    init(
        interface: String,
        index: UInt32,
        options: GatewayDaemon.Options,
        logger: Logger
    ) throws {
        (self.interface, self.options, self.logger) = (interface, options, logger)
        routes = try HostFacts.inWords { try Routes(interface: index, plan: .gateway) }
    }

    /// Gives the tunnel device its addresses and routes, and sets up forwarding and masquerade.
    mutating func configure(tunnel: [IPAddress], ranges: [IPPrefix]) throws {
        do { _ = try routes.apply(addresses: tunnel, prefixes: ranges) } catch {
            throw Sentence("The routes of the tunnel cannot be set: \(error)")
        }
        if options.setsSysctls {
            do { try Forwarding.enable(&journal) } catch {
                throw Sentence(
                    "Forwarding cannot be switched on (\(error)); run as root, or set it yourself "
                        + "and start with --no-sysctls."
                )
            }
        }
        guard options.masquerades else { return }
        let firewall = GatewayFirewall(tunnelInterface: interface, ranges: ranges)
        do { try firewall.install() } catch {
            throw Sentence(
                "Masquerading cannot be set up (\(error)); install nftables and run as root, or "
                    + "masquerade yourself and start with --no-masquerade."
            )
        }
        self.firewall = firewall
    }

    /// Puts the host back as it was.
    mutating func restore() {
        do {
            try firewall?.remove()
            journal.undo()
            try routes.remove()
        } catch {
            logger.warning("the host may not be as it was: \(error)")
        }
        firewall = nil
    }
}
