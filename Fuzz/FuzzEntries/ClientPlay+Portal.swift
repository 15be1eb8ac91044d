internal import Bytes
internal import Client
internal import Control
internal import IP
internal import WireGuard

extension ClientPlay {
    private static let site = SiteReference(id: "site", name: "Site")

    /// Names, a network and the internet.
    static let welcome = ToClient.Welcome(
        instance: "portal-1",
        revision: 1,
        account: "Example",
        client: ClientIdentity(
            id: "client",
            name: "laptop",
            actor: "ada@example.com",
            tunnel: [own, ownIPv6]
        ),
        resources: [
            resource("name", .name("*.test")),
            resource("alias", .name("b.internal"), alias: "b.example"),
            resource("network", IPPrefix("10.2.0.0/16").map { .prefix($0) } ?? .internet),
            resource("internet", .internet),
        ],
        dns: DNSSettings(upstreams: ["192.0.2.53"], search: "test")
    )

    private static func resource(
        _ id: ResourceID,
        _ address: ResourceAddress,
        alias: String? = nil
    ) -> ResourceForClient {
        ResourceForClient(id: id, name: id.text, address: address, alias: alias, site: site)
    }

    /// The portal answers a request: yes, with one of the gateways, or no.
    func decide() {
        let choice = script.byte()
        guard let request = script.choice(requests) else { return }
        requests.removeAll { $0.id == request.id }
        guard choice & 3 != 3, let gateway = gateway(sites[Int(choice >> 2) & 1]) else {
            let refusal = Control.Refusal(
                choice & 4 == 0 ? .forbidden : .offline,
                choice & 8 == 0 ? .mend : .retryAfter,
                "No.",
                retryAfterSeconds: choice & 8 == 0 ? nil : UInt32(choice)
            )
            let denied = ToClient.Denied(
                id: request.id,
                resource: request.resource,
                refusal: refusal
            )
            return handle(.portal(.denied(denied)))
        }
        leaseCount += 1
        let lease = Lease(
            id: LeaseID("lease-\(leaseCount)"),
            revision: 1,
            lifetimeSeconds: choice & 16 == 0 ? 3_600 : UInt32(choice >> 5)
        )
        handle(
            .portal(
                .authorized(
                    ToClient.Authorized(
                        id: request.id,
                        resource: request.resource,
                        lease: lease,
                        site: "site",
                        gateway: gateway
                    )
                )
            )
        )
    }

    private func gateway(_ site: Site) -> GatewayForClient? {
        guard let key = KeyText(bytes: site.peer.publicKey.array),
            let secret = PresharedKeyText(bytes: BarePeer.secret)
        else { return nil }
        return GatewayForClient(
            id: site.id,
            name: site.id.text,
            publicKey: key,
            presharedKey: secret,
            tunnel: site.tunnel,
            candidates: [Control.Candidate(kind: .host, endpoint: site.endpoint)]
        )
    }

    /// A frame of the channel, as the edge reads it.
    func receiveMessage() {
        guard let message = ControlEntry.message(ToClient.self, script.chunk()) else { return }
        isTrusted = false
        handle(.portal(message))
    }

    /// Something about what is there.
    func receiveNotice() {
        let lease = LeaseID("lease-\(1 + Int(script.byte()) % max(1, leaseCount))")
        guard let resource = script.choice(Self.welcome.resources), let site = script.choice(sites)
        else { return }
        switch script.byte() % 7 {
        case 0:
            let ended = ToClient.LeaseEnded(
                lease: lease,
                resource: resource.id,
                code: "revoked",
                sentence: "Gone."
            )
            handle(.portal(.leaseEnded(ended)))
        case 1:
            let seconds = UInt32(script.uint16())
            let extended = ToClient.LeaseExtended(lease: lease, lifetimeSeconds: seconds)
            handle(.portal(.leaseExtended(extended)))
        case 2:
            handle(.portal(.resourceChanged(ToClient.ResourceChanged(resource: resource.id))))
        case 3: handle(.portal(.gatewayOffline(ToClient.GatewayOffline(gateway: site.id))))
        case 4:
            let candidates = script.addresses().map {
                Control.Candidate(kind: .relayed, endpoint: Endpoint($0, port: 3_478))
            }
            let key = script.flag() ? KeyText(bytes: script.chunk()) : nil
            let told = ToClient.GatewayCandidates(
                gateway: site.id,
                publicKey: key,
                candidates: candidates
            )
            handle(.portal(.gatewayCandidates(told)))
        case 5: handle(.portal(.welcome(Self.welcome)))
        default: change(resource)
        }
    }

    /// One change to what the client knows, with the revision that it waits for.
    private func change(_ resource: ResourceForClient) {
        var resource = resource
        let change: ChangeForClient
        switch script.byte() & 3 {
        case 0: change = .resourceRemoved(resource.id)
        case 1:
            resource.address = .name(script.text())
            change = .resource(resource)
        case 2:
            resource.filters = [Filter(.tcp, ports: 0...script.uint16())]
            change = .resource(resource)
        default:
            change = .dns(DNSSettings(upstreams: [script.text()], search: script.text()))
        }
        let revision = (client.hello(name: "", software: "", os: "").revision ?? 0) &+ 1
        handle(.portal(.changes(ToClient.Changes(revision: revision, changes: [change]))))
    }
}
