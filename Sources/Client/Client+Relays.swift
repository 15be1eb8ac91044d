internal import Bytes
internal import Control
internal import IP
internal import Peering
internal import RelayUse
internal import SansIO
internal import STUN

// The relays that the portal deals, and where gateways can reach us because of them.
extension Client {
    /// The host's network was read, because it is another one: whatever is known of where we are
    /// may be over.
    mutating func setLocalAddresses(
        _ addresses: [IPAddress],
        port: UInt16,
        at now: Instant,
        into outbox: inout Outbox
    ) {
        let endpoints = addresses.filter { address in
            !plan.all.contains { $0.contains(address) }
        }.map { Endpoint($0, port: port) }
        pool.setLocalCandidates(
            endpoints.map { Peering.Candidate(.host, $0) },
            at: now,
            into: &outbox
        )
        takeCandidates()
        // The same addresses may be those of another network.
        if relays.mayRenew(at: now) { pool.renewRelays(at: now, into: &outbox) }
        for gateway in gateways where gateway.health == .connected {
            pool.probe(gateway.peer, at: now)
            punch(gateway.id)
        }
    }

    /// Asks the portal to let a gateway open its NAT towards us.
    mutating func punch(_ gateway: GatewayID) {
        guard isPortalConnected else { return }
        output(.toPortal(.punch(FromRole.Punch(gateway: gateway, candidates: candidates))))
    }

    /// Takes over the list of relays; what did not change is not touched.
    mutating func setRelays(
        _ list: [RelayForRole]?,
        at now: Instant,
        into outbox: inout Outbox
    ) {
        guard let list, list != relays.list else { return }
        for relay in relays.take(list, at: now) {
            output(.disconnectRelay(relay.id))
            output(.connectRelay(relay))
        }
        pool.setRelays(list.map { TURNServer($0) }, at: now, into: &outbox)
        computeDeadline()
    }

    /// The host's stream to a relay stands, or (nil) ended; the host makes it anew by itself.
    mutating func setRelayStream(
        _ id: RelayID,
        bridge: Endpoint?,
        at now: Instant,
        into outbox: inout Outbox
    ) {
        guard relays.isKnown(id) else { return output(.disconnectRelay(id)) }
        relays.noteStream(to: id, stands: bridge != nil)
        pool.setRelayStream(id.text, bridge: bridge, at: now, into: &outbox)
    }

    /// Ends streams to relays that were not dealt again.
    mutating func leaveRelays(at now: Instant, into outbox: inout Outbox) {
        while let id = relays.popLeft(at: now) {
            pool.setRelayStream(id.text, bridge: nil, at: now, into: &outbox)
            output(.disconnectRelay(id))
            computeDeadline()
        }
    }

    /// Handles all that the pool has to say of relays and of our own candidates.
    mutating func handleRelayEvents(at now: Instant) {
        while let event = pool.pollRelayEvent() {
            switch event {
            case .candidatesChanged: takeCandidates()
            case .unreachable(let id):
                if let relay = relays.wantStream(to: RelayID(id)) { output(.connectRelay(relay)) }
            case .reachable(let id):
                if relays.leaveStream(RelayID(id)) { output(.disconnectRelay(RelayID(id))) }
            case .unauthorized: askForRelays("a relay refuses its credentials", at: now)
            case .allLost: askForRelays("no relay can be used", at: now)
            }
        }
    }

    /// Our candidates may be other than before: the portal is told, now or when it is back.
    mutating func takeCandidates() {
        let next = pool.localCandidates.map { Control.Candidate($0) }
        guard next != candidates else { return }
        candidates = next
        hasCandidatesToTell = true
        tellCandidates()
    }

    /// One message for all that changed while nobody could be told.
    mutating func tellCandidates() {
        guard isPortalConnected, hasCandidatesToTell else { return }
        hasCandidatesToTell = false
        output(.toPortal(.candidates(FromRole.CandidatesChanged(candidates: candidates))))
    }

    private mutating func askForRelays(_ reason: String, at now: Instant) {
        guard isPortalConnected, relays.mayAsk(at: now) else { return }
        output(.toPortal(.resync(FromRole.Resync(reason: reason))))
    }

    /// Tells the portal how long relays take to answer, when that is news.
    mutating func reportRelayTimes(at now: Instant) {
        guard relays.areTimesDue(at: now) else { return }
        computeDeadline()
        let times = relays.newTimes(pool.relayStatuses, at: now, isTold: isPortalConnected)
        guard let times else { return }
        output(.toPortal(.relayTimes(FromRole.RelayTimes(times: times))))
    }

    /// After a sleep the network may be another one: what relays know of us is checked at once.
    mutating func noteTurn(at now: Instant, into outbox: inout Outbox) {
        defer { lastTurn = now }
        guard let lastTurn, lastTurn.duration(to: now) >= Limits.sleep else { return }
        pool.renewRelays(at: now, into: &outbox)
    }
}
