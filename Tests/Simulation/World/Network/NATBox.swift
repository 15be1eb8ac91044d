internal import Bytes
internal import IP
internal import SansIO

/// A NAT, or (IPv6) a firewall that translates nothing, as RFC 4787 describes their kinds.
///
/// What it lets in is kept with each mapping, as the session tables of real boxes do; so what
/// one mapping was opened for opens no other.
final class NATBox {
    /// What a mapping, or a filter, distinguishes.
    enum Dependence: String, CaseIterable {
        case endpointIndependent, addressDependent, addressAndPortDependent
    }

    /// Its kind.
    struct Behaviour {
        var mapping: Dependence
        var filtering: Dependence
        /// Whether the inside port is used outside where it is free, else ports go by chance.
        var preservesPorts: Bool
        /// How long a mapping lives without packets.
        var timeout: Duration
        var isRefreshedFromOutside: Bool
        /// Whether two hosts inside reach each other by their outside endpoints.
        var hairpins = true
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
    /// How often everything was forgotten: connections of an earlier life are dead.
    private(set) var life = 0
    private var mappings: [Mapping] = []
    private var oldest: Instant?
    private var random: RandomSource

    init(_ behaviour: Behaviour, external: IPAddress, random: RandomSource) {
        (self.behaviour, self.external, self.random) = (behaviour, external, random)
    }

    /// All mappings are forgotten; new ones get other ports.
    func reset() {
        mappings = []
        life += 1
    }

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
        // Nothing can have run out before the oldest entry did.
        if let oldest, oldest.duration(to: now) <= behaviour.timeout { return }
        mappings.removeAll { $0.lastUsed.duration(to: now) > behaviour.timeout }
        oldest = mappings.lazy.map(\.lastUsed).min()
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
        let isFree = { (port: UInt16) in !self.mappings.contains { $0.outside.port == port } }
        if behaviour.preservesPorts, isFree(inside.port) { return inside.port }
        var port: UInt16
        repeat { port = UInt16.random(in: 1024...65_535, using: &random) } while !isFree(port)
        return port
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
            + (hairpins ? ", hairpins" : "")
    }
}
