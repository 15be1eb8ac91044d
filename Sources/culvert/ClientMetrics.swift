internal import Client
internal import Linux
internal import SansIO

/// What a client tells Prometheus.
enum ClientMetrics {
    static func text(_ plane: DataPlane<Client::Client>) async -> String {
        let (status, counters, connections, relays) = await plane.withMachine {
            ($0.status(at: SystemClock.now()), $0.counters, $0.connectionCounters, $0.relayCounters)
        }
        var text = MetricsText()
        text.gauge(
            "culvert_client_portal_up",
            "Whether the portal is connected.",
            status.isPortalConnected ? 1 : 0
        )
        text.gauge(
            "culvert_client_leases",
            "Live leases.",
            status.resources.count { $0.state == .leased }
        )
        text.gauges(
            "culvert_client_paths",
            "Gateways that are connected, by the kind of the path.",
            by: "kind",
            ["host", "server-reflexive", "peer-reflexive", "relayed"].map { kind in
                (kind, status.gateways.count { $0.state == .connected && $0.kind == kind })
            }
        )
        text.gauges(
            "culvert_client_relays",
            "Relays that the portal dealt, by how they do.",
            by: "state",
            [
                ("usable", status.relays.count { $0.isUsable && !$0.isStream }),
                ("stream", status.relays.count { $0.isUsable && $0.isStream }),
                ("unusable", status.relays.count { !$0.isUsable }),
            ]
        )
        text.counter(
            "culvert_client_distress",
            "Times that a gateway was not heard.",
            counters.distresses
        )
        text.counter(
            "culvert_client_path_changes",
            "Times that packets took another path.",
            counters.pathChanges
        )
        text.counter("culvert_client_queries", "DNS queries.", status.queries)
        text.counter("culvert_client_packets_held", "Packets that waited.", counters.held)
        text.counter(
            "culvert_client_packets_denied",
            "Packets refused because of a denial.",
            counters.denied
        )
        text.counter(
            "culvert_client_packets_unreachable",
            "Packets that nobody serves.",
            counters.unreachable
        )
        text.refused("client", connections, relays)
        return text.text
    }
}
