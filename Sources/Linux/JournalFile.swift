internal import CLinux
internal import Glibc

/// The file of a ``SysctlJournal``: its lock says who still needs what it notes, and the kernel
/// takes the lock back when a process ends, however it does.
///
/// The first line names the running kernel: what another one was told is of no concern any more.
final class JournalFile: Sendable {
    enum Limits {
        /// The file vanishes under somebody who opens it when its last user ends; tried so often.
        static var attempts: Int { 16 }
    }

    private let descriptor: FileDescriptor
    private let path: String
    /// Whether nobody else had it open.
    let isAlone: Bool

    init(folder: String) throws(SystemError) {
        path = folder + "/sysctls-" + NetworkNamespace.currentNumber
        _ = unsafe mkdir(folder, 0o755)
        for _ in 0..<Limits.attempts {
            let opened = try FileDescriptor(
                open: path,
                flags: O_RDWR | O_CREAT | O_APPEND | O_NOFOLLOW,
                mode: 0o600
            )
            let isAlone = flock(opened.raw, LOCK_EX | LOCK_NB) == 0
            let path = path
            if !isAlone { try SystemError.check("lock \(path)") { flock(opened.raw, LOCK_SH) } }
            var (mine, there) = (stat(), stat())
            let isThere = unsafe fstat(opened.raw, &mine) == 0 && stat(path, &there) == 0
            guard isThere, mine.st_ino == there.st_ino else { continue }
            descriptor = opened
            self.isAlone = isAlone
            return
        }
        throw SystemError(call: "lock \(path)", code: EBUSY)
    }

    private static var head: String {
        let kernel = (try? Sysctl.read("kernel.random.boot_id")) ?? "unknown"
        return "kernel \(kernel)\n"
    }

    /// What it notes; nothing that was noted under another kernel.
    func entries() -> [SysctlJournal.Entry] {
        _ = lseek(descriptor.raw, 0, SEEK_SET)
        let bytes = descriptor.readAll(byteCountMax: TextFile.Limits.byteCount)
        let text = String(decoding: bytes, as: UTF8.self)
        guard text.hasPrefix(Self.head) else { return [] }
        return text.split(separator: "\n").compactMap(SysctlJournal.Entry.init(line:))
    }

    /// Makes these all that it notes.
    func replace(with entries: [SysctlJournal.Entry]) throws(SystemError) {
        let path = path
        try SystemError.check("ftruncate \(path)") { ftruncate(descriptor.raw, 0) }
        let text = Self.head + entries.map(\.line).joined()
        try descriptor.writeAll(Array(text.utf8))
    }

    func append(_ entry: SysctlJournal.Entry) throws(SystemError) {
        try descriptor.writeAll(Array(entry.line.utf8))
    }

    /// Lets others open it too.
    func share() { _ = flock(descriptor.raw, LOCK_SH) }

    /// Whether nobody else needs what it notes; nobody may open it then.
    func isLast() -> Bool { flock(descriptor.raw, LOCK_EX | LOCK_NB) == 0 }

    /// Removes it; what was noted is done.
    func remove() {
        _ = ftruncate(descriptor.raw, 0)
        TextFile.remove(path)
    }
}
