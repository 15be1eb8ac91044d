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
        let path = path(of: name)
        let place = URL(fileURLWithPath: path)
        do {
            // Nobody else may enter the folder, so the file may get its mode afterwards.
            try Data(text.utf8).write(to: place, options: .atomic)
            try FileManager.default.setAttributes([.posixPermissions: 0o600], ofItemAtPath: path)
            let handle = try FileHandle(forUpdating: place)
            try handle.synchronize()
            try handle.close()
        } catch {
            throw .notWritable(path: path, reason: Self.reason(error))
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
