internal import CLinux
internal import Glibc
public import IP

/// Why resolv.conf was left alone.
public enum ResolverError: Error, Equatable, Sendable, CustomStringConvertible {
    /// It is a symbolic link: another program owns it.
    case symbolicLink(path: String, target: String)
    /// Another program or person has written it since we did.
    case changedByOthers(path: String)
    /// It is ours, but what it was before is lost.
    case originalLost(path: String, original: String)
    /// It could not be read or written.
    case system(SystemError)

    public var description: String {
        switch self {
        case .symbolicLink(let path, let target):
            "\(path) is a symbolic link to \(target), so another program owns it; it was left as "
                + "it is. Make \(path) a plain file, or "
                + "turn DNS configuration off and point the host at the sentinels yourself."
        case .changedByOthers(let path):
            "\(path) was changed by another program since Culvert wrote it; it was left as it is. "
                + "Names of resources may not resolve. Find out what writes it (DHCP client, "
                + "NetworkManager), stop that, and restart."
        case .originalLost(let path, let original):
            "\(path) was written by Culvert, but \(original), which keeps what it was before, is "
                + "gone. Write \(path) anew with the host's nameservers, then start again."
        case .system(let error):
            "The host's DNS configuration could not be changed. \(error)."
        }
    }
}

/// The host's DNS configuration where resolv.conf is a plain file.
///
/// Our file is marked; the original is kept aside, byte for byte, together with what we wrote, so
/// that a change by anybody else is noticed and respected. Whether we are in place is read from the
/// disk each time, so a crash needs no more than ``restore()`` at the next start.
public struct ResolverConfiguration: Sendable {
    enum Limits {
        /// Lines that glibc reads (MAXNS).
        static var nameservers: Int { 3 }
    }

    /// What ``activate(nameservers:search:)`` did.
    public enum Activation: Equatable, Sendable {
        /// The file names the first `count` servers.
        case written(count: Int)
        /// There are no servers to name: the host's own file is in place.
        case untouched
    }

    /// What ``restore()`` did.
    public enum Restoration: Equatable, Sendable {
        case restored
        /// Somebody had edited our file, whose servers are going away: the original was put back,
        /// the edited file is kept here.
        case restoredOverEdits(kept: String)
        /// Our file was not in place.
        case nothingToDo
        /// Somebody has written the file since; it stays as it is, our copy of the original goes.
        case changedByOthers
    }

    /// Whom programs of the host ask without us.
    enum Source: Equatable, Sendable {
        /// The servers that the file names.
        case file
        /// systemd-resolved's stub, which asks in its own way.
        case resolved
        /// The servers of systemd-resolved, in a file that it writes.
        case resolvedServers
        /// What another program writes into a file of its own.
        case other(target: String)
    }

    private let path: String
    private let original: String
    /// Keeps where a symbolic link led that we put our file in place of.
    private let link: String
    private let written: String
    private let edited: String

    /// - Parameters:
    ///   - path: The file.
    ///   - folder: Where the original is kept; it must exist and outlive the process.
    public init(path: String = "/etc/resolv.conf", folder: String) {
        self.path = path
        original = folder + "/resolv.conf.original"
        link = folder + "/resolv.conf.link"
        written = folder + "/resolv.conf.written"
        edited = folder + "/resolv.conf.edited"
    }

    /// What the host says without us.
    public func hostConfiguration() throws(ResolverError) -> ResolverFile {
        switch try state() {
        case .host(let bytes), .foreign(let bytes): return ResolverFile(bytes)
        case .missing: return ResolverFile([])
        case .ours(let bytes), .edited(let bytes): return ResolverFile(bytes)
        }
    }

    /// Whom programs ask without us.
    func source() throws(ResolverError) -> Source {
        if let target = symbolicLink() ?? keptLink() { return Self.source(of: target) }
        // Where resolved's stub listens.
        let stubs = [IPAddress(ipv4: 0x7f00_0035), IPAddress(ipv4: 0x7f00_0036)]
        let first = try hostConfiguration().nameservers.first
        return first.map(stubs.contains) ?? false ? .resolved : .file
    }

    private static func source(of target: String) -> Source {
        if target.hasSuffix("run/systemd/resolve/stub-resolv.conf")
            || target.hasSuffix("lib/systemd/resolv.conf")
        {
            return .resolved
        }
        let isServers = target.hasSuffix("run/systemd/resolve/resolv.conf")
        return isServers ? .resolvedServers : .other(target: target)
    }

