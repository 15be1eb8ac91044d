internal import Bytes
internal import CLinux
internal import Glibc
internal import SansIO
internal import Synchronization

/// Tells when the host's network has changed: links, addresses, routes, and files such as
/// /etc/resolv.conf. Has a thread of its own; what comes in a burst is told once.
public final class NetworkMonitor: Sendable {
    enum Limits {
        /// Bytes of one read.
        static var readByteCount: Int { 64 << 10 }
    }

    /// What has changed.
    public struct Kinds: OptionSet, Sendable {
        public let rawValue: UInt8

        public init(rawValue: UInt8) { self.rawValue = rawValue }

        /// Links, addresses or routes.
        public static let network = Kinds(rawValue: 1)
        /// One of the files.
        public static let files = Kinds(rawValue: 2)
    }

    /// Kinds that nobody has taken yet.
    private final class Pending: Sendable {
        let kinds = Mutex<Kinds>([])
    }

    /// One element for each burst; a change that nobody has taken yet stands for later ones too.
    public let changes: AsyncStream<Void>
    private let pending = Pending()
    private let executor: LoopExecutor

    /// - Parameters:
    ///   - interface: Changes of this one (our tunnel device) are passed over.
    ///   - files: Paths whose content matters; a file may be missing, its folder may not.
    ///   - quiet: A burst ends when nothing has happened for so long.
    ///   - longest: A burst is told after so long even when it goes on.
    /// - Throws: ``SystemError`` when the kernel has no socket, watch or thread to give.
    public init(
        ignoring interface: UInt32?,
        files: [String] = [],
        quiet: Duration = .milliseconds(250),
        longest: Duration = .seconds(1)
    ) throws(SystemError) {
        let (changes, continuation) = AsyncStream.makeStream(
            of: Void.self,
            bufferingPolicy: .bufferingNewest(1)
        )
        let executor = try LoopExecutor()
        let watch = try Watch(interface: interface, files: files, executor.descriptor)
        self.changes = changes
        self.executor = executor
        let slot = Handover(watch)
        let pending = pending
        try DedicatedThread.start(name: "culvert-network") {
            guard var watch = slot.take() else { return }
            while true {
                let kinds = watch.waitForBurst(quiet: quiet, longest: longest, until: executor)
                guard !kinds.isEmpty else { break }
                pending.kinds.withLock { $0.formUnion(kinds) }
                continuation.yield()
            }
            continuation.finish()
        }
    }

    deinit { executor.finish() }

    /// What has changed since this was asked last; ask it for each element of ``changes``.
    public func takeKinds() -> Kinds {
        pending.kinds.withLock { kinds in
            defer { kinds = [] }
            return kinds
        }
    }

    /// Ends the thread and the stream.
    public func stop() { executor.finish() }
}

/// The descriptors that a monitor waits on.
private struct Watch: ~Copyable, Sendable {
    private let netlink: FileDescriptor
    private let inotify: FileDescriptor
    private let wake: Int32
    private let interface: UInt32?
    /// Names, without folder, of the files that matter.
    private let names: [String]

    init(interface: UInt32?, files: [String], _ wake: Int32) throws(SystemError) {
        let netlink = try Self.openNetlink()
        let inotify = FileDescriptor(
            taking: try SystemError.check("inotify_init1") {
                inotify_init1(Int32(IN_CLOEXEC | IN_NONBLOCK))
            }
        )
        for file in files {
            // The folder, since files are replaced by renaming.
            let folder = file.split(separator: "/").dropLast().joined(separator: "/")
            let mask = UInt32(IN_CLOSE_WRITE | IN_MOVED_TO | IN_CREATE | IN_DELETE)
            try SystemError.check("watch \(file)") {
                unsafe inotify_add_watch(inotify.raw, "/" + folder, mask)
            }
        }
        self.netlink = netlink
        self.inotify = inotify
        self.wake = wake
        self.interface = interface
        names = files.compactMap { $0.split(separator: "/").last.map(String.init) }
    }

