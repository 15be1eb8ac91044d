public import Foundation
internal import Glibc

/// The folder where a role keeps what outlives its process; one process at a time.
public struct StateFolder: Sendable {
    /// Its path.
    public let path: String
    private let lock: Int32

    /// Makes the folder when it is missing (0700) and claims it.
    ///
    /// - Throws: ``Sentence`` when it cannot be made or another process of the role runs in it.
    public init(path: String, role: String) throws {
        self.path = path
        do {
            try FileManager.default.createDirectory(
                atPath: path,
                withIntermediateDirectories: true,
                attributes: [.posixPermissions: 0o700]
            )
        } catch {
            throw Sentence(
                "The state folder \(path) cannot be made (\(Self.reason(error))); run as a user who "
                    + "may write there, or choose another folder with --state."
            )
        }
        let file = path + "/lock"
        lock = unsafe open(file, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard lock >= 0 else {
            let word = Sentence.word(for: errno)
            throw Sentence(
                "The state folder \(path) cannot be written (\(word)); run as a user who may write "
                    + "there, or choose another folder with --state."
            )
        }
        guard flock(lock, LOCK_EX | LOCK_NB) == 0 else {
            close(lock)
            throw Sentence(
                "Another culvert \(role) runs with the state folder \(path); stop it first, or give "
                    + "this one a folder of its own with --state."
            )
        }
    }

    /// The path of `name` inside.
    public func file(_ name: String) -> String { path + "/" + name }

    /// The content of `name`; nil when there is none.
    public func read(_ name: String) -> Data? { FileManager.default.contents(atPath: file(name)) }

    /// Replaces `name` as a whole: after a crash the old or the new content is there.
    ///
    /// - Throws: ``Sentence``, for a full disk too.
    public func replace(_ name: String, with data: Data) throws {
        do {
            try data.write(to: URL(filePath: file(name)), options: .atomic)
            try FileManager.default.setAttributes(
                [.posixPermissions: 0o600],
                ofItemAtPath: file(name)
            )
        } catch {
            throw Sentence(
                "\(file(name)) cannot be written (\(Self.reason(error))); free space or mend its "
                    + "permissions."
            )
        }
    }

    /// Removes `name`; no error when there is none.
    public func remove(_ name: String) { unsafe unlink(file(name)) }

    private static func reason(_ error: any Error) -> String {
        let cocoa = error as NSError
        if let posix = cocoa.userInfo[NSUnderlyingErrorKey] as? NSError,
            posix.domain == NSPOSIXErrorDomain
        {
            return Sentence.word(for: Int32(posix.code))
        }
        switch (error as? CocoaError)?.code {
        case .fileWriteNoPermission?: return Sentence.word(for: EACCES)
        case .fileWriteOutOfSpace?: return Sentence.word(for: ENOSPC)
        case .fileWriteVolumeReadOnly?: return Sentence.word(for: EROFS)
        default: return cocoa.localizedDescription
        }
    }
}
