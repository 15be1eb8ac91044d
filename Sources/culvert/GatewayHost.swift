internal import Control
internal import Daemon
internal import IP
internal import Linux
internal import Logging
internal import Synchronization

/// What a gateway changes on its host, and puts back.
struct GatewayHost: ~Copyable {
    /// What of it is wanted.
    struct Options: Sendable {
        /// Whether packets leave with an address of this host.
        let masquerades: Bool
        /// Whether the kernel's settings are set.
        let setsSysctls: Bool
        /// Whether other firewalls are told to let the tunnel's packets through.
        let opensFirewalls: Bool
        /// The address to leave with, for each family that has a fixed one.
        let egress: [IPAddress]
        /// Flows that the kernel must be able to remember.
        let sessions: Int
    }

    /// Where notes are that must not outlive the running kernel.
    static let folder = "/run/culvert"

    /// What people should know, as long as it holds.
    let notices = GatewayNotices()
    private let interface: String
    private let options: Options
    private let logger: Logger
    private let slot: GatewaySlot
    private var routes: Routes
    private var journal: SysctlJournal
    private var ranges: [IPPrefix]?
    private var keeper: FirewallKeeper?
    private var isAbandoned = false

    /// - Parameters:
    ///   - interface: The tunnel device's name.
    ///   - index: Its index.
    ///   - options: What is wanted.
    ///   - lock: Of the number that a process before had, whose settings stay in place; nil: none.
    ///   - logger: For what people should know.
    /// - Throws: ``Sentence`` when routes cannot be set, or an address to leave with is missing.
    init(
        interface: String,
        index: UInt32,
        options: Options,
        adopting lock: consuming FileDescriptor?,
        logger: Logger
    ) throws {
        let absent = try HostFacts.inWords { try Self.absentEgress(of: options) }
        if let absent { throw Sentence(absent) }
        let isAdopted: Bool
        switch lock {
        case .some: isAdopted = true
        case .none: isAdopted = false
        }
        let slot = Self.slot(adopting: lock, logger)
        let routes = try Self.madeRoutes(index, slot.plan, isAdopted: isAdopted, logger)
        (self.interface, self.options, self.logger) = (interface, options, logger)
        self.slot = slot
        self.routes = routes
        journal = Self.journal(logger)
    }

    private static func madeRoutes(
        _ index: UInt32,
        _ plan: RoutingPlan,
        isAdopted: Bool,
        _ logger: Logger
    ) throws -> Routes {
        guard !isAdopted else { return Routes(adopting: index, plan: plan) }
        removeRemains(logger)
        return try HostFacts.inWords { try Routes(interface: index, plan: plan) }
    }

    private static func slot(adopting lock: consuming FileDescriptor?, _ logger: Logger)
        -> GatewaySlot
    {
        do {
            switch consume lock {
            case .some(let lock): return try GatewaySlot(adopting: lock, folder: folder)
            case .none: return try GatewaySlot(folder: folder)
            }
        } catch {
            logger.notice(
                "What this gateway changes on the host is not put back if it is killed: \(error)."
            )
            return GatewaySlot()
        }
    }

    private static func journal(_ logger: Logger) -> SysctlJournal {
        do { return try SysctlJournal(folder: folder) } catch {
            logger.notice("Settings are not put back if this gateway is killed: \(error).")
            return SysctlJournal()
        }
    }

    /// Gives the tunnel device its addresses and routes, and sets up forwarding and masquerade.
    mutating func configure(tunnel: [IPAddress], ranges: [IPPrefix]) throws {
        do { _ = try routes.apply(addresses: tunnel, prefixes: ranges) } catch {
            throw Sentence("The routes of the tunnel cannot be set: \(error)")
        }
        try forward()
        if self.ranges != ranges { try translate(ranges) }
        self.ranges = ranges
        track()
    }

    /// After a change of the network: a new link may have its default route by advertisement, and
    /// the address to leave with may have gone.
    mutating func networkChanged() {
        guard ranges != nil else { return }
        do {
            try forward()
            tell(.egress, try Self.absentEgress(of: options).map { [$0] } ?? [])
        } catch { logger.warning("\(error)") }
    }

    /// Lets the host forward.
    private mutating func forward() throws {
        guard options.setsSysctls else { return }
        do { try Forwarding.enable(&journal) } catch {
            throw Sentence(
                "Forwarding cannot be switched on (\(error)); run as root, or set it yourself "
                    + "and start with --no-sysctls."
            )
        }
    }

