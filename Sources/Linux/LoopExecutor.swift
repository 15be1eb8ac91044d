internal import CLinux
internal import Glibc
internal import Synchronization

/// The serial executor of a data plane: jobs wait here until the loop's thread runs them.
final class LoopExecutor: SerialExecutor {
    private struct State {
        var jobs: [UnownedJob] = []
        var isFinished = false
    }

    private let state = Mutex(State())
    private let wake: FileDescriptor

    init() throws(SystemError) {
        wake = FileDescriptor(
            taking: try SystemError.check("eventfd") {
                eventfd(0, Int32(EFD_CLOEXEC | EFD_NONBLOCK))
            }
        )
    }

    /// Becomes readable when a job waits.
    var descriptor: Int32 { wake.raw }

    func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        let isFirst = state.withLock { state in
            state.jobs.append(job)
            return state.jobs.count == 1
        }
        if isFirst { signal() }
    }

    /// No job will come any more: the thread shall end.
    func finish() {
        state.withLock { $0.isFinished = true }
        signal()
    }

    var isFinished: Bool { state.withLock { $0.isFinished } }

    /// Runs the jobs that wait now; on the loop's thread only.
    func runJobs() {
        var count: UInt64 = 0
        _ = unsafe Glibc.read(wake.raw, &count, 8)
        let jobs = state.withLock { state in
            defer { state.jobs.removeAll(keepingCapacity: true) }
            return state.jobs
        }
        for job in jobs { unsafe job.runSynchronously(on: asUnownedSerialExecutor()) }
    }

    /// Makes the loop take its turn; from any thread.
    func signal() {
        var one: UInt64 = 1
        _ = unsafe Glibc.write(wake.raw, &one, 8)
    }
}
