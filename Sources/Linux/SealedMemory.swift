internal import CLinux
internal import Glibc

/// Bytes in memory that only a descriptor leads to, and that nobody can change any more
/// (memfd_create, F_ADD_SEALS): for secrets on their way from one process to the next. They are on
/// no disk, and gone when the last descriptor is closed.
public enum SealedMemory {
    /// Bounds of what is read back.
    public enum Limits {
        /// Bytes of one file.
        public static var byteCount: Int { 1 << 31 }
    }

    /// Makes a sealed file.
    ///
    /// - Parameter bytes: Its content; wiped.
    /// - Returns: The descriptor.
    /// - Throws: ``SystemError`` when the kernel has no memory, or does not seal.
    public static func make(wiping bytes: inout [UInt8]) throws(SystemError) -> FileDescriptor {
        defer { wipe(&bytes) }
        let raw = try SystemError.check("memfd_create") {
            unsafe culvert_sealable_memory_file("culvert-state")
        }
        let file = FileDescriptor(taking: raw)
        try file.writeAll(bytes)
        try SystemError.check("seal the memory file") { culvert_seal(file.raw) }
        return file
    }

    /// Reads a sealed file, whole.
    ///
    /// - Parameter file: Its descriptor.
    /// - Returns: The content; the caller wipes it.
    /// - Throws: ``SystemError``: `EPERM` when it is not sealed, and so may change while it is
    ///   read.
    public static func read(_ file: borrowing FileDescriptor) throws(SystemError) -> [UInt8] {
        guard culvert_is_sealed(file.raw) != 0 else {
            throw SystemError(call: "read an unsealed memory file", code: EPERM)
        }
        var status = stat()
        let raw = file.raw
        try SystemError.check("fstat") { unsafe fstat(raw, &status) }
        guard status.st_size <= Limits.byteCount else {
            throw SystemError(call: "read the memory file", code: EFBIG)
        }
        var bytes = [UInt8](repeating: 0, count: Int(status.st_size))
        var have = 0
        while have < bytes.count {
            let count = unsafe bytes.withUnsafeMutableBytes { bytes in
                unsafe pread(
                    raw,
                    bytes.baseAddress.map { unsafe $0 + have },
                    bytes.count - have,
                    have
                )
            }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { throw SystemError("read the memory file") }
            have += count
        }
        return bytes
    }

    /// Overwrites bytes that hold secrets.
    public static func wipe(_ bytes: inout [UInt8]) {
        unsafe bytes.withUnsafeMutableBytes { bytes in
            guard let base = bytes.baseAddress else { return }
            unsafe explicit_bzero(base, bytes.count)
        }
        bytes = []
    }
}

/// Lets one process through and no second, however often the descriptor is copied and passed on
/// (eventfd): what comes with it is used once.
public enum OneTimeTicket {
    /// A ticket that nobody has used.
    ///
    /// - Returns: The descriptor.
    /// - Throws: ``SystemError`` when the kernel has none to give.
    public static func make() throws(SystemError) -> FileDescriptor {
        let raw = try SystemError.check("eventfd") {
            eventfd(1, Int32(EFD_CLOEXEC | EFD_NONBLOCK))
        }
        return FileDescriptor(taking: raw)
    }

    /// Whether this is the first use.
    public static func use(_ ticket: borrowing FileDescriptor) -> Bool {
        var count: UInt64 = 0
        return unsafe Glibc.read(ticket.raw, &count, 8) == 8 && count == 1
    }
}
