internal import Bytes
internal import SansIO

/// What strangers may ask and be told: requests a second, and bytes of answers for bytes of
/// requests, by source address (IPv6: by /64).
///
/// Sources share a fixed number of accounts by a secret hash, so that memory does not depend on
/// how many there are, or seem to be.
///
/// A stranger's requests pay into his account, answers are paid from it; what it holds to begin
/// with (``Limits/credit``) lets a first conversation begin. So whoever sends with another's
/// address makes the relay send that one no more than he sent himself. A request that repeats a
/// nonce of ours, or comes by a stream, proves that the address is the sender's own and fills the
/// account.
struct SourceLedger: Sendable {
    /// Bounds of the ledger.
    enum Limits {
        /// Accounts.
        static var accounts: Int { 8_192 }
        /// Bytes of answers ahead of the requests.
        static var credit: Int { 4_096 }
        /// Of each 16 bytes of a stranger's requests so many count, which leaves room for
        /// `creditPerSecond` in any stream of requests above 64 B/s.
        static var sixteenthsCounted: Int { 15 }
        /// Bytes a second that come back by themselves: one keepalive in 25 s is always answered.
        static var creditPerSecond: Int { 4 }
    }

    private struct Account: Sendable {
        /// When the bucket of requests would be full.
        var requestsFull = Instant(nanoseconds: 0)
        /// Bytes of answers that may go out.
        var credit = Limits.credit
        /// Until when ``Limits/creditPerSecond`` has been paid.
        var paidUntil = Instant(nanoseconds: 0)
    }

    private var accounts = [Account](repeating: Account(), count: Limits.accounts)
    private let seed: TableSeed

    init(from generator: inout some RandomNumberGenerator) {
        seed = TableSeed(from: &generator)
    }

    /// Whether one more request of `source` is looked at; twice `perSecond` may come at once.
    mutating func admits(_ source: Endpoint, perSecond: Int, at now: Instant) -> Bool {
        let index = account(of: source)
        let interval = Duration.nanoseconds(1_000_000_000 / Int64(max(1, perSecond)))
        let full = max(accounts[index].requestsFull, now).advanced(by: interval)
        guard now.duration(to: full) <= .seconds(2) else { return false }
        accounts[index].requestsFull = full
        return true
    }

    /// Whether a stranger's request of `requestByteCount` bytes may be answered with so many.
    mutating func permits(
        answerByteCount: Int,
        to source: Endpoint,
        for requestByteCount: Int,
        at now: Instant
    ) -> Bool {
        let index = account(of: source)
        payTime(index, at: now)
        let counted = requestByteCount * Limits.sixteenthsCounted / 16
        let credit = min(Limits.credit, accounts[index].credit + counted)
        let isPermitted = answerByteCount <= max(credit, requestByteCount)
        accounts[index].credit = isPermitted ? max(0, credit - answerByteCount) : credit
        return isPermitted
    }

    /// `source` has shown that it receives what is sent to it.
    mutating func prove(_ source: Endpoint) {
        accounts[account(of: source)].credit = Limits.credit
    }

    private mutating func payTime(_ index: Int, at now: Instant) {
        let interval = UInt64(1_000_000_000 / Limits.creditPerSecond)
        let since = accounts[index].paidUntil
        guard now > since else { return }
        let bytes = (now.nanoseconds - since.nanoseconds) / interval
        accounts[index].paidUntil.nanoseconds += bytes * interval
        let room = UInt64(Limits.credit - accounts[index].credit)
        accounts[index].credit += Int(min(bytes, room))
    }

    private func account(of source: Endpoint) -> Int {
        let isIPv4 = source.high == 0 && source.low >> 32 == 0xffff
        let hash = seed.hash(source.high, isIPv4 ? source.low : 0, 0)
        return Int(truncatingIfNeeded: hash) & (Limits.accounts - 1)
    }
}
