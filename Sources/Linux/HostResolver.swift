public import IP
internal import Synchronization

/// Why the host's programs do not ask us.
public enum HostResolverError: Error, Equatable, Sendable, CustomStringConvertible {
    /// The file could not be changed.
    case file(ResolverError)
    /// systemd-resolved could not be told.
    case resolved(BusError)

    public var description: String {
        switch self {
        case .file(let error): "\(error)"
        case .resolved(let error):
            "systemd-resolved, which this host's programs ask, could not be told of the tunnel. "
                + "\(error) Start it (systemctl start systemd-resolved), or start the client with "
                + "--dns resolv.conf."
        }
    }
}

/// Joins our nameservers to the host's: by systemd-resolved where programs ask that, else by
/// resolv.conf. Also says which servers the host has without us.
///
/// Everything that is changed is on the disk first, so that ``restore()`` also undoes what a killed
/// process left.
public final class HostResolver: Sendable {
    /// How the host learns of our servers.
    public enum Mode: String, Sendable, CaseIterable {
        /// In the way that the host's programs ask now.
        case automatic
        /// By systemd-resolved.
        case resolved
        /// By the file.
        case resolvConf = "resolv.conf"
        /// Not at all.
        case off
    }

    /// What the host shall be told.
    public struct Wanted: Equatable, Sendable {
        /// Our servers, in order; without any, the host is as it was.
        public var sentinels: [IPAddress] = []
        /// Domains that names are completed with; empty keeps the host's.
        public var search: [String] = []
        /// Domains whose names must reach us whatever other links claim.
        public var domains: [String] = []

        public init() {}
    }

    private struct State {
        var servers = HostServers()
        var notices: [String] = []
    }

    private let mode: Mode
    private let interface: UInt32?
    private let file: ResolverConfiguration
    private let resolved: ResolvedConfiguration
    private let path: String
    private let state = Mutex(State())

    /// - Parameters:
    ///   - mode: How the host learns of our servers.
    ///   - interface: Our tunnel device; nil when it is gone.
    ///   - folder: Where is kept what the host had; it must exist and outlive the process.
    ///   - path: The resolver configuration that programs read.
    public init(
        mode: Mode,
        interface: UInt32?,
        folder: String,
        path: String = "/etc/resolv.conf"
    ) {
        (self.mode, self.interface, self.path) = (mode, interface, path)
        file = ResolverConfiguration(path: path, folder: folder)
        resolved = ResolvedConfiguration(folder: folder)
    }

    /// The servers that ``readServers()`` found last.
    public var servers: HostServers { state.withLock { $0.servers } }

    /// What people should know of how things stand, in sentences.
    public var notices: [String] { state.withLock { $0.notices } }

    /// Files whose change may change the servers; all their folders are there.
    public var watchedFiles: [String] {
        let folder = "/run/systemd/resolve"
        return [path] + (TextFile.exists(folder) ? [folder + "/resolv.conf"] : [])
    }

    /// The servers that the host has without us; those of last time while its resolver is silent.
    @discardableResult
    public func readServers() -> HostServers {
        let found: HostServers?
        if mode == .resolved || (try? file.source()) == .resolved {
            found = try? resolvedServers()
        } else {
            found = (try? file.hostConfiguration()).map { HostServers($0) }
        }
        return state.withLock { state in
            if let found { state.servers = found }
            return state.servers
        }
    }

    /// Tells the host of our servers, or that there are none; what is set already stays.
    ///
    /// - Parameter wanted: What the host shall be told.
    /// - Throws: ``HostResolverError`` when it could not be told; another try may succeed.
    public func set(_ wanted: Wanted) throws(HostResolverError) {
        guard mode != .off else { return }
        guard !wanted.sentinels.isEmpty else {
            _ = try restore()
            return
        }
        var notices: [String] = []
        if try usesResolved() {
            try tellResolved(wanted, &notices)
        } else {
            try write(wanted, &notices)
        }
        state.withLock { $0.notices = notices }
    }

    /// Empties the caches of systemd-resolved and nscd, where they run.
    ///
    /// - Returns: Why one was not emptied, in sentences.
    public func flushCaches() -> [String] {
        var failures: [String] = []
        if TextFile.exists("/run/systemd/resolve/io.systemd.Resolve") {
            do { try resolved.resolved.flushCaches() } catch {
                failures.append("The cache of systemd-resolved was not emptied. \(error)")
            }
        }
        if TextFile.exists("/run/nscd/socket"), let path = Subprocess.find("nscd") {
            let outcome = try? Subprocess.run(
                path,
                ["--invalidate=hosts"],
                timeout: SystemBus.Limits.call
            )
            if outcome?.status != 0 { failures.append("The cache of nscd was not emptied.") }
        }
        return failures
    }

