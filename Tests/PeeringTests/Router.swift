import Bytes
import IP

@testable import Peering

/// A NAT router.
struct Router {
    /// Who may send to a mapping (RFC 4787 5).
    enum Filtering {
        /// Everybody.
        case open
        /// Addresses that were sent to.
        case byAddress
        /// Endpoints that were sent to.
        case byEndpoint
    }

    private struct Flow: Hashable {
        var inside: Endpoint
        /// Where it goes, for a router whose mappings depend on it.
        var destination: Endpoint
    }

    var isOn = false
    var publicAddress: IPAddress
    var filtering = Filtering.open
    /// Whether each destination gets a mapping of its own (address-and-port-dependent mapping).
    var isSymmetric = false
    private var nextPort: UInt16 = 40_000
    private var outside: [Flow: Endpoint] = [:]
    private var inside: [Endpoint: Endpoint] = [:]
    private var sentTo: Set<Endpoint> = []

    init(_ publicAddress: IPAddress) { self.publicAddress = publicAddress }

    /// Forgets all mappings; the next ones have other ports.
    mutating func renumber() {
        outside = [:]
        inside = [:]
        sentTo = []
    }

    mutating func translateOut(_ source: Endpoint, to destination: Endpoint) -> Endpoint {
        guard isOn else { return source }
        sentTo.insert(destination)
        let flow = Flow(inside: source, destination: isSymmetric ? destination : .unspecified)
        if let mapped = outside[flow] { return mapped }
        let mapped = Endpoint(publicAddress, port: nextPort)
        nextPort += 1
        outside[flow] = mapped
        inside[mapped] = source
        return mapped
    }

    func translateIn(_ destination: Endpoint, from source: Endpoint) -> Endpoint? {
        guard isOn else { return destination }
        switch filtering {
        case .open: break
        case .byAddress:
            guard sentTo.contains(where: { $0.address == source.address }) else { return nil }
        case .byEndpoint:
            guard sentTo.contains(source) else { return nil }
        }
        return inside[destination]
    }
}
