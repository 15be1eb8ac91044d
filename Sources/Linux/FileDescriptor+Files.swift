internal import CLinux
internal import Glibc
internal import SansIO

extension FileDescriptor {
    /// Writes all of `bytes` at the descriptor's position.
    func writeAll(_ bytes: [UInt8]) throws(SystemError) {
        var written = 0
        while written < bytes.count {
            let count = unsafe bytes.withUnsafeBytes { bytes in
                unsafe Glibc.write(
                    raw,
                    bytes.baseAddress.map { unsafe $0 + written },
                    bytes.count - written
                )
            }
            if count < 0 {
                if errno == EINTR { continue }
                throw SystemError("write")
            }
            written += count
        }
    }

    /// Reads up to the end; what exceeds `byteCountMax` is read and dropped. Nil when the end does
    /// not come within `timeout`.
    func readAll(byteCountMax: Int, within timeout: Duration?) -> [UInt8]? {
        let end = timeout.map { SystemClock.now().advanced(by: $0) }
        var all: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 16 << 10)
        while true {
            if let end {
                let left = max(0, SystemClock.now().duration(to: end).nanoseconds / 1_000_000)
                var waited = pollfd(fd: raw, events: Int16(POLLIN), revents: 0)
                let ready = unsafe poll(&waited, 1, Int32(clamping: left))
                if ready < 0, errno == EINTR { continue }
                guard ready > 0 else { return nil }
            }
            let count = unsafe buffer.withUnsafeMutableBytes { bytes in
                unsafe Glibc.read(raw, bytes.baseAddress, bytes.count)
            }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { return all }
            all += buffer[..<min(count, byteCountMax - all.count)]
        }
    }
}

extension FileDescriptor {
    /// Reads up to the end, which is near; what exceeds `byteCountMax` is read and dropped.
    func readAll(byteCountMax: Int) -> [UInt8] {
        readAll(byteCountMax: byteCountMax, within: nil) ?? []
    }
}

/// Small files, whole.
enum TextFile {
    enum Limits {
        /// Bytes of a file that we are willing to read.
        static var byteCount: Int { 1 << 20 }
    }

    /// Whether there is such a file or folder.
    static func exists(_ path: String) -> Bool { unsafe access(path, F_OK) == 0 }

    static func read(_ path: String) throws(SystemError) -> [UInt8] {
        try FileDescriptor(open: path, flags: O_RDONLY).readAll(byteCountMax: Limits.byteCount)
    }

    /// Overwrites the file where it is; leaves its owner and rights alone.
    static func overwrite(_ path: String, _ bytes: [UInt8]) throws(SystemError) {
        let file = try FileDescriptor(open: path, flags: O_WRONLY)
        try file.writeAll(bytes)
        try SystemError.check("ftruncate \(path)") { ftruncate(file.raw, bytes.count) }
        try SystemError.check("fsync \(path)") { fsync(file.raw) }
    }

    /// Puts a new file in place of the old one at once (write beside it, sync, rename), with the
    /// old one's owner and rights.
    static func replace(_ path: String, _ bytes: [UInt8]) throws(SystemError) {
        var status = stat()
        let exists = unsafe stat(path, &status) == 0
        let mode = exists ? status.st_mode & 0o7777 : 0o644
        // Two clients in namespaces of their own may share the folder.
        let beside = "\(path).culvert-new-\(getpid())"
        let file = try FileDescriptor(
            open: beside,
            flags: O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW,
            mode: mode
        )
        do throws(SystemError) {
            if exists { _ = fchown(file.raw, status.st_uid, status.st_gid) }
            // Whatever the process's umask is.
            _ = fchmod(file.raw, mode)
            try file.writeAll(bytes)
            try SystemError.check("fsync \(beside)") { fsync(file.raw) }
            try SystemError.check("rename \(beside)") { unsafe rename(beside, path) }
        } catch {
            remove(beside)
            throw error
        }
        syncFolder(of: path)
    }

    /// Puts a symbolic link in place of the file at once.
    static func link(_ path: String, to target: String) throws(SystemError) {
        let beside = "\(path).culvert-new-\(getpid())"
        remove(beside)
        try SystemError.check("symlink \(beside)") { unsafe symlink(target, beside) }
        do throws(SystemError) {
            try SystemError.check("rename \(beside)") { unsafe rename(beside, path) }
        } catch {
            remove(beside)
            throw error
        }
        syncFolder(of: path)
    }

    /// Removes a file, if it is there.
    static func remove(_ path: String) { _ = unsafe unlink(path) }

    /// Makes a rename survive a power loss.
    private static func syncFolder(of path: String) {
        let parts = path.split(separator: "/", omittingEmptySubsequences: false).dropLast()
        let folder = parts.isEmpty ? "." : parts.joined(separator: "/")
        let opened = try? FileDescriptor(open: folder.isEmpty ? "/" : folder, flags: O_RDONLY)
        if let opened { _ = fsync(opened.raw) }
    }
}
