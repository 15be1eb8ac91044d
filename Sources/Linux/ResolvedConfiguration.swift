internal import Foundation
internal import Glibc
internal import IP

/// The host's DNS configuration where programs ask systemd-resolved.
///
/// Our link gets our servers and the domains whose names must reach them. Resolved asks the link
/// with the longest domain that fits, and all of them in a tie, where the first answer wins: so a
/// domain that another link claims inside one of ours is taken over from that link. What was there
/// is in a journal on the disk, so that it goes back also after a crash.
struct ResolvedConfiguration: Sendable {
    typealias Domain = SystemdResolved.Domain

    enum Limits {
        /// Domains of one link that resolved takes (LINK_SEARCH_DOMAINS_MAX).
        static var domains: Int { 256 }
    }

    /// What our link is for.
    struct Wanted: Equatable, Sendable {
        /// Our servers, in order.
        var sentinels: [IPAddress]
        /// Domains that names are completed with.
        var search: [String] = []
        /// Domains whose names must reach us.
        var domains: [String] = []
    }

    /// A domain of another link that lies inside one of ours.
    struct Claim: Hashable, Sendable {
        let domain: String
        /// The link's name; nil: the configuration of the whole host.
        let link: String?
    }

    /// What became of the other links' claims.
    struct Report: Equatable, Sendable {
        /// Taken over: their names reach us.
        var taken: [Claim] = []
        /// Not taken over: their names may be asked elsewhere. Each with the reason.
        var refused: [Claim: String] = [:]
        /// Domains of ours for which there was no room.
        var leftOut = 0
    }

    /// What was changed on another link.
    struct Entry: Codable, Equatable, Sendable {
        let interface: UInt32
        let name: String
        /// The link's domains as they were, and as we left them.
        let before: [Domain]
        let after: [Domain]
        /// Whether it was asked for names that no domain decides about.
        var isDefaultRoute: Bool
        /// Whether systemd-networkd set them.
        var isManaged = false
    }

    let resolved: SystemdResolved
    private let journalPath: String
    /// Names of links; other ones are for tests.
    private let linkNames: @Sendable () -> [UInt32: String]

    /// - Parameters:
    ///   - folder: Where the journal is kept; it must exist and outlive the process.
    ///   - resolved: The service.
    ///   - linkNames: The names of all links.
    init(
        folder: String,
        resolved: SystemdResolved = SystemdResolved(),
        linkNames: @escaping @Sendable () -> [UInt32: String] = Self.hostLinkNames
    ) {
        journalPath = folder + "/resolved.journal"
        self.resolved = resolved
        self.linkNames = linkNames
    }

    /// Makes our link the one that is asked.
    ///
    /// - Parameters:
    ///   - interface: Our link.
    ///   - wanted: What it is for.
    /// - Returns: What became of other links' claims.
    /// - Throws: ``BusError`` when resolved does not answer, or refuses to change our own link.
    func activate(_ interface: UInt32, _ wanted: Wanted) throws(BusError) -> Report {
        let snapshot = try resolved.snapshot()
        let journal = journal()
        let plan = Plan(
            wanted,
            snapshot,
            journal,
            interface: interface,
            names: linkNames()
        )
        var entries: [Entry] = []
        for entry in plan.entries {
            entries.append(try withDefaultRoute(entry, known: journal))
        }
        // First what was there: a crash after that finds the way back.
        write(merge(entries, journal))
        var hasChanged = try setOwn(interface, wanted, plan.domains, snapshot)
        var report = Report(leftOut: plan.leftOut)
        for claim in plan.hostClaims {
            report.refused[claim] = "it stands in resolved.conf, for the whole host"
        }
        for index in entries.indices {
            let claims = plan.claims[entries[index].interface] ?? []
            let before = snapshot.domains[entries[index].interface] ?? []
            hasChanged = hasChanged || before != entries[index].after
            if let words = take(&entries[index], snapshot) {
                for claim in claims { report.refused[claim] = words }
            } else {
                report.taken += claims
            }
        }
        for entry in journal where !entries.contains(where: { $0.interface == entry.interface }) {
            try? putBack(entry, snapshot)
            hasChanged = true
        }
        write(entries)
        // What it knows of names that others are asked for from now on.
        if hasChanged { try resolved.flushCaches() }
        return report
    }

