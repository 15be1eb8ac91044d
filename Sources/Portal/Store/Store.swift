internal import Foundation
internal import GRDB

/// The portal's memory on disk: one SQLite database in the state folder, WAL mode.
///
/// `synchronous` is FULL: a commit returns when the log is on the disk. Surviving SIGKILL would
/// take only NORMAL, since the kernel holds what was written; FULL also survives the loss of power,
/// which is what an administrator expects of a revocation that was acknowledged, and changes are
/// rare. Leases and activity, which are many, come in batches, so that they pay for one sync
/// together.
///
/// The database is locked for as long as the portal runs: a second portal on the same folder is
/// told so at its start, instead of deciding from a stale memory.
final class Store: Sendable {
    /// Bounds of the database.
    enum Limits {
        /// How long to wait for another program's lock at the start, in seconds.
        static let lockWait = 2.0
    }

    /// The schema that this version reads and writes.
    static let schemaVersion = 2

    private let queue: DatabaseQueue
    /// Where the file lies; for messages.
    let path: String

    /// Opens the database, or makes it.
    init(path: String) throws(StoreError) {
        self.path = path
        var configuration = Configuration()
        configuration.journalMode = .wal
        configuration.busyMode = .timeout(Limits.lockWait)
        configuration.foreignKeysEnabled = true
        configuration.prepareDatabase { database in
            try database.execute(sql: "PRAGMA locking_mode = EXCLUSIVE")
            try database.execute(sql: "PRAGMA synchronous = FULL")
        }
        do {
            queue = try DatabaseQueue(path: path, configuration: configuration)
            try Schema.migrator.migrate(queue)
            try queue.write { try $0.execute(sql: "UPDATE setting SET value = value") }
        } catch {
            throw StoreError(error, path: path)
        }
        try? FileManager.default.setAttributes([.posixPermissions: 0o600], ofItemAtPath: path)
    }

    /// One transaction: everything of `work` or nothing.
    func write<Value: Sendable>(
        _ work: @escaping @Sendable (Database) throws -> Value
    ) async throws(StoreError) -> Value {
        do {
            return try await queue.write(work)
        } catch {
            throw StoreError(error, path: path)
        }
    }

    /// Reads from one consistent state.
    func read<Value: Sendable>(
        _ work: @escaping @Sendable (Database) throws -> Value
    ) async throws(StoreError) -> Value {
        do {
            return try await queue.read(work)
        } catch {
            throw StoreError(error, path: path)
        }
    }

    /// Closes the file; nothing may be asked afterwards.
    func close() { try? queue.close() }
}

/// Why the database did not do what it was asked; nothing of the transaction was applied.
public enum StoreError: Error, Equatable, Sendable {
    /// No space left on the device.
    case diskFull(path: String)
    /// Another program holds the database, most likely a second portal.
    case locked(path: String)
    /// The file is no database, or is damaged.
    case corrupt(path: String)
    /// The file or its folder cannot be written.
    case notWritable(path: String)
    /// Reading or writing failed below the database.
    case deviceFailed(path: String, reason: String)
    /// The file was written by a newer version of the portal.
    case tooNew(path: String)
    /// Anything else: a fault of the portal.
    case failed(path: String, reason: String)

    init(_ error: any Error, path: String) {
        if let error = error as? StoreError {
            self = error
            return
        }
        guard let error = error as? DatabaseError else {
            self = .failed(path: path, reason: "\(error)")
            return
        }
        switch error.resultCode {
        case .SQLITE_FULL: self = .diskFull(path: path)
        case .SQLITE_BUSY, .SQLITE_LOCKED: self = .locked(path: path)
        case .SQLITE_CORRUPT, .SQLITE_NOTADB: self = .corrupt(path: path)
        case .SQLITE_READONLY, .SQLITE_CANTOPEN, .SQLITE_PERM, .SQLITE_AUTH:
            self = .notWritable(path: path)
        case .SQLITE_IOERR: self = .deviceFailed(path: path, reason: error.message ?? "I/O error")
        default: self = .failed(path: path, reason: error.message ?? "error \(error.resultCode)")
        }
    }

    /// What happened, why, and what to do.
    public var sentence: String {
        switch self {
        case .diskFull(let path):
            "The change was not made, since no space is left where \(path) lies; free some and try again."
        case .locked(let path):
            "\(path) is in use by another program, most likely a second portal on the same state "
                + "folder; stop it first."
        case .corrupt(let path):
            "\(path) is damaged or no database of a portal; restore a backup, or move it away to "
                + "begin anew."
        case .notWritable(let path):
            "\(path) cannot be opened for writing; give its folder to the user that the portal runs as."
        case .deviceFailed(let path, let reason):
            "Reading or writing \(path) failed (\(reason)); look at the disk and the system's log."
        case .tooNew(let path):
            "\(path) was written by a newer version; start that version, or restore a backup."
        case .failed(let path, let reason):
            "The portal could not use \(path) (\(reason)); this is a fault of the portal, please "
                + "report it."
        }
    }
}
