internal import Bytes
public import Control
internal import IP
internal import Peering
internal import RelayUse
internal import SansIO
internal import STUN
internal import WireGuard

// The relays that the portal deals, and where clients can reach us because of them.
extension Gateway {
    /// The opening of a session with the portal.
    public func hello(
        name: String,
        software: String,
        os: String,
        region: String? = nil
    ) -> FromRole.Hello {
        guard let key = KeyText(bytes: pool.publicKey.array) else {
            preconditionFailure("both kinds of keys have 32 bytes")
        }
        return FromRole.Hello(
            role: .gateway,
            name: name,
            software: software,
            os: os,
            publicKey: key,
            candidates: candidates,
            leases: leases,
            region: region
        )
    }

    /// Takes over the list of relays; what did not change is not touched.
    mutating func setRelays(
        _ list: [RelayForRole]?,
        at now: Instant,
        into outbox: inout Outbox
    ) {
        guard let list, list != relays.list else { return }
        for relay in relays.take(list, at: now) {
            outputs.append(.disconnectRelay(relay.id))
            outputs.append(.connectRelay(relay))
        }
        pool.setRelays(list.map { TURNServer($0) }, at: now, into: &outbox)
    }

    /// The host's stream to a relay stands, or (nil) ended; the host makes it anew by itself.
    mutating func setRelayStream(
        _ id: RelayID,
        bridge: Endpoint?,
        at now: Instant,
        into outbox: inout Outbox
    ) {
        guard relays.isKnown(id) else {
            outputs.append(.disconnectRelay(id))
            return
        }
        relays.noteStream(to: id, stands: bridge != nil)
        pool.setRelayStream(id.text, bridge: bridge, at: now, into: &outbox)
    }

    /// Ends streams to relays that were not dealt again.
    mutating func leaveRelays(at now: Instant, into outbox: inout Outbox) {
        while let id = relays.popLeft(at: now) {
            pool.setRelayStream(id.text, bridge: nil, at: now, into: &outbox)
            outputs.append(.disconnectRelay(id))
        }
    }

    /// Handles all that the pool has to say of relays and of our own candidates.
    mutating func handleRelayEvents(at now: Instant) {
        while let event = pool.pollRelayEvent() {
            switch event {
            case .candidatesChanged: takeCandidates()
            case .unreachable(let id):
                if let relay = relays.wantStream(to: RelayID(id)) {
                    outputs.append(.connectRelay(relay))
                }
            case .reachable(let id):
                if relays.leaveStream(RelayID(id)) {
                    outputs.append(.disconnectRelay(RelayID(id)))
                }
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
        guard isPortalUp, hasCandidatesToTell else { return }
        hasCandidatesToTell = false
        let changed = FromRole.CandidatesChanged(candidates: candidates)
        outputs.append(.toPortal(.candidates(changed)))
    }

    private mutating func askForRelays(_ reason: String, at now: Instant) {
        guard isPortalUp, relays.mayAsk(at: now) else { return }
        outputs.append(.toPortal(.resync(FromRole.Resync(reason: reason))))
    }

    /// Tells the portal how long relays take to answer, when that is news.
    mutating func reportRelayTimes(at now: Instant) {
        guard relays.areTimesDue(at: now) else { return }
        let times = relays.newTimes(pool.relayStatuses, at: now, isTold: isPortalUp)
        guard let times else { return }
        outputs.append(.toPortal(.relayTimes(FromRole.RelayTimes(times: times))))
    }

    /// After a sleep the network may be another one: what relays know of us is checked at once.
    mutating func noteTurn(at now: Instant, into outbox: inout Outbox) {
        defer { lastTurn = now }
        guard let lastTurn, lastTurn.duration(to: now) >= Limits.sleep else { return }
        pool.renewRelays(at: now, into: &outbox)
    }
}