    /// Sets the table and opens other firewalls.
    private mutating func translate(_ ranges: [IPPrefix]) throws {
        guard options.masquerades || options.opensFirewalls else { return }
        let firewall = GatewayFirewall(
            tunnelInterface: interface,
            ranges: ranges,
            egress: options.egress,
            number: slot.number
        )
        let logger = logger
        do {
            try keeper?.stop()
            let keeper = try FirewallKeeper(
                firewall: options.masquerades ? firewall : nil,
                opening: options.opensFirewalls ? interface : nil
            ) { note in
                note.isWarning ? logger.warning("\(note)") : logger.info("\(note)")
            }
            self.keeper = keeper
            notices.watch(keeper)
        } catch {
            throw Sentence(
                "Masquerading cannot be set up (\(error)); install nftables and run as root, or "
                    + "masquerade yourself and start with --no-masquerade."
            )
        }
    }

    /// Sees to what the kernel's own table of flows must hold.
    private mutating func track() {
        guard options.setsSysctls else {
            let missing = (try? Forwarding.missing(sessions: options.sessions)) ?? []
            let why = "since --no-sysctls leaves it to you"
            return tell(.settings, Self.sentence(missing, why: why))
        }
        guard options.masquerades else { return }
        let unmet = Forwarding.track(sessions: options.sessions, &journal)
        let why = "since it cannot be set from here, on the machine that this container runs on"
        tell(.settings, Self.sentence(unmet, why: why))
    }

    private static func sentence(_ needs: [Forwarding.Need], why: String) -> [String] {
        guard !needs.isEmpty else { return [] }
        let words = needs.map(\.description).joined(separator: " ")
        return [
            "Packets may not pass, or flows end early. Set this yourself, \(why): sysctl -w \(words)"
        ]
    }

    private func tell(_ subject: GatewayNotices.Subject, _ sentences: [String]) {
        for sentence in notices.set(subject, sentences) { logger.warning("\(sentence)") }
    }

    /// A sentence about an address to leave with that this host does not have.
    private static func absentEgress(of options: Options) throws -> String? {
        let addresses = try Netlink.addresses().map(\.address)
        return options.egress.first { !addresses.contains($0) }.map { address in
            "--egress-address \(address) is no address of this host, so no answer would come back "
                + "to it; add it to an interface (ip address add), or choose one that is there."
        }
    }

    /// For the process that goes on.
    func copyOfLock() -> FileDescriptor? { slot.copyOfLock() }

    /// Leaves the host as it is: another process goes on.
    mutating func abandon() {
        isAbandoned = true
        routes.abandon()
        keeper?.abandon()
    }

    /// Puts the host back as it was.
    mutating func restore() {
        guard !isAbandoned else { return }
        do { try keeper?.stop() } catch { warn(error) }
        journal.undo()
        do { try routes.remove() } catch { warn(error) }
        keeper = nil
    }

    private func warn(_ error: any Error) {
        logger.warning("the host may not be as it was: \(error)")
    }

    /// Removes what gateways that were killed have left, but for settings of the kernel.
    ///
    /// - Returns: Whether no gateway lives.
    @discardableResult
    private static func removeRemains(_ logger: Logger) -> Bool {
        do { return !(try GatewaySlot.removeRemains(folder: folder)) } catch NftablesError.missing {
            return true
        } catch {
            logger.warning("what a killed gateway left may still be there: \(error)")
            return true
        }
    }

    /// Removes everything that gateways that were killed have left on the host.
    static func restoreAll(_ logger: Logger) {
        guard removeRemains(logger) else { return }
        do {
            var journal = try SysctlJournal(folder: folder)
            journal.undo()
        } catch { logger.warning("settings may not be as they were: \(error)") }
    }
}

/// What people should know of a gateway's host: for its status, and for `/readyz`.
final class GatewayNotices: Sendable {
    /// What a notice concerns; in the order in which they are shown.
    enum Subject: Int, CaseIterable {
        case settings, egress
    }

    private struct State {
        var sentences: [Subject: [String]] = [:]
        var keeper: FirewallKeeper?
    }

    private let state = Mutex(State())

    func watch(_ keeper: FirewallKeeper) { state.withLock { $0.keeper = keeper } }

    /// Why no packet of a client gets out; nil when nothing is known to hold them up.
    var obstacle: String? { state.withLock { $0.keeper }?.obstacles.first }

    /// All that hold now.
    var all: [String] {
        let (keeper, sentences) = state.withLock { ($0.keeper, $0.sentences) }
        return (keeper?.obstacles ?? []) + Subject.allCases.flatMap { sentences[$0] ?? [] }
    }

    /// These hold for a subject from now on.
    ///
    /// - Returns: Those that are new.
    func set(_ subject: Subject, _ sentences: [String]) -> [String] {
        state.withLock { state in
            let before = state.sentences[subject] ?? []
            state.sentences[subject] = sentences
            return sentences.filter { !before.contains($0) }
        }
    }
}
