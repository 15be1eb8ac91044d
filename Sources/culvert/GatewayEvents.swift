internal import Control
internal import Gateway
internal import Logging

extension Gateway::Gateway.Event {
    /// One line for people who watch the gateway.
    func log(to logger: Logger) {
        switch self {
        case .clientAdded(let client): logger.debug("client may come", ["client": client.text])
        case .clientConnected(let client): logger.info("client connected", ["client": client.text])
        case .clientLost(let client): logger.info("client not heard", ["client": client.text])
        case .clientLeft(let client): logger.info("client left", ["client": client.text])
        case .clientRemoved(let client): logger.debug("client removed", ["client": client.text])
        case .leaseGranted(let lease, let client, let resource):
            logger.info(
                "lease granted",
                ["lease": lease.text, "client": client.text, "resource": resource.text]
            )
        case .leaseRefused(let lease, let client, let resource, let why):
            logger.warning(
                "lease refused: \(why.sentence)",
                ["lease": lease.text, "client": client.text, "resource": resource.text]
            )
        case .leaseEnded(let lease, let client, let end):
            logger.info("lease ended: \(end.words)", ["lease": lease.text, "client": client.text])
        case .portalAwayTooLong:
            logger.warning("the portal was away for longer than the site allows; all leases ended")
        }
    }
}

extension Gateway::Gateway.LeaseEnd {
    /// The end in words.
    fileprivate var words: String {
        switch self {
        case .expired: "its time was over"
        case .revoked(_, let sentence): sentence
        case .notListed: "the portal does not know it any more"
        case .portalAway: "the portal was away for too long"
        case .unservable: "its resource cannot be served any more"
        }
    }
}

extension Logger {
    /// The same with plain text fields.
    func debug(_ message: Message, _ fields: [String: String]) {
        debug(message, metadata: fields.mapValues { .string($0) })
    }
    /// The same with plain text fields.
    func info(_ message: Message, _ fields: [String: String]) {
        info(message, metadata: fields.mapValues { .string($0) })
    }
    /// The same with plain text fields.
    func warning(_ message: Message, _ fields: [String: String]) {
        warning(message, metadata: fields.mapValues { .string($0) })
    }
}
