internal import Peering
internal import STUN

extension MetricsText {
    /// What strangers, and what went wrong on the way, did to the connections of a role.
    mutating func refused(
        _ role: String,
        _ counters: PeerCounters,
        _ relays: TURNCounters
    ) {
        self.counters(
            "culvert_\(role)_refused",
            "Datagrams, packets and candidates that were not taken.",
            by: "kind",
            [
                ("foreign", counters.foreign),
                ("handshakes", counters.handshakesRefused),
                ("packets", counters.packetsRefused),
                ("frames", counters.framesRefused),
                ("malformed", counters.packetsMalformed),
                ("challenged", counters.challenged),
                ("parked", counters.parked),
                ("candidates", counters.candidatesRefused),
            ]
        )
        self.counters(
            "culvert_\(role)_relay_refused",
            "What came from relays and was not taken, and requests to them that found no room.",
            by: "kind",
            [
                ("malformed", UInt64(relays.malformed)),
                ("unexpected", UInt64(relays.unexpected)),
                ("unverified", UInt64(relays.unverified)),
                ("stray", UInt64(relays.strayData)),
                ("no-room", UInt64(relays.refused)),
            ]
        )
    }
}
