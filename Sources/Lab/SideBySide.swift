internal import Foundation

/// Does several things at the same time that wait for processes, each on a thread of its own.
struct SideBySide: Sendable {
    /// How many at one time.
    let width: Int

    /// Does `body` with the number of each of `count` items.
    ///
    /// - Returns: The results in the order of the items.
    func run<Result: Sendable>(
        _ count: Int,
        _ body: @escaping @Sendable (Int) -> Result,
        onResult: @escaping @Sendable (Result) -> Void
    ) async -> [Result] {
        await withTaskGroup(of: (Int, Result).self) { group in
            var results: [Int: Result] = [:]
            var next = 0
            func start() {
                guard next < count else { return }
                let index = next
                next += 1
                group.addTask { (index, await Self.onThread { body(index) }) }
            }
            for _ in 0..<width { start() }
            for await (index, result) in group {
                onResult(result)
                results[index] = result
                start()
            }
            return (0..<count).compactMap { results[$0] }
        }
    }

    private static func onThread<Result: Sendable>(
        _ body: @escaping @Sendable () -> Result
    ) async -> Result {
        await withCheckedContinuation { continuation in
            let thread = Thread { continuation.resume(returning: body()) }
            thread.stackSize = 4 << 20
            thread.start()
        }
    }
}
