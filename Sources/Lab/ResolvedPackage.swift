internal import Foundation
internal import Glibc

/// Debian's systemd-resolved, unpacked into a folder of its own: installing it would take over the
/// machine's own DNS at once.
public struct ResolvedPackage: Sendable {
    /// Packages that belong together: the service, its library, and the module by which programs
    /// ask it.
    private static let packages = ["systemd-resolved", "libsystemd-shared", "libnss-resolve"]

    /// Where it is unpacked.
    public let folder: String

    /// The service's program.
    var service: String { folder + "/lib/systemd/systemd-resolved" }
    /// Where `resolvectl` is.
    var programs: String { folder + "/usr/bin" }
    /// Where its libraries are.
    let libraries: [String]

    /// The package, fetched from Debian's archive the first time.
    ///
    /// - Throws: ``LabError`` when it can be had neither from the folder nor from the archive, or
    ///   when a program is missing that it works with.
    public init() throws {
        let parent = getuid() == 0 ? "/var/cache" : NSTemporaryDirectory()
        let folder = parent + "/culvert-systemd-resolved"
        let manager = FileManager.default
        // The bus that it is reached by, and the program that our client reaches it with.
        for (program, name) in [("dbus-daemon", "dbus-daemon"), ("busctl", "systemd")]
        where !manager.isExecutableFile(atPath: "/usr/bin/" + program) {
            throw LabError("\(program) is missing; it is in the package \(name).")
        }
        if !manager.isExecutableFile(atPath: folder + "/lib/systemd/systemd-resolved") {
            try Self.fetch(into: folder)
        }
        let names = (try? manager.contentsOfDirectory(atPath: folder + "/usr/lib")) ?? []
        libraries = names.map { folder + "/usr/lib/" + $0 }
            .filter { manager.fileExists(atPath: $0 + "/systemd") }
            .flatMap { [$0, $0 + "/systemd"] }
        self.folder = folder
    }

    private static func fetch(into folder: String) throws {
        let archives = folder + ".archives"
        let manager = FileManager.default
        try? manager.removeItem(atPath: archives)
        try manager.createDirectory(atPath: archives, withIntermediateDirectories: true)
        defer { try? manager.removeItem(atPath: archives) }
        let fetched = try Lab.run(
            ["apt-get", "download"] + packages,
            seconds: 120,
            directory: archives
        )
        guard fetched.code == 0 else {
            throw LabError("systemd-resolved cannot be fetched: \(fetched.output.trimmed)")
        }
        for archive in try manager.contentsOfDirectory(atPath: archives) {
            try Lab.must(["dpkg-deb", "-x", "\(archives)/\(archive)", folder])
        }
    }

    /// What a program of the package needs in its environment.
    var environment: [String] {
        let path = "/usr/sbin:/usr/bin:/sbin:/bin"
        return [
            "env", "PATH=\(programs):\(path)",
            "LD_LIBRARY_PATH=\(libraries.joined(separator: ":"))",
        ]
    }
}
