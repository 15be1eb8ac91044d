internal import CLinux
internal import Glibc

/// The number of a gateway among those of one network namespace: its table, routes and conntrack
/// zone are told apart by it. A lock holds it, which the kernel takes back when the process ends,
/// however it does; so what a killed gateway has left is known, and removed by the next one.
public struct GatewaySlot: ~Copyable, Sendable {
    enum Limits {
        /// Gateways of one network namespace.
        static var slots: Int { 8 }
    }

    /// From 0.
    public let number: Int
    private let lock: FileDescriptor?

    /// The first, without a lock: for a host that has no folder to write to.
    public init() {
        number = 0
        lock = nil
    }

    /// Takes the first free number.
    ///
    /// - Parameter folder: Where the locks are.
    /// - Throws: ``SystemError`` when the folder cannot be written, or all are taken.
    public init(folder: String) throws(SystemError) {
        _ = unsafe mkdir(folder, 0o755)
        for number in 0..<Limits.slots {
            let file = try FileDescriptor(
                open: Self.path(number, folder),
                flags: O_RDWR | O_CREAT | O_NOFOLLOW,
                mode: 0o600
            )
            guard flock(file.raw, LOCK_EX | LOCK_NB) == 0 else { continue }
            self.number = number
            lock = consume file
            return
        }
        throw SystemError(call: "find a free number in \(folder)", code: EBUSY)
    }

    /// Goes on with the number that another process gave away.
    ///
    /// - Parameters:
    ///   - lock: The descriptor of its lock.
    ///   - folder: Where the locks are.
    /// - Throws: ``SystemError`` `EINVAL` when the lock is none of that folder.
    public init(adopting lock: consuming FileDescriptor, folder: String) throws(SystemError) {
        var mine = stat()
        let raw = lock.raw
        try SystemError.check("fstat") { unsafe fstat(raw, &mine) }
        for number in 0..<Limits.slots {
            var there = stat()
            guard unsafe stat(Self.path(number, folder), &there) == 0,
                there.st_ino == mine.st_ino, there.st_dev == mine.st_dev
            else { continue }
            self.number = number
            self.lock = consume lock
            return
        }
        throw SystemError(call: "find the number in \(folder)", code: EINVAL)
    }

    /// Another descriptor of the lock, for the process that goes on; nil without a lock.
    public func copyOfLock() -> FileDescriptor? {
        switch lock {
        case .some(let lock):
            let copy = fcntl(lock.raw, F_DUPFD_CLOEXEC, 3)
            return copy < 0 ? nil : FileDescriptor(taking: copy)
        case .none: return nil
        }
    }

    /// What its routes are told apart by.
    public var plan: RoutingPlan { Self.plan(number) }

    private static func plan(_ number: Int) -> RoutingPlan {
        var plan = RoutingPlan.gateway
        plan.table += UInt32(number) * 10
        plan.priority += UInt32(number) * 10
        return plan
    }

    private static func path(_ number: Int, _ folder: String) -> String {
        "\(folder)/gateway-\(NetworkNamespace.currentNumber)-\(number)"
    }

    /// Removes tables, routes and rules of gateways that were killed; those of living ones stay.
    ///
    /// - Parameter folder: Where the locks are.
    /// - Returns: Whether a gateway lives, or somebody keeps its lock for the next one.
    /// - Throws: ``NftablesError`` or ``NetlinkError`` when something may be left.
    @discardableResult
    public static func removeRemains(folder: String) throws -> Bool {
        var isAnyAlive = false
        for number in 0..<Limits.slots {
            let path = path(number, folder)
            guard TextFile.exists(path) else { continue }
            let file = try FileDescriptor(open: path, flags: O_RDWR | O_NOFOLLOW)
            guard flock(file.raw, LOCK_EX | LOCK_NB) == 0 else {
                isAnyAlive = true
                continue
            }
            try GatewayFirewall.remove(number: number)
            try Routes.removeStale(plan(number))
        }
        try ForwardAccess(interface: "").close()
        return isAnyAlive
    }
}
