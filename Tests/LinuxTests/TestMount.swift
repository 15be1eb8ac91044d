internal import CLinux
internal import Glibc

@testable internal import Linux

/// Mounts for tests, in a mount namespace of the calling thread's own.
enum TestMount {
    /// From here on `path` is a mount of its own, as in a container; for this thread only.
    static func bindOnItself(_ path: String) throws(SystemError) {
        try SystemError.check("unshare") { culvert_unshare_mounts() }
        try SystemError.check("mount") { unsafe culvert_bind_mount(path, path) }
    }
}
