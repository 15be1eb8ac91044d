internal import Bytes
internal import Control
internal import Foundation
internal import IP

enum ControlSeeds {
    /// A message of each type in each direction, a token of each kind, and texts.
    static var all: Seeds {
        var seeds: Seeds = []
        for (name, bytes) in fromRole { seeds.append(("from-role-\(name)", [0] + bytes)) }
        for (name, bytes) in toClient { seeds.append(("to-client-\(name)", [1] + bytes)) }
        for (name, bytes) in toGateway { seeds.append(("to-gateway-\(name)", [2] + bytes)) }
        for (name, bytes) in toRelay { seeds.append(("to-relay-\(name)", [6] + bytes)) }
        for kind in Token.Kind.allCases {
            let token = Token(
                kind: kind,
                url: PortalURL(host: "portal.example.com", port: 8_443),
                fingerprint: kind == .client ? [UInt8](repeating: 7, count: 32) : nil,
                secret: [UInt8](repeating: 9, count: 32)
            )
            if let token { seeds.append(("token-\(kind)", [3] + Array(token.text.utf8))) }
        }
        let texts = [
            "203.0.113.9:51830", "[2001:db8::9]:1", "10.0.0.0/8", "::ffff:1.2.3.4", "1.1",
            "tcp/8000-8010", "https://[::1]:8443/", KeyText(bytes: BarePeer.secret)?.description,
        ].compactMap(\.self)
        for (index, text) in texts.enumerated() {
            seeds.append(("text-\(index)", [5] + Array(text.utf8)))
        }
        seeds.append(("base64", [4] + Array("AQIDBA==".utf8)))
        seeds.append(("session", [7, 0, 0, 0, 0, 1, 3, 2, 5, 1, 0, 1, 97, 3, 4, 6, 1, 7, 1, 6, 1]))
        return seeds
    }

    private static func frame(_ message: some ControlMessage) -> (name: String, bytes: [UInt8]) {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return (message.type, (try? encoder.encode(message)).map(Array.init) ?? [])
    }

    private static let key = KeyText(bytes: BarePeer.secret)
    private static let secret = PresharedKeyText(bytes: BarePeer.secret)
    private static let candidates = [
        Control.Candidate(kind: .host, endpoint: GatewayPlay.remote),
        Control.Candidate(kind: .relayed, endpoint: GatewayPlay.local),
    ]

    static var fromRole: Seeds {
        guard let key else { return [] }
        let hello = FromRole.Hello(
            role: .client,
            name: "laptop",
            software: "1.1",
            os: "linux",
            publicKey: key,
            candidates: candidates,
            capabilities: ["relay"],
            instance: "portal-1",
            revision: 3,
            leases: ["l-1"]
        )
        let authorize = FromRole.Authorize(
            id: "q-1",
            resource: "name",
            name: "a.test",
            proxies: GatewayPlay.proxies,
            connected: ["g-1"],
            candidates: candidates,
            withoutGateway: ["g-2"],
            standBy: true
        )
        let answer = FromRole.GrantAnswer(
            id: "q-1",
            lease: "l-1",
            accepted: false,
            code: "no",
            sentence: "No."
        )
        let flow = EndedFlow(
            client: "client",
            resource: "name",
            resourceName: "Name",
            transport: "tcp",
            real: GatewayPlay.remote,
            bytesOut: 1,
            bytesIn: 2,
            packetsOut: 1,
            packetsIn: 1,
            startMilliseconds: 1,
            endMilliseconds: 2,
            why: "closed"
        )
        let messages: [FromRole] = [
            .hello(hello), .authorize(authorize), .grantAnswer(answer),
            .candidates(FromRole.CandidatesChanged(candidates: candidates)),
            .report(FromRole.Report(clients: 1, flows: 2, load: 0.5)),
            .resync(FromRole.Resync(reason: "gap")),
            .reach(FromRole.Reach(resource: "name", isReached: false, sentence: "No.")),
            .flows(FromRole.Flows(flows: [flow], missing: 1)),
            .punch(FromRole.Punch(gateway: "g-1", candidates: candidates)),
            .relayTimes(
                FromRole.RelayTimes(times: [RelayTime(relay: "y-1", milliseconds: 12)])
            ),
            .release(FromRole.Release(leases: ["l-1"])),
            .relayReport(FromRole.RelayReport(allocations: 3)),
            .relayHello(
                FromRole.RelayHello(
                    name: "relay",
                    software: "1.1",
                    udp: [GatewayPlay.remote],
                    tls: [GatewayPlay.local],
                    region: "eu"
                )
            ),
        ]
        return messages.map(frame)
    }

