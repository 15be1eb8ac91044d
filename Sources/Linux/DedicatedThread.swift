internal import CLinux
internal import Glibc
internal import Synchronization

/// Threads of our own: for work that must not share a thread with anybody, such as entering a
/// network namespace, or the packet loop.
public enum DedicatedThread {
    private final class Body: Sendable {
        let name: String
        let work: @Sendable () -> Void
        init(name: String, work: @escaping @Sendable () -> Void) {
            (self.name, self.work) = (name, work)
        }
    }

    /// Starts a thread, which nobody waits for. It inherits the network namespace of the caller;
    /// signals go to other threads.
    ///
    /// - Parameters:
    ///   - name: At most 15 bytes are kept.
    ///   - work: All that the thread does.
    /// - Throws: ``SystemError`` when the kernel has no thread to give.
    public static func start(
        name: String,
        _ work: @escaping @Sendable () -> Void
    ) throws(SystemError) {
        let thread = try create(name: name, work)
        pthread_detach(thread)
    }

    /// Runs `work` on a thread of its own and waits for it.
    public static func run<R: Sendable>(
        name: String = "culvert-once",
        _ work: @escaping @Sendable () -> R
    ) throws(SystemError) -> R {
        let result = Result<R>()
        let thread = try create(name: name) { result.value.withLock { $0 = work() } }
        pthread_join(thread, nil)
        guard let value = result.value.withLock({ $0 }) else {
            throw SystemError(call: "pthread_join", code: ESRCH)
        }
        return value
    }

    /// From now on the calling thread interrupts nobody when it is woken (SCHED_BATCH): on a busy
    /// machine it begins when somebody rests or has had a turn, and finds more to do at once. For a
    /// thread that takes turns with another one over the same messages. Where the kernel refuses,
    /// nothing changes.
    public static func wakePatiently() { _ = culvert_wake_patiently() }

    private final class Result<R: Sendable>: Sendable {
        let value = Mutex<R?>(nil)
    }

    private static func create(
        name: String,
        _ work: @escaping @Sendable () -> Void
    ) throws(SystemError) -> pthread_t {
        let body = unsafe Unmanaged.passRetained(Body(name: name, work: work))
        var all = sigset_t()
        var before = sigset_t()
        unsafe sigfillset(&all)
        unsafe pthread_sigmask(SIG_SETMASK, &all, &before)
        var thread = pthread_t()
        let code = unsafe pthread_create(
            &thread,
            nil,
            { argument in
                guard let argument = unsafe argument else { return nil }
                let body = unsafe Unmanaged<Body>.fromOpaque(argument).takeRetainedValue()
                _ = unsafe culvert_name_thread(String(body.name.prefix(15)))
                body.work()
                return nil
            },
            body.toOpaque()
        )
        unsafe pthread_sigmask(SIG_SETMASK, &before, nil)
        guard code == 0 else {
            unsafe body.release()
            throw SystemError(call: "pthread_create", code: code)
        }
        return thread
    }
}
