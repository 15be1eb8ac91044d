internal import CLinux
internal import Glibc

/// Settings of the kernel under /proc/sys, in the network namespace of the calling thread.
public enum Sysctl {
    /// The value of `name` (dots or slashes), without the line's end.
    public static func read(_ name: String) throws(SystemError) -> String {
        let bytes = try TextFile.read(path(name))
        return String(decoding: bytes.prefix { $0 != UInt8(ascii: "\n") }, as: UTF8.self)
    }

    /// Sets `name` to `value`.
    public static func write(_ name: String, _ value: String) throws(SystemError) {
        let path = path(name)
        try FileDescriptor(open: path, flags: O_WRONLY).writeAll(Array(value.utf8))
    }

    /// Names of interfaces may have dots: those are written with slashes for separators.
    private static func path(_ name: String) -> String {
        let separator: Character = name.contains("/") ? "/" : "."
        return "/proc/sys/" + name.split(separator: separator).joined(separator: "/")
    }
}