    private static let relays = [
        RelayForRole(
            id: "y-1",
            udp: [GatewayPlay.remote],
            tls: [GatewayPlay.local],
            tlsName: "relay.test",
            username: "1:c",
            password: "p",
            lifetimeSeconds: 60
        )
    ]

    static var toRelay: Seeds {
        let welcome = ToRelay.Welcome(
            instance: "portal-1",
            relay: "y-1",
            realm: "test",
            secrets: ["new", "old"]
        )
        return [frame(ToRelay.welcome(welcome))]
    }

    static var toClient: Seeds {
        guard let key, let secret else { return [] }
        let gateway = GatewayForClient(
            id: "gateway-0",
            name: "gateway",
            publicKey: key,
            presharedKey: secret,
            tunnel: [GatewayPlay.gateway],
            candidates: candidates
        )
        let authorized = ToClient.Authorized(
            id: "q-1",
            resource: "name",
            lease: Lease(id: "l-1", revision: 1, lifetimeSeconds: 60),
            site: "site",
            gateway: gateway
        )
        let refusal = Control.Refusal(.overloaded, .retryAfter, "Later.", retryAfterSeconds: 5)
        let failed = FailedCondition(policy: "p-1", condition: "hours", sentence: "Too late.")
        let change = ChangeForClient.resource(ClientPlay.welcome.resources[0])
        let messages: [ToClient] = [
            .welcome(ClientPlay.welcome), .authorized(authorized), .refusal(refusal),
            .changes(ToClient.Changes(revision: 2, changes: [change, .resourceRemoved("name")])),
            .denied(ToClient.Denied(id: "q", resource: "n", refusal: refusal, failed: [failed])),
            .leaseExtended(ToClient.LeaseExtended(lease: "lease-1", lifetimeSeconds: 9)),
            .leaseEnded(
                ToClient.LeaseEnded(lease: "lease-1", resource: "name", code: "x", sentence: "X.")
            ),
            .relays(RelayList(relays: relays)),
            .move(
                ToClient.Move(
                    resource: "name",
                    gateway: "gateway-0",
                    code: .draining,
                    sentence: "It goes."
                )
            ),
            .gatewayCandidates(
                ToClient.GatewayCandidates(gateway: "gateway-0", candidates: candidates)
            ),
        ]
        return messages.map(frame)
    }

    static var toGateway: Seeds {
        guard let key, let secret else { return [] }
        let filters = [Filter(.tcp, ports: 443...443), Filter(.icmp)]
        let resource = ResourceForGateway(
            id: "name",
            name: "Name",
            address: .name("*.test"),
            filters: filters
        )
        let grant = Grant(
            lease: Lease(id: "l-9", revision: 1, lifetimeSeconds: 60),
            resource: resource,
            client: ClientForGateway(
                id: "other",
                publicKey: key,
                presharedKey: secret,
                tunnel: [IPAddress(ipv4: 0x6440_0109)],
                candidates: candidates
            ),
            name: "c.test",
            proxies: GatewayPlay.proxies
        )
        var welcome = GatewayPlay.welcome
        welcome.grants = [grant]
        let messages: [ToGateway] = [
            .welcome(welcome), .grant(ToGateway.GrantOrder(id: "q-1", grant: grant)),
            .extend(ToGateway.Extend(lease: "lease-1", lifetimeSeconds: 9)),
            .revoke(ToGateway.Revoke(leases: ["lease-1"], code: "x", sentence: "X.")),
            .resource(ToGateway.ResourceUpdate(resource: resource)),
            .relays(RelayList(relays: relays)),
            .punch(ToGateway.Punch(client: "client", candidates: candidates)),
            .clientCandidates(
                ToGateway.ClientCandidates(client: "client", publicKey: key, candidates: candidates)
            ),
        ]
        return messages.map(frame)
    }
}
