internal import Client
internal import Control
internal import Logging

extension Client::Client.Event {
    /// One line for people who watch the client.
    func log(to logger: Logger) {
        switch self {
        case .gatewayConnected(let gateway):
            logger.info("gateway connected", ["gateway": gateway.text])
        case .gatewayLost(let gateway):
            logger.warning("gateway not heard", ["gateway": gateway.text])
        case .gatewayLeft(let gateway): logger.info("gateway left", ["gateway": gateway.text])
        case .authorized(let resource, let gateway):
            logger.info("authorized", ["resource": resource.text, "gateway": gateway.text])
        case .denied(let resource, let refusal):
            logger.info("denied: \(refusal.sentence)", ["resource": resource.text])
        case .leaseEnded(let resource, _, let sentence):
            logger.info("lease ended: \(sentence)", ["resource": resource.text])
        case .moving(let resource, let gateway, _, let sentence):
            logger.info(
                "moving: \(sentence)",
                ["resource": resource.text, "gateway": gateway.text]
            )
        case .refused(let refusal): logger.warning("the portal says: \(refusal.sentence)", [:])
        }
    }
}