    /// Puts back what other links had, and takes everything from ours. At start, at exit, and by
    /// `culvert down`.
    ///
    /// - Parameter interface: Our link, where it is still there.
    /// - Returns: Whether there was something to put back.
    /// - Throws: ``BusError`` when resolved does not answer; the journal is kept then.
    @discardableResult
    func restore(_ interface: UInt32?) throws(BusError) -> Bool {
        // With the device everything of ours is gone, too.
        defer { if let interface { try? resolved.revert(interface) } }
        let entries = journal()
        guard !entries.isEmpty else { return false }
        let snapshot = try resolved.snapshot()
        for entry in entries { try putBack(entry, snapshot) }
        TextFile.remove(journalPath)
        try? resolved.flushCaches()
        return true
    }

    /// What was changed on other links.
    func journal() -> [Entry] {
        guard let bytes = try? TextFile.read(journalPath),
            let entries = try? JSONDecoder().decode([Entry].self, from: Data(bytes))
        else { return [] }
        let names = linkNames()
        // A link that went away took our changes along; its number may be another's now.
        return entries.filter { names[$0.interface] == $0.name }
    }

    private static let hostLinkNames: @Sendable () -> [UInt32: String] = {
        let links = (try? Netlink.links()) ?? []
        return Dictionary(links.map { ($0.index, $0.name) }) { $1 }
    }
}

extension ResolvedConfiguration {
    /// - Returns: Whether anything was to be done.
    private func setOwn(
        _ interface: UInt32,
        _ wanted: Wanted,
        _ domains: [Domain],
        _ snapshot: SystemdResolved.Snapshot
    ) throws(BusError) -> Bool {
        let servers = snapshot.servers.filter { $0.interface == interface }.map(\.address)
        if servers.isEmpty {
            try resolved.setPlain(interface)
            try resolved.setDefaultRoute(true, of: interface)
        }
        let areDomainsOther = snapshot.domains[interface] ?? [] != domains
        if areDomainsOther { try resolved.setDomains(domains, of: interface) }
        // Last: a link without servers is not asked.
        let areServersOther = servers != wanted.sentinels
        if areServersOther { try resolved.setServers(wanted.sentinels, of: interface) }
        return areDomainsOther || areServersOther
    }

    private func withDefaultRoute(
        _ entry: Entry,
        known journal: [Entry]
    ) throws(BusError) -> Entry {
        var entry = entry
        let old = journal.first { $0.interface == entry.interface && $0.before == entry.before }
        if let old {
            (entry.isDefaultRoute, entry.isManaged) = (old.isDefaultRoute, old.isManaged)
        } else {
            entry.isDefaultRoute = try resolved.settings(of: entry.interface).isDefaultRoute
        }
        return entry
    }

    /// Takes the claims from a link; why not, where it is refused.
    private func take(_ entry: inout Entry, _ snapshot: SystemdResolved.Snapshot) -> String? {
        guard snapshot.domains[entry.interface] ?? [] != entry.after else { return nil }
        do throws(BusError) {
            do throws(BusError) {
                try resolved.setDomains(entry.after, of: entry.interface)
            } catch {
                guard SystemdResolved.isManaged(error) else { throw error }
                try resolved.setManagedDomains(entry.after, of: entry.interface)
                entry.isManaged = true
            }
            return nil
        } catch {
            return "\(error)"
        }
    }

    private func putBack(
        _ entry: Entry,
        _ snapshot: SystemdResolved.Snapshot
    ) throws(BusError) {
        // Somebody who has set other domains since wants those.
        guard snapshot.domains[entry.interface] ?? [] == entry.after else { return }
        if entry.isManaged {
            try resolved.revertManaged(entry.interface)
        } else {
            try resolved.setDomains(entry.before, of: entry.interface)
        }
    }

    /// The new entries, and those of links from which nothing is taken any more.
    private func merge(_ entries: [Entry], _ journal: [Entry]) -> [Entry] {
        entries + journal.filter { old in !entries.contains { $0.interface == old.interface } }
    }

    private func write(_ entries: [Entry]) {
        guard !entries.isEmpty else { return TextFile.remove(journalPath) }
        guard let data = try? JSONEncoder().encode(entries) else { return }
        try? TextFile.replace(journalPath, [UInt8](data))
    }
}
