internal import Bytes
internal import IP
internal import SansIO

/// A NAT, or (IPv6) a firewall that translates nothing, as RFC 4787 describes their kinds.
final class NATBox {
    /// What a mapping, or a filter, distinguishes.
    enum Dependence: String, CaseIterable {
        case endpointIndependent, addressDependent, addressAndPortDependent
    }

    /// Its kind.
    struct Behaviour {
        var mapping: Dependence
        var filtering: Dependence
        var preservesPorts: Bool
        /// How long a mapping lives without packets.
        var timeout: Duration
        var isRefreshedFromOutside: Bool
        /// False: a firewall.
        var translates: Bool
    }

    private struct Mapping {
        var inside: Endpoint
        var outside: Endpoint
        /// The endpoint that it is for, as far as the mapping distinguishes.
        var peer: Endpoint
        /// Endpoints that were sent to, as far as the filter distinguishes.
        var open: [Endpoint]
        var lastUsed: Instant
    }

    let behaviour: Behaviour
    private(set) var external: IPAddress
    private var mappings: [Mapping] = []
    private var nextPort: UInt16 = 20_000

    init(_ behaviour: Behaviour, external: IPAddress) {
        (self.behaviour, self.external) = (behaviour, external)
    }

    /// All mappings are forgotten; new ones get other ports.
    func reset() { mappings = [] }

    /// The same, and the outside address is another one.
    func renumber(to address: IPAddress) {
        external = address
        reset()
    }

    private static func seen(_ peer: Endpoint, _ dependence: Dependence) -> Endpoint {
        switch dependence {
        case .endpointIndependent: .unspecified
        case .addressDependent: Endpoint(peer.address, port: 0)
        case .addressAndPortDependent: peer
        }
    }

    private func expire(at now: Instant) {
        mappings.removeAll { $0.lastUsed.duration(to: now) > behaviour.timeout }
    }

    /// A datagram from inside: where it seems to come from outside.
    func outbound(from inside: Endpoint, to peer: Endpoint, at now: Instant) -> Endpoint {
        expire(at: now)
        let told = Self.seen(peer, behaviour.mapping)
        let place: Int
        if let known = mappings.firstIndex(where: { $0.inside == inside && $0.peer == told }) {
            place = known
        } else {
            let outside =
                behaviour.translates ? Endpoint(external, port: port(for: inside)) : inside
            mappings.append(
                Mapping(inside: inside, outside: outside, peer: told, open: [], lastUsed: now)
            )
            place = mappings.count - 1
        }
        mappings[place].lastUsed = now
        let permitted = Self.seen(peer, behaviour.filtering)
        if !mappings[place].open.contains(permitted) { mappings[place].open.append(permitted) }
        return mappings[place].outside
    }

    private func port(for inside: Endpoint) -> UInt16 {
        let taken = mappings.map(\.outside.port)
        if behaviour.preservesPorts, !taken.contains(inside.port) { return inside.port }
        repeat {
            nextPort = nextPort < 60_000 ? nextPort + 7 : 20_000
        } while taken.contains(nextPort)
        return nextPort
    }

    /// A datagram from outside: whom it is for inside; nil when it is not let in.
    func inbound(from peer: Endpoint, to outside: Endpoint, at now: Instant) -> Endpoint? {
        expire(at: now)
        let permitted = Self.seen(peer, behaviour.filtering)
        let place = mappings.firstIndex { $0.outside == outside && $0.open.contains(permitted) }
        guard let place else { return nil }
        if behaviour.isRefreshedFromOutside { mappings[place].lastUsed = now }
        return mappings[place].inside
    }
}

extension NATBox.Behaviour: CustomStringConvertible {
    var description: String {
        "\(translates ? "NAT" : "firewall"), mapping \(mapping.rawValue), filtering "
            + "\(filtering.rawValue), \(preservesPorts ? "same ports" : "other ports"), "
            + "\(World.text(timeout)) s\(isRefreshedFromOutside ? ", refreshed both ways" : "")"
    }
}
