internal import Bytes
internal import DNS
internal import SansIO

extension Client {
    /// Asks the gateway of a protected name for its other records.
    mutating func askSite(
        _ question: SiteQuestion,
        at now: Instant,
        into outbox: inout Outbox
    ) {
        let reply = stub?.refuse(question.token, error: .noReachableAuthority, at: now)
        guard let reply else { return }
        answer(reply.asker, reply.bytes, into: &outbox)
    }
}
