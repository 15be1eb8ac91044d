internal import Client
internal import Control
internal import DNS
internal import Daemon
internal import IP
internal import Linux
internal import Logging

extension Upstream {
    /// A nameserver of the host, asked as the host asks it.
    init?(_ server: HostServers.Server) {
        if server.isEncrypted {
            self.init(Transport.tls.rawValue + "\(server.endpoint)")
        } else {
            self.init(server.endpoint)
        }
    }
}

/// What a client changes on its host, and puts back.
struct ClientHost: ~Copyable {
    /// What the core wants of the host.
    typealias Configuration = Client::Client.HostConfiguration

    private let index: UInt32
    private let resolver: HostResolver
    private let notices: HostNotices
    private let logger: Logger
    private let firewall: ClientFirewall
    private var routes: Routes
    private var journal = SysctlJournal()
    private var configuration = Configuration()
    private var lastFailure: HostResolverError?
    /// Waits for the next try to set the name servers.
    var retry: Task<Void, any Error>?

    init(
        index: UInt32,
        resolver: HostResolver,
        notices: HostNotices,
        logger: Logger
    ) throws {
        (self.index, self.resolver) = (index, resolver)
        (self.notices, self.logger) = (notices, logger)
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
    /// - Returns: Whether the name servers are set; if not, ``setResolver()`` may work later.
    /// - Throws: ``Sentence`` when the routes cannot be set.
    mutating func configure(_ next: Configuration) throws -> Bool {
        // At once: the core answers by what is new already.
        if next.flushesCaches { flushCaches() }
        do {
            report(try routes.apply(addresses: next.tunnel, prefixes: next.routes))
        } catch {
            throw Sentence("The routes of the tunnel cannot be set: \(error)")
        }
        configuration = next
        lastFailure = nil
        return setResolver()
    }

    /// Empties the host's DNS caches.
    private func flushCaches() {
        for failure in resolver.flushCaches() { logger.notice("\(failure)") }
    }

    /// Sets the host's name servers.
    ///
    /// - Returns: Whether that is done or not wanted; else why not is in the log, once.
    mutating func setResolver() -> Bool {
        var wanted = HostResolver.Wanted()
        wanted.sentinels = configuration.sentinels
        wanted.search = configuration.search.map { [$0] } ?? []
        wanted.domains = configuration.domains
        do {
            try resolver.set(wanted)
            if lastFailure != nil { logger.info("names are answered again") }
            lastFailure = nil
            for notice in notices.set(.resolver, resolver.notices) { logger.notice("\(notice)") }
            return true
        } catch {
            if error != lastFailure {
                logger.error("names are not answered: \(error) It is tried again every 5 s.")
            }
            _ = notices.set(.resolver, ["Names are not answered: \(error)"])
            lastFailure = error
            return false
        }
    }

    private func report(_ report: Routes.Report) {
        var sentences = report.keptByHost
            .filter { kept in !configuration.ranges.contains { $0.overlaps(kept.kept) } }
            .map { "\($0.prefix) stays with this host's own network \($0.kept)." }
        sentences += report.missingFamilies.map {
            "This host has no \($0); names are reached by the other family."
        }
        for sentence in notices.set(.routes, sentences) { logger.warning("\(sentence)") }
    }

    /// What the host has already in our ranges.
    static func overlaps(with ranges: [IPPrefix], index: UInt32) -> [HostNetwork.Overlap] {
        (try? HostNetwork.overlaps(with: ranges, excluding: index, plan: .client)) ?? []
    }

    /// Those of them in which no name may get an address.
    static func networks(_ overlaps: [HostNetwork.Overlap]) -> [IPPrefix] {
        overlaps.filter(\.isInside).map(\.taken)
    }

    /// What the host has already in our ranges, told in a sentence each: the networks in which no
    /// name may get an address.
    func conflicts() -> [IPPrefix] {
        let overlaps = Self.overlaps(with: configuration.ranges, index: index)
        let sentences = overlaps.map { overlap in
            overlap.isInside
                ? "\(overlap.taken) of \(overlap.interface) lies in \(overlap.range), which is for "
                    + "the tunnel: it stays with \(overlap.interface), and no name gets an address "
                    + "in it."
                : "\(overlap.taken) of \(overlap.interface) contains \(overlap.range), which is for "
                    + "the tunnel and so is not reached by \(overlap.interface) any more. If that "
                    + "hurts, choose other `addresses:` for the account."
        }
        for sentence in notices.set(.addresses, sentences) { logger.warning("\(sentence)") }
        return Self.networks(overlaps)
    }

    /// After a change of the network: what the host keeps for itself may be other networks, and
    /// other links may claim other domains.
    ///
    /// - Returns: Whether the name servers are set; if not, ``setResolver()`` may work later.
    mutating func refresh() -> Bool {
        do { report(try routes.refresh()) } catch {
            logger.error("the routes of the tunnel cannot be set: \(error)")
        }
        return setResolver()
    }

    /// Puts the host back as it was.
    mutating func restore() {
        retry?.cancel()
        Self.restore(resolver, logger: logger)
        journal.undo()
        Self.inLog(logger) { try firewall.remove() }
        do { try routes.remove() } catch { logger.warning("\(error)") }
    }

    /// Puts the resolver configuration back, also one that a killed process left.
    private static func restore(_ resolver: HostResolver, logger: Logger) {
        do {
            switch try resolver.restore() {
            case .restored, .nothingToDo: break
            case .changedByOthers:
                logger.warning("resolv.conf was changed by somebody else and is left as it is")
            case .restoredOverEdits(let kept):
                logger.warning("resolv.conf was edited; it is as before, the edits are in \(kept)")
            }
        } catch {
            logger.error("the host's name servers cannot be put back: \(error)")
        }
    }

    private static func inLog(_ logger: Logger, _ body: () throws -> Void) {
        do { try body() } catch { logger.warning("\(error)") }
    }

    /// Removes everything that a killed client left on the host.
    static func restoreAll(folder: String, logger: Logger) {
        let resolver = HostResolver(mode: .automatic, interface: nil, folder: folder)
        restore(resolver, logger: logger)
        inLog(logger) { try Routes.removeStale(.client) }
        inLog(logger) {
            try ClientFirewall(mark: RoutingPlan.client.mark, mask: RoutingPlan.client.mask)
                .remove()
        }
    }
}