    /// Names our servers in the file; keeps the original aside the first time.
    ///
    /// - Parameters:
    ///   - nameservers: Ours, the first three of which are named; none restores the original.
    ///   - search: In place of the original's search list; empty keeps that.
    ///   - replacesResolved: Whether a symbolic link to a file of systemd-resolved gives way to
    ///     ours until ``restore()``.
    /// - Returns: What the file is now.
    /// - Throws: ``ResolverError`` when the file is a link, somebody else's, or cannot be written.
    public func activate(
        nameservers: [IPAddress],
        search: [String] = [],
        replacesResolved: Bool = false
    ) throws(ResolverError) -> Activation {
        guard !nameservers.isEmpty else {
            _ = try restore()
            return .untouched
        }
        let target = symbolicLink()
        if let target {
            guard replacesResolved, [.resolved, .resolvedServers].contains(Self.source(of: target))
            else { throw .symbolicLink(path: path, target: target) }
        }
        let before: [UInt8]
        switch try state() {
        case .host(let bytes):
            before = bytes
            try attempt { () throws(SystemError) in try TextFile.replace(original, bytes) }
        case .missing:
            before = []
            try attempt { () throws(SystemError) in try TextFile.replace(original, []) }
        case .ours(let bytes): before = bytes
        case .foreign, .edited: throw .changedByOthers(path: path)
        }
        if let target {
            try attempt { () throws(SystemError) in
                try TextFile.replace(link, Array(target.utf8))
            }
        }
        let servers = nameservers.prefix(Limits.nameservers)
        let text = compose(ResolverFile(before), Array(servers), search)
        try attempt { () throws(SystemError) in
            // First what we are about to write: a crash between the two leaves a file that is the
            // host's own or ours, and both are recognised.
            try TextFile.replace(written, text)
            try write(text)
        }
        return .written(count: servers.count)
    }

    /// Puts the original back where our file is in place. At start, at exit, and by `culvert down`.
    public func restore() throws(ResolverError) -> Restoration {
        switch try state() {
        case .host, .missing:
            forget()
            return .nothingToDo
        case .foreign:
            forget()
            return .changedByOthers
        case .ours(let bytes):
            try putBack(bytes)
            return .restored
        case .edited(let bytes):
            let current = try read(path) ?? []
            try attempt { () throws(SystemError) in try TextFile.replace(edited, current) }
            try putBack(bytes)
            return .restoredOverEdits(kept: edited)
        }
    }
}

extension ResolverConfiguration {
    /// Whose file is in place. The bytes are those of the host's own file.
    private enum State {
        case host([UInt8])
        case missing
        /// As we wrote it.
        case ours([UInt8])
        /// Ours, with changes by somebody else.
        case edited([UInt8])
        /// We had written it, and somebody else has put another one there.
        case foreign([UInt8])
    }

    private func state() throws(ResolverError) -> State {
        guard let current = try read(path) else { return .missing }
        let kept = try read(original)
        guard ResolverFile(current).isMarked else {
            guard let kept else { return .host(current) }
            // What a link leads to may have been written anew by its owner.
            let isHost = symbolicLink().map { $0 == keptLink() } ?? (kept == current)
            return isHost ? .host(current) : .foreign(current)
        }
        guard let kept else { throw .originalLost(path: path, original: original) }
        return try read(written) == current ? .ours(kept) : .edited(kept)
    }

    /// Nil when there is no such file.
    private func read(_ path: String) throws(ResolverError) -> [UInt8]? {
        do throws(SystemError) {
            return try TextFile.read(path)
        } catch {
            if error.code == ENOENT { return nil }
            throw .system(error)
        }
    }

    private func attempt(_ body: () throws(SystemError) -> Void) throws(ResolverError) {
        do throws(SystemError) {
            try body()
        } catch {
            throw .system(error)
        }
    }

    /// Where the path leads, if it is a symbolic link.
    private func symbolicLink() -> String? {
        var buffer = [UInt8](repeating: 0, count: Int(PATH_MAX))
        let count = unsafe buffer.withUnsafeMutableBytes { bytes in
            unsafe bytes.baseAddress.map { unsafe readlink(path, $0, bytes.count) } ?? -1
        }
        return count > 0 ? String(decoding: buffer[..<count], as: UTF8.self) : nil
    }

    /// Where the link led that our file is in place of.
    private func keptLink() -> String? {
        (try? TextFile.read(link)).map { String(decoding: $0, as: UTF8.self) }
    }

    private func compose(
        _ host: ResolverFile,
        _ nameservers: [IPAddress],
        _ search: [String]
    ) -> [UInt8] {
        var lines = [
            "\(ResolverFile.mark) It names the resolver of Culvert, and goes away with it;",
            "# what was here before is kept in \(original).",
        ]
        lines += nameservers.map { "nameserver \($0)" }
        let domains = search.isEmpty ? host.search : search
        if !domains.isEmpty { lines.append("search " + domains.joined(separator: " ")) }
        lines += host.carriedLines
        return Array((lines.joined(separator: "\n") + "\n").utf8)
    }

    /// At once where possible; in place where the file is a mount of its own or its folder cannot
    /// be written.
    private func write(_ bytes: [UInt8]) throws(SystemError) {
        do throws(SystemError) {
            try TextFile.replace(path, bytes)
        } catch {
            guard [EBUSY, EXDEV, EROFS, EACCES, EPERM].contains(error.code) else { throw error }
            try TextFile.overwrite(path, bytes)
        }
    }

    private func putBack(_ bytes: [UInt8]) throws(ResolverError) {
        if let target = symbolicLink() { throw .symbolicLink(path: path, target: target) }
        let target = keptLink()
        try attempt { () throws(SystemError) in
            if let target { try TextFile.link(path, to: target) } else { try write(bytes) }
        }
        forget()
    }

    private func forget() {
        for file in [original, link, written] { TextFile.remove(file) }
    }
}
