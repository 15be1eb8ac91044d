internal import Bytes
internal import IP
internal import Logging
internal import Relay

extension Relay::Relay.Event {
    /// One line for people who watch the relay.
    func log(to logger: Logger) {
        switch self {
        case .allocated(let client, let name, let relayed):
            logger.debug(
                "address lent",
                [
                    "client": client.description, "name": name,
                    "relayed": relayed.map(\.description).joined(separator: ","),
                ]
            )
        case .ended(let client, let name, let end):
            logger.debug(
                "address given back: \(end.words)",
                ["client": client.description, "name": name]
            )
        case .quotaReached(let client, let name):
            logger.notice("a client has as many addresses as it may")
            logger.debug("quota reached", ["client": client.description, "name": name])
        case .portsExhausted:
            logger.warning("no port is left to lend; give more with --ports, or run more relays")
        }
    }
}

extension Relay::Relay.End {
    /// The end in words.
    fileprivate var words: String {
        switch self {
        case .expired: "it was not refreshed"
        case .released: "its client said so"
        case .streamClosed: "its client's connection is over"
        case .addressGone: "the address is not ours any more"
        case .portLost: "its port was lost"
        case .shutdown: "the relay stops"
        }
    }
}
