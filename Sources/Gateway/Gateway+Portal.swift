public import Bytes
internal import Control
internal import DNS
internal import IP
internal import Peering
internal import RelayUse
public import SansIO
internal import WireGuard

extension Gateway {
    public mutating func handle(
        _ command: Command,
        at now: Instant,
        into outbox: inout Outbox
    ) {
        noteTurn(at: now, into: &outbox)
        switch command {
        case .portal(let message): handle(message, at: now, into: &outbox)
        case .portalConnected(let isUp):
            isPortalUp = isUp
            isResyncing = false
            awaySince = isUp ? nil : awaySince ?? now
            if isUp {
                reportDeadline = now
                relays.forgetTold(at: now)
                tellCandidates()
            }
        case .resolvers(let servers, let hosts, let options):
            site.configure(servers: servers, hosts: hosts, options: options)
        case .streamQuery(let id, let client, let bytes):
            receiveStream(bytes, id: id, from: client, at: now, into: &outbox)
        case .servesStreams(let isOn): servesStreams = isOn
        case .logsFlows(let isOn): setFlowLog(isOn)
        case .localAddresses(let addresses, let port):
            let usable = addresses.filter { address in
                !plan.all.contains { $0.contains(address) }
            }
            setLocal(usable.map { Endpoint($0, port: port) }, at: now, into: &outbox)
        case .exchangeAnswered(let token, let bytes):
            site.answered(token, with: bytes, at: now)
        case .relayStream(let id, let bridge):
            setRelayStream(id, bridge: bridge, at: now, into: &outbox)
        case .shutdown: isStopping = true
        }
        settle(at: now, into: &outbox)
    }

    private mutating func handle(
        _ message: ToGateway,
        at now: Instant,
        into outbox: inout Outbox
    ) {
        switch message {
        case .welcome(let welcome): take(welcome, at: now, into: &outbox)
        case .grant(let order): take(order, at: now, into: &outbox)
        case .extend(let extend): take(extend, at: now)
        case .revoke(let revoke):
            let gone = Set(revoke.leases)
            let reason = LeaseEnd.revoked(code: revoke.code, sentence: revoke.sentence)
            let slots = revoke.leases.compactMap { clientByLease[$0] }.compactMap {
                slotByClient[$0]
            }
            for slot in Set(slots).sorted() {
                endLeases(slot, reason, at: now, into: &outbox) { gone.contains($0.id) }
            }
        case .resource(let update): take(update.resource, at: now, into: &outbox)
        case .clientCandidates(let update): take(update, at: now, into: &outbox)
        case .punch(let punch): take(punch, at: now, into: &outbox)
        case .relays(let list): setRelays(list.relays, at: now, into: &outbox)
        case .refusal, .unknown: break
        }
    }

    private mutating func setLocal(
        _ endpoints: [Endpoint],
        at now: Instant,
        into outbox: inout Outbox
    ) {
        pool.setLocalCandidates(
            endpoints.map { Peering.Candidate(.host, $0) },
            at: now,
            into: &outbox
        )
        takeCandidates()
    }

    /// The whole state: what is listed stays as it is, what is not listed ends.
    private mutating func take(
        _ welcome: ToGateway.Welcome,
        at now: Instant,
        into outbox: inout Outbox
    ) {
        let before = HostConfiguration(tunnel: identity?.tunnel ?? [], addresses: plan)
        (identity, plan) = (welcome.gateway, welcome.addresses)
        awayMax = .seconds(welcome.limitSeconds)
        isResyncing = false
        setRelays(welcome.relays, at: now, into: &outbox)
        resolver.refuse(plan.all)
        siteNetworks = []
        refuseCandidates(in: welcome.grants.map(\.resource))
        let after = HostConfiguration(tunnel: welcome.gateway.tunnel, addresses: plan)
        // Who serves the old addresses does not serve the new ones.
        if before.tunnel != after.tunnel { servesStreams = false }
        if before != after { outputs.append(.configure(after)) }
        var listed: Set<LeaseID> = []
        for grant in welcome.grants {
            do {
                try admit(grant, isOrder: false, at: now, into: &outbox)
                listed.insert(grant.lease.id)
            } catch {
                outputs.append(.event(Self.refusal(of: grant, error)))
            }
        }
        for slot in clients.indices where clients[slot] != nil {
            endLeases(slot, .notListed, at: now, into: &outbox) { !listed.contains($0.id) }
        }
    }
}
