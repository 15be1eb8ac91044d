internal import Foundation

/// The folder in which the portal keeps what must outlive it; only its owner may look inside.
struct StateFolder: Sendable {
    /// Where it lies.
    let path: String

    /// Makes the folder when it is missing, and finds out whether it can be written to.
    init(path: String) throws(StateFolderError) {
        self.path = path
        let files = FileManager.default
        let exists = files.fileExists(atPath: path)
        let target = URL(fileURLWithPath: path).resolvingSymlinksInPath().path
        let kind = try? files.attributesOfItem(atPath: target)[.type] as? FileAttributeType
        if exists, kind != .typeDirectory { throw .notAFolder(path: path) }
        do {
            if !exists {
                try files.createDirectory(
                    atPath: path,
                    withIntermediateDirectories: true,
                    attributes: [.posixPermissions: 0o700]
                )
            }
        } catch {
            throw .notWritable(path: path, reason: Self.reason(error))
        }
        guard files.isWritableFile(atPath: path) else {
            throw .notWritable(path: path, reason: "permission denied")
        }
    }

    /// The path of a file inside.
    func path(of name: String) -> String { "\(path)/\(name)" }

    /// A file's text; nil when there is none.
    func read(_ name: String) throws(StateFolderError) -> String? {
        let path = path(of: name)
        guard FileManager.default.fileExists(atPath: path) else { return nil }
        do {
            return try String(contentsOfFile: path, encoding: .utf8)
        } catch {
            throw .unreadable(path: path, reason: Self.reason(error))
        }
    }

    /// Writes a secret: the whole text or nothing, synced, for its owner's eyes only.
    func write(_ name: String, _ text: String) throws(StateFolderError) {
        let final = path(of: name)
        let draft = final + ".new"
        do {
            try Data().write(to: URL(fileURLWithPath: draft))
            try FileManager.default.setAttributes([.posixPermissions: 0o600], ofItemAtPath: draft)
            let handle = try FileHandle(forWritingTo: URL(fileURLWithPath: draft))
            try handle.write(contentsOf: Data(text.utf8))
            try handle.synchronize()
            try handle.close()
            if FileManager.default.fileExists(atPath: final) {
                _ = try FileManager.default.replaceItemAt(
                    URL(fileURLWithPath: final),
                    withItemAt: URL(fileURLWithPath: draft)
                )
            } else {
                try FileManager.default.moveItem(atPath: draft, toPath: final)
            }
        } catch {
            throw .notWritable(path: final, reason: Self.reason(error))
        }
    }

    private static func reason(_ error: any Error) -> String {
        switch (error as? CocoaError)?.code {
        case .fileWriteNoPermission, .fileReadNoPermission: "permission denied"
        case .fileWriteOutOfSpace: "no space left on the device"
        case .fileWriteVolumeReadOnly: "the file system is read-only"
        default: "\(error)"
        }
    }
}

/// Why the state folder cannot be used.
public enum StateFolderError: Error, Equatable {
    case notAFolder(path: String)
    case notWritable(path: String, reason: String)
    case unreadable(path: String, reason: String)
}
