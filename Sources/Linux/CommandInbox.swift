internal import Synchronization

/// Commands on their way to a loop: those that come while it is busy are taken together.
final class CommandInbox<Command: Sendable>: Sendable {
    private let waiting = Mutex<[Command]>([])
    private let executor: LoopExecutor

    init(_ executor: LoopExecutor) { self.executor = executor }

    func post(_ commands: [Command]) {
        guard !commands.isEmpty else { return }
        let isFirst = waiting.withLock { waiting in
            defer { waiting += commands }
            return waiting.isEmpty
        }
        if isFirst { executor.signal() }
    }

    /// What waits, in order; on the loop's thread.
    func takeAll() -> [Command] {
        waiting.withLock { waiting in
            defer { waiting = [] }
            return waiting
        }
    }
}
