internal import Bytes
internal import Control
internal import Gateway
internal import IP
internal import WireGuard

extension GatewayPlay {
    static let welcome = ToGateway.Welcome(
        instance: "portal-1",
        revision: 1,
        account: "Example",
        gateway: GatewayIdentity(
            id: "gateway",
            name: "gateway",
            site: SiteReference(id: "site", name: "Site"),
            tunnel: [gateway]
        ),
        limitSeconds: 60
    )

    /// A resource of each kind.
    private static func resource(_ kind: UInt8) -> ResourceForGateway {
        switch kind % 3 {
        case 0: ResourceForGateway(id: "name", name: "Name", address: .name("*.test"))
        case 1:
            ResourceForGateway(
                id: "network",
                name: "Network",
                address: network.map { .prefix($0) } ?? .name("n.test")
            )
        default:
            ResourceForGateway(
                id: "name6",
                name: "Filtered",
                address: .name("b.internal"),
                alias: "b.example",
                filters: [Filter(.tcp, ports: 1...443), Filter(.icmp)],
                family: .ipv6
            )
        }
    }

    func grant(_ kind: UInt8, seconds: UInt32) {
        guard let grant = made(kind, seconds: seconds) else { return }
        handle(.portal(.grant(ToGateway.GrantOrder(id: "request", grant: grant))))
    }

    private func made(_ kind: UInt8, seconds: UInt32) -> Grant? {
        guard let key = KeyText(bytes: peer.publicKey.array),
            let secret = PresharedKeyText(bytes: BarePeer.secret)
        else { return nil }
        leaseCount += 1
        return Grant(
            lease: Lease(
                id: LeaseID("lease-\(leaseCount)"),
                revision: UInt64(leaseCount),
                lifetimeSeconds: seconds
            ),
            resource: Self.resource(kind),
            client: ClientForGateway(
                id: "client",
                publicKey: key,
                presharedKey: secret,
                tunnel: [Self.client, Self.clientIPv6],
                candidates: []
            ),
            name: kind % 3 == 0 ? "a.test" : nil,
            proxies: kind % 3 == 0 ? Self.proxies : []
        )
    }

    /// The portal changes something about what is there.
    func order() {
        let kind = script.byte()
        let lease = LeaseID("lease-\(1 + Int(script.byte()) % max(1, leaseCount))")
        switch kind & 7 {
        case 0, 1: grant(script.byte(), seconds: UInt32(script.uint16()))
        case 2:
            let revoke = ToGateway.Revoke(leases: [lease], code: "revoked", sentence: "Gone.")
            handle(.portal(.revoke(revoke)))
        case 3:
            let seconds = UInt32(script.uint16())
            handle(.portal(.extend(ToGateway.Extend(lease: lease, lifetimeSeconds: seconds))))
        case 4:
            var resource = Self.resource(script.byte())
            resource.filters = [Filter(.udp, ports: 0...script.uint16())]
            handle(.portal(.resource(ToGateway.ResourceUpdate(resource: resource))))
        case 5: moveClient()
        case 6:
            var welcome = Self.welcome
            let kinds = (0..<Int(script.byte()) % 4).map { _ in script.byte() }
            welcome.grants = kinds.compactMap { made($0, seconds: 100) }
            handle(.portal(.welcome(welcome)))
        default: updateName()
        }
    }

    private func moveClient() {
        let candidates = script.addresses().map {
            Control.Candidate(kind: .serverReflexive, endpoint: Endpoint($0, port: 5_000))
        }
        let isNew = script.flag()
        let update = ToGateway.ClientCandidates(
            client: "client",
            publicKey: isNew ? KeyText(bytes: script.chunk()) : nil,
            presharedKey: isNew ? PresharedKeyText(bytes: BarePeer.secret) : nil,
            candidates: candidates
        )
        handle(.portal(.clientCandidates(update)))
    }

    /// A resource with another name, which its leases must not outlive.
    private func updateName() {
        var resource = Self.resource(script.byte())
        resource.address = .name(script.text())
        handle(.portal(.resource(ToGateway.ResourceUpdate(resource: resource))))
    }
}
