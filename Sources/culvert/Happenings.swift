internal import Daemon

/// All that a role's main task waits for, in one order: what its core puts out, and what ends it.
struct Happenings<Output: Sendable>: Sendable {
    enum Happening: Sendable {
        /// The core wants something done.
        case output(Output)
        /// What failed on the host may work now.
        case retry
        /// The host's links, addresses or routes are other ones.
        case networkChanged
        /// The role is done, or (with a sentence) cannot go on.
        case ended(Sentence?)
    }

    let stream: AsyncStream<Happening>
    private let continuation: AsyncStream<Happening>.Continuation

    init() { (stream, continuation) = AsyncStream.makeStream(of: Happening.self) }

    func put(_ output: Output) { continuation.yield(.output(output)) }
    func retry() { continuation.yield(.retry) }
    func networkChanged() { continuation.yield(.networkChanged) }
    func end(_ sentence: Sentence? = nil) { continuation.yield(.ended(sentence)) }

    /// A task whose failure ends the role.
    func task(_ body: @escaping @Sendable () async throws -> Void) -> Task<Void, Never> {
        Task {
            do { try await body() } catch is CancellationError {} catch {
                end(error as? Sentence ?? Sentence("\(error)"))
            }
        }
    }
}
