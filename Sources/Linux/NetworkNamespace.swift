internal import CLinux
internal import Glibc

/// A network of its own inside this host; lives while a descriptor, socket or thread is in it.
///
/// Threads enter one for good: only threads made for it may, never one of a shared pool.
public struct NetworkNamespace: ~Copyable, Sendable {
    let descriptor: FileDescriptor

    /// The number by which the kernel knows the calling thread's; `0` when it does not tell.
    static var currentNumber: String {
        var status = stat()
        let isKnown = unsafe stat("/proc/thread-self/ns/net", &status) == 0
        return isKnown ? String(status.st_ino) : "0"
    }

    /// Makes a new, empty one. Takes CAP_SYS_ADMIN.
    public init() throws(SystemError) {
        let made = try DedicatedThread.run(name: "culvert-netns") {
            Self.make()
        }
        descriptor = FileDescriptor(taking: try made.get())
    }

    private static func make() -> Result<Int32, SystemError> {
        do throws(SystemError) {
            try SystemError.check("unshare") { culvert_unshare_network() }
            let opened = try FileDescriptor(open: "/proc/thread-self/ns/net", flags: O_RDONLY)
            return .success(opened.take())
        } catch {
            return .failure(error)
        }
    }

    /// Runs `work` on a thread of its own inside, and waits for it. What it makes (sockets,
    /// devices, threads) stays inside.
    public func run<R: Sendable>(
        _ work: @escaping @Sendable () -> R
    ) throws(SystemError) -> R {
        let raw = descriptor.raw
        let result: Result<R, SystemError> = try DedicatedThread.run(name: "culvert-netns") {
            do throws(SystemError) {
                try SystemError.check("setns") { culvert_enter_network(raw) }
                return .success(work())
            } catch {
                return .failure(error)
            }
        }
        return try result.get()
    }
}