    /// Puts everything back as it was, also what an earlier process left.
    ///
    /// - Returns: What became of the file.
    /// - Throws: ``HostResolverError`` when something could not be put back; it is tried again at
    ///   the next call.
    @discardableResult
    public func restore() throws(HostResolverError) -> ResolverConfiguration.Restoration {
        state.withLock { $0.notices = [] }
        let outcome = Result { () throws(ResolverError) in try file.restore() }
        // Both are tried, whatever becomes of the first.
        let isInResolved =
            !resolved.journal().isEmpty || interface != nil && (try? usesResolved()) ?? true
        if isInResolved {
            do throws(BusError) { try resolved.restore(interface) } catch {
                throw .resolved(error)
            }
        }
        do throws(ResolverError) { return try outcome.get() } catch { throw .file(error) }
    }
}

extension HostResolver {
    private func usesResolved() throws(HostResolverError) -> Bool {
        switch mode {
        case .resolved: return true
        case .resolvConf, .off: return false
        case .automatic:
            do throws(ResolverError) { return try file.source() == .resolved } catch {
                throw .file(error)
            }
        }
    }

    private func resolvedServers() throws(BusError) -> HostServers {
        let snapshot = try resolved.resolved.snapshot()
        let originals = ResolvedConfiguration.originals(snapshot, resolved.journal())
            .filter { $0.interface != interface }
        var settings: [UInt32: SystemdResolved.LinkSettings] = [:]
        for original in originals where original.interface > 0 {
            settings[original.interface] = try resolved.resolved.settings(of: original.interface)
        }
        return HostServers(originals, snapshot, settings: settings)
    }

    private func tellResolved(
        _ wanted: Wanted,
        _ notices: inout [String]
    ) throws(HostResolverError) {
        guard let interface else { return }
        let report: ResolvedConfiguration.Report
        do throws(BusError) {
            report = try resolved.activate(
                interface,
                .init(sentinels: wanted.sentinels, search: wanted.search, domains: wanted.domains)
            )
        } catch {
            throw .resolved(error)
        }
        for claim in report.taken {
            notices.append(
                "The domain \(claim.domain) of \(claim.link ?? "the host") has names of resources "
                    + "below it, so it is ours until the client ends; its other names are asked "
                    + "of the servers that it had."
            )
        }
        if report.leftOut > 0 {
            notices.append(
                "systemd-resolved takes \(ResolvedConfiguration.Limits.domains) domains of a link; "
                    + "\(report.leftOut) more that other links claim were left out, and their names "
                    + "may be asked there."
            )
        }
        if report.refused.isEmpty {
            do throws(ResolverError) { _ = try file.restore() } catch { throw .file(error) }
        } else {
            try goAround(report, wanted, &notices)
        }
    }

    /// Where resolved does not give up a domain, programs are pointed at us directly.
    private func goAround(
        _ report: ResolvedConfiguration.Report,
        _ wanted: Wanted,
        _ notices: inout [String]
    ) throws(HostResolverError) {
        for (claim, reason) in report.refused.sorted(by: { $0.key.domain < $1.key.domain }) {
            let owner = claim.link.map { "of \($0)" } ?? "of the whole host"
            notices.append(
                "The domain \(claim.domain) \(owner) could not be taken over in systemd-resolved "
                    + "(\(reason)), so \(path) names the resolver of Culvert instead."
            )
        }
        try write(wanted, &notices)
        let switches = (try? TextFile.read("/etc/nsswitch.conf")) ?? []
        let hosts = String(decoding: switches, as: UTF8.self).split(separator: "\n")
            .first { $0.hasPrefix("hosts:") }
        if hosts?.split(whereSeparator: \.isWhitespace).contains("resolve") ?? false {
            notices.append(
                "/etc/nsswitch.conf lets programs ask systemd-resolved directly (resolve): names "
                    + "in those domains may be asked elsewhere. Take resolve out of its line hosts."
            )
        }
    }

    private func write(
        _ wanted: Wanted,
        _ notices: inout [String]
    ) throws(HostResolverError) {
        do throws(ResolverError) {
            let activation = try file.activate(
                nameservers: wanted.sentinels,
                search: wanted.search,
                replacesResolved: true
            )
            if case .written(let count) = activation, count < wanted.sentinels.count {
                notices.append(
                    "Programs read \(count) name servers of \(path); the other "
                        + "\(wanted.sentinels.count - count) of \(wanted.sentinels.count) are not "
                        + "asked."
                )
            }
        } catch {
            throw .file(error)
        }
    }
}
