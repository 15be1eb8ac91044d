internal import Control
internal import Daemon
internal import IP
internal import Linux
internal import Logging

/// What a client changes on its host, and puts back.
struct ClientHost: ~Copyable {
    /// The resolver configuration that programs read.
    static let resolverPath = "/etc/resolv.conf"

    private let options: ClientOptions
    private let logger: Logger
    private let resolver: ResolverConfiguration
    private let firewall: ClientFirewall
    private var routes: Routes
    private var journal = SysctlJournal()
    private var lastReport: Routes.Report?
    private var sentinels: [IPAddress] = []
    private var search: [String] = []
    private var lastResolverFailure: ResolverError?

    init(index: UInt32, options: ClientOptions, logger: Logger) throws {
        (self.options, self.logger) = (options, logger)
        resolver = ResolverConfiguration(path: Self.resolverPath, folder: options.statePath)
        firewall = ClientFirewall(mark: RoutingPlan.client.mark, mask: RoutingPlan.client.mask)
        do { routes = try Routes(interface: index, plan: .client) } catch {
            throw Sentence("The routes of the tunnel cannot be set: \(error)")
        }
        do {
            try firewall.install()
            try Forwarding.honourMarks(&journal)
        } catch {
            logger.notice("replies may be lost where rp_filter is strict: \(error)")
        }
    }

    /// Sets addresses, routes and the host's name servers.
    ///
    /// - Returns: Whether the name servers are set; if not, ``retryResolver()`` may work later.
    mutating func configure(
        tunnel: [IPAddress],
        routes prefixes: [IPPrefix],
        sentinels: [IPAddress],
        search: String?
    ) throws -> Bool {
        do {
            report(try routes.apply(addresses: tunnel, prefixes: prefixes))
        } catch {
            throw Sentence("The routes of the tunnel cannot be set: \(error)")
        }
        (self.sentinels, self.search) = (sentinels, search.map { [$0] } ?? [])
        lastResolverFailure = nil
        return retryResolver()
    }

    /// Sets the host's name servers.
    ///
    /// - Returns: Whether that is done or not wanted; else why not is in the log, once.
    mutating func retryResolver() -> Bool {
        guard options.resolverMode == .resolvConf, !sentinels.isEmpty else { return true }
        do {
            let activation = try resolver.activate(nameservers: sentinels, search: search)
            if case .written(let count) = activation, count < sentinels.count {
                logger.notice("programs read three name servers; the first \(count) were written")
            }
            if lastResolverFailure != nil { logger.info("names are answered again") }
            lastResolverFailure = nil
            return true
        } catch {
            if error != lastResolverFailure {
                logger.error("names are not answered: \(error) It is tried again every 5 s.")
            }
            lastResolverFailure = error
            return false
        }
    }

    private mutating func report(_ report: Routes.Report) {
        guard report != lastReport else { return }
        lastReport = report
        for kept in report.keptByHost {
            logger.warning(
                "\(kept.prefix) stays with this host's own network \(kept.kept)",
                ["interface": "\(kept.interface)"]
            )
        }
        for family in report.missingFamilies {
            logger.notice("this host has no \(family); names are reached by the other family")
        }
    }

    /// After a change of the network: what the host keeps for itself may be other networks.
    mutating func refresh() {
        do { report(try routes.refresh()) } catch {
            logger.error("the routes of the tunnel cannot be set: \(error)")
        }
    }

    /// Puts the host back as it was.
    mutating func restore() {
        Self.restoreResolver(folder: options.statePath, logger: logger)
        journal.undo()
        Self.inLog(logger) { try firewall.remove() }
        do { try routes.remove() } catch { logger.warning("\(error)") }
    }

    /// Puts the resolver configuration back, also one that a killed process left.
    static func restoreResolver(folder: String, logger: Logger) {
        do {
            let outcome = try ResolverConfiguration(path: resolverPath, folder: folder).restore()
            if outcome == .changedByOthers {
                logger.warning("\(resolverPath) was changed by somebody else and is left as it is")
            }
        } catch {
            logger.error("\(resolverPath) cannot be put back: \(error)")
        }
    }

    private static func inLog(_ logger: Logger, _ body: () throws -> Void) {
        do { try body() } catch { logger.warning("\(error)") }
    }

    /// Removes everything that a killed client left on the host.
    static func restoreAll(folder: String, logger: Logger) {
        restoreResolver(folder: folder, logger: logger)
        inLog(logger) { try Routes.removeStale(.client) }
        inLog(logger) {
            try ClientFirewall(mark: RoutingPlan.client.mark, mask: RoutingPlan.client.mask)
                .remove()
        }
    }
}
