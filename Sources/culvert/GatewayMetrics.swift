internal import Gateway
internal import Linux
internal import SansIO

/// What a gateway tells Prometheus.
enum GatewayMetrics {
    static func text(_ plane: DataPlane<Gateway::Gateway>) async -> String {
        let status = await plane.withMachine { $0.status(at: SystemClock.now()) }
        let counters = status.counters
        var text = MetricsText()
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
        text.counter(
            "culvert_gateway_flows_evicted",
            "Flows ended to make room.",
            status.flowsEvicted
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
        return text.text
    }
}
