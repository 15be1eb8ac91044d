internal import Gateway
internal import Linux
internal import SansIO

/// What a gateway tells Prometheus.
enum GatewayMetrics {
    static func text(_ plane: DataPlane<Gateway::Gateway>) async -> String {
        let (status, connections, relays) = await plane.withMachine {
            ($0.status(at: SystemClock.now()), $0.connectionCounters, $0.relayCounters)
        }
        var text = MetricsText()
        state(status, into: &text)
        packets(status, into: &text)
        text.refused("gateway", connections, relays)
        return text.text
    }

    /// Who is connected, and how.
    private static func state(_ status: Gateway::Gateway.Status, into text: inout MetricsText) {
        let flows = status.clients.reduce(0) { $0 + $1.flows }
        let leases = status.clients.reduce(0) { $0 + $1.leases.count }
        text.gauge(
            "culvert_gateway_portal_up",
            "Whether the portal is connected.",
            status.isPortalUp ? 1 : 0
        )
        text.gauge("culvert_gateway_clients", "Clients that hold a lease.", status.clients.count)
        text.gauge("culvert_gateway_leases", "Live leases.", leases)
        text.gauge("culvert_gateway_flows", "Flows in the translation tables.", flows)
        text.gauges(
            "culvert_gateway_paths",
            "Clients that are connected, by the kind of the path.",
            by: "kind",
            ["host", "server-reflexive", "peer-reflexive", "relayed"].map { kind in
                (kind, status.clients.count { $0.isConnected && $0.kind == kind })
            }
        )
        text.gauges(
            "culvert_gateway_relays",
            "Relays that the portal dealt, by how they do.",
            by: "state",
            [
                ("usable", status.relays.count { $0.isUsable && !$0.isStream }),
                ("stream", status.relays.count { $0.isUsable && $0.isStream }),
                ("unusable", status.relays.count { !$0.isUsable }),
            ]
        )
    }

    /// What has happened since the start.
    private static func packets(_ status: Gateway::Gateway.Status, into text: inout MetricsText) {
        let counters = status.counters
        text.counter(
            "culvert_gateway_distress",
            "Times that a client was not heard.",
            counters.distresses
        )
        text.counter(
            "culvert_gateway_punches",
            "Times that a client asked through the portal to be probed.",
            counters.punches
        )
        text.counter(
            "culvert_gateway_packets_early",
            "Packets and names that came before their grant.",
            counters.early
        )
        text.counter(
            "culvert_gateway_packets_strays",
            "TCP segments of connections of another gateway, or of before a restart.",
            counters.strays
        )
        text.counter(
            "culvert_gateway_flows_evicted",
            "Flows ended to make room.",
            status.flowsEvicted
        )
        text.counter(
            "culvert_gateway_flows_unlogged",
            "Ended flows that are missing in the flow log.",
            status.counters.unlogged
        )
        text.counter(
            "culvert_gateway_packets_untranslatable",
            "Packets that the other family of addresses cannot carry.",
            counters.untranslatable
        )
        text.counter(
            "culvert_gateway_fragments_dropped",
            "Fragments that no packet was made of.",
            counters.fragments
        )
        text.counter(
            "culvert_gateway_packets_forwarded",
            "Packets to resources.",
            counters.forwarded
        )
        text.counter("culvert_gateway_packets_returned", "Packets to clients.", counters.returned)
        text.counter(
            "culvert_gateway_packets_prohibited",
            "Packets that no lease permits.",
            counters.prohibited
        )
        text.counter(
            "culvert_gateway_packets_spoofed",
            "Packets with a foreign source.",
            counters.spoofed
        )
        text.counter(
            "culvert_gateway_lookups_failed",
            "Names that no server answered.",
            status.failedLookups
        )
        queries(counters, into: &text)
    }

    /// What clients asked of the site's nameservers.
    private static func queries(
        _ counters: Gateway::Gateway.Counters,
        into text: inout MetricsText
    ) {
        text.counter(
            "culvert_gateway_queries",
            "Queries of clients for the site's own records.",
            counters.queries
        )
        text.counter(
            "culvert_gateway_queries_refused",
            "Queries of clients for names that no lease permits.",
            counters.queriesRefused
        )
        text.counter(
            "culvert_gateway_queries_limited",
            "Queries of clients refused because there were too many.",
            counters.queriesLimited
        )
        text.counter(
            "culvert_gateway_queries_unanswered",
            "Queries of clients that no nameserver of the site helped with.",
            counters.queriesUnanswered
        )
    }
}
