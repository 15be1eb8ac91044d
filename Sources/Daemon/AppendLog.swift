internal import Foundation
internal import Glibc

/// A file that only grows by whole records while its process lives; a kill loses none that
/// ``append(_:)`` returned for. Belongs to one thread.
public final class AppendLog: @unchecked Sendable {
    private let path: String
    private var descriptor: Int32

    /// - Throws: ``Sentence`` when the file cannot be opened.
    public init(path: String) throws {
        self.path = path
        descriptor = Self.open(path)
        guard descriptor >= 0 else {
            throw Sentence("\(path) cannot be opened (\(Sentence.word(for: errno))).")
        }
    }

    deinit { close(descriptor) }

    /// Everything in it.
    public static func content(of path: String) -> [UInt8] {
        FileManager.default.contents(atPath: path).map { [UInt8]($0) } ?? []
    }

    /// Adds one record with one system call, so that it is there whole or (disk full) not at all.
    ///
    /// - Returns: Whether it was written; a part of a record is cut off again.
    public func append(_ record: [UInt8]) -> Bool {
        let before = lseek(descriptor, 0, SEEK_END)
        let written = unsafe record.withUnsafeBytes { bytes in
            unsafe write(descriptor, bytes.baseAddress, bytes.count)
        }
        if written == record.count { return true }
        if written > 0 { ftruncate(descriptor, before) }
        return false
    }

    /// Makes what was appended survive a power loss.
    public func synchronize() { fdatasync(descriptor) }

    /// Puts `content` in place of everything; after a crash the old or the new is there.
    ///
    /// - Returns: Whether it was done; if not, the old content is there still.
    public func replace(with content: [UInt8]) -> Bool {
        let next = path + ".next"
        unsafe unlink(next)
        let fresh = Self.open(next)
        guard fresh >= 0 else { return false }
        let written = unsafe content.withUnsafeBytes { bytes in
            unsafe write(fresh, bytes.baseAddress, bytes.count)
        }
        guard written == content.count, fdatasync(fresh) == 0, unsafe rename(next, path) == 0 else {
            close(fresh)
            unsafe unlink(next)
            return false
        }
        close(descriptor)
        descriptor = fresh
        return true
    }

    private static func open(_ path: String) -> Int32 {
        unsafe Glibc.open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0o600)
    }
}
