internal import Peering

extension MetricsText {
    /// What strangers, and what went wrong on the way, did to the connections of a role.
    mutating func refused(_ role: String, _ counters: PeerCounters) {
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
    }
}
