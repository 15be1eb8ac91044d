public import Bytes
public import SansIO
internal import STUN

// Streams to relays, for networks that let no datagrams through.
extension PeerPool {
    /// A stream to the relay stands, at a bridge's loopback endpoint; nil: it ended. One that comes
    /// when datagrams serve again is of no use: ``RelayEvent/reachable(_:)`` says so.
    public mutating func setRelayStream(
        _ id: String,
        bridge: Endpoint?,
        at now: Instant,
        into outbox: inout Outbox
    ) {
        // What is left for datagrams, or might be, is left now.
        for place in relays.indices where relays[place].server.id == id {
            guard relays[place].bridge != bridge else { continue }
            if relays[place].wouldReplace != 0 { replace(by: place, after: .zero, at: now) }
            if relays[place].endsAt != nil, relays[place].bridge != nil {
                (relays[place].bridge, relays[place].endsAt) = (nil, now)
            }
        }
        guard let place = relays.firstIndex(where: { $0.server.id == id && $0.isInUse }) else {
            return workRelays(at: now, into: &outbox)
        }
        if bridge != nil, relays[place].client?.isByDatagrams ?? false {
            relayEvents.append(.reachable(id))
        } else {
            relays[place].bridge = bridge
            relays[place].client?.useStream(bridge, at: now)
        }
        workRelays(at: now, into: &outbox)
    }

    /// Tries relays by datagrams that are used through a stream and answer them, and leaves the
    /// stream as soon as something is lent by them; what cannot be had leaves all as it was.
    mutating func leaveStreams(at now: Instant) {
        for place in relays.indices.reversed() {
            if relays[place].answersDatagrams {
                relays[place].answersDatagrams = false
                tryDatagrams(place, at: now)
            }
            guard relays[place].wouldReplace != 0, relays[place].endsAt == nil else { continue }
            if relays[place].isUsable {
                replace(by: place, after: Limits.leavingTime, at: now)
            } else if relays[place].isFailing {
                relays[place].endsAt = now
            }
        }
    }

    /// A second client of the relay at `place` stands in front of it, to be asked first.
    private mutating func tryDatagrams(_ place: Int, at now: Instant) {
        let relay = relays[place]
        guard relay.isInUse, relay.client?.isStream ?? false,
            !relays.contains(where: { $0.wouldReplace == relay.number && $0.endsAt == nil })
        else { return }
        var trial = OwnRelay(number: nextRelayNumber, server: relay.server)
        nextRelayNumber += 1
        trial.wouldReplace = relay.number
        trial.client = TURNClient(server: reachable(relay.server), random: random.fork(), at: now)
        relays.insert(trial, at: place)
    }

    /// The relay at `place` is used from now on; the one beside it ends, unless paths use it.
    private mutating func replace(by place: Int, after time: Duration, at now: Instant) {
        let replaced = relays[place].wouldReplace
        relays[place].wouldReplace = 0
        areRelaysStale = true
        guard let former = self.place(ofRelay: replaced) else { return }
        relays[former].endsAt = now.advanced(by: time)
    }

    /// A relay that was left had a stream: the one that is used in its place does without it, or
    /// needs it after all.
    mutating func passOnStream(of ended: OwnRelay, at now: Instant) {
        let id = ended.server.id
        guard let bridge = ended.bridge,
            let place = relays.firstIndex(where: { $0.server.id == id && $0.isInUse })
        else { return }
        if relays[place].client.map({ !$0.isByDatagrams }) ?? false {
            relays[place].bridge = bridge
            relays[place].client?.useStream(bridge, at: now)
        } else {
            relayEvents.append(.reachable(id))
        }
    }
}
