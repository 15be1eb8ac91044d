import Foundation

/// Which seeds a random test runs: `SEED=n` replays one, `SEED_FROM=n` moves the window for the
/// nightly run.
enum Seeds {
    static func toTry(_ count: UInt64) -> Range<UInt64> {
        let environment = ProcessInfo.processInfo.environment
        if let seed = environment["SEED"].flatMap(UInt64.init) { return seed..<(seed + 1) }
        let first = environment["SEED_FROM"].flatMap(UInt64.init) ?? 0
        return first..<(first + count)
    }
}