    /// A socket that the kernel tells of changes.
    private static func openNetlink() throws(SystemError) -> FileDescriptor {
        let groups = [
            RTNLGRP_LINK, RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR, RTNLGRP_IPV4_ROUTE,
            RTNLGRP_IPV6_ROUTE,
        ]
        return try FileDescriptor(netlink: NETLINK_ROUTE, groups: groups.map { Int32($0.rawValue) })
    }

    /// Returns after a burst of changes; nothing when the monitor was stopped.
    mutating func waitForBurst(
        quiet: Duration,
        longest: Duration,
        until executor: LoopExecutor
    ) -> NetworkMonitor.Kinds {
        var kinds: NetworkMonitor.Kinds = []
        var end: Instant?
        while !executor.isFinished {
            var timeout: Int32 = -1
            if let end {
                let left = min(quiet, SystemClock.now().duration(to: end))
                if left <= .zero { return kinds }
                timeout = Int32(clamping: left.nanoseconds / 1_000_000 + 1)
            }
            let readable = wait(milliseconds: timeout)
            if readable == 0, end != nil { return kinds }
            // Both are emptied in any case.
            if readNetlink() { kinds.insert(.network) }
            if readFiles() { kinds.insert(.files) }
            if !kinds.isEmpty, end == nil { end = SystemClock.now().advanced(by: longest) }
        }
        return []
    }

    private func wait(milliseconds: Int32) -> Int32 {
        let events = Int16(POLLIN)
        var descriptors = InlineArray<3, pollfd>(repeating: pollfd())
        descriptors[0] = pollfd(fd: netlink.raw, events: events, revents: 0)
        descriptors[1] = pollfd(fd: inotify.raw, events: events, revents: 0)
        descriptors[2] = pollfd(fd: wake, events: events, revents: 0)
        return unsafe withUnsafeMutablePointer(to: &descriptors) { pointer in
            unsafe pointer.withMemoryRebound(to: pollfd.self, capacity: 3) {
                unsafe poll($0, 3, milliseconds)
            }
        }
    }

    private func read(_ descriptor: Int32) -> [UInt8]? {
        var buffer = [UInt8](repeating: 0, count: NetworkMonitor.Limits.readByteCount)
        let count = unsafe buffer.withUnsafeMutableBytes { bytes in
            unsafe Glibc.read(descriptor, bytes.baseAddress, bytes.count)
        }
        return count > 0 ? Array(buffer[..<count]) : nil
    }

    /// Whether something happened that is not our own doing.
    private func readNetlink() -> Bool {
        var hasChanged = false
        while true {
            guard let bytes = read(netlink.raw) else {
                // So much has happened that the kernel could not keep it.
                if errno == ENOBUFS {
                    hasChanged = true
                    continue
                }
                return hasChanged
            }
            hasChanged = concerns(bytes.rawSpan) || hasChanged
        }
    }

    private func concerns(_ bytes: RawSpan) -> Bool {
        var at = 0
        while at + 16 <= bytes.byteCount {
            let length = Int(bytes.nativeUInt32(at: at))
            guard length >= 16, length <= bytes.byteCount - at else { return false }
            let body = bytes.extracting(at + 16..<at + length)
            switch Int(bytes.nativeUInt16(at: at + 4)) {
            case RTM_NEWROUTE, RTM_DELROUTE:
                if let route = Netlink.route(body), route.interface != interface,
                    route.origin != Route.ownOrigin
                {
                    return true
                }
            case RTM_NEWLINK, RTM_DELLINK, RTM_NEWADDR, RTM_DELADDR:
                // Both bodies have the interface at the same place.
                if body.byteCount >= 8, body.nativeUInt32(at: 4) != interface { return true }
            default: break
            }
            at += (length + 3) & ~3
        }
        return false
    }

    private func readFiles() -> Bool {
        var hasChanged = false
        while let bytes = read(inotify.raw) {
            // struct inotify_event: 16 bytes, then the name with its length in the last four.
            var at = 0
            while at + 16 <= bytes.count {
                let length = Int(bytes.rawSpan.nativeUInt32(at: at + 12))
                guard length <= bytes.count - at - 16 else { break }
                let name = bytes.rawSpan.attributeText(at + 16..<at + 16 + length)
                hasChanged = hasChanged || names.contains(name)
                at += 16 + length
            }
        }
        return hasChanged
    }
}
