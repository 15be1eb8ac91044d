internal import Client
internal import Daemon
internal import Linux
internal import SansIO

/// What a client tells Prometheus.
enum ClientMetrics {
    /// - Parameters:
    ///   - plane: The core's.
    ///   - upstreams: How nameservers that are asked over TCP, TLS or HTTPS did.
    ///   - streams: DNS over TCP of the host's programs; nil while nobody listens.
    /// - Returns: The page.
    static func text(
        _ plane: DataPlane<Client::Client>,
        upstreams: UpstreamCounters.Reading,
        streams: StreamServer.Reading?
    ) async -> String {
        let (status, counters, connections, relays) = await plane.withMachine {
            ($0.status(at: SystemClock.now()), $0.counters, $0.connectionCounters, $0.relayCounters)
        }
        let joined = await plane.withMachine { $0.joinedQueries }
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
        text.counter(
            "culvert_client_queries_joined",
            "DNS queries that waited for the answer to one like them.",
            joined
        )
        text.counter(
            "culvert_client_site_questions",
            "DNS queries that a site answers.",
            counters.siteQuestions
        )
        text.counter(
            "culvert_client_site_questions_refused",
            "Those of them that could not be asked.",
            counters.siteRefused
        )
        add(upstreams, to: &text)
        add(streams ?? StreamServer.Reading(), to: &text)
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

    private static func add(_ upstreams: UpstreamCounters.Reading, to text: inout MetricsText) {
        text.counters(
            "culvert_client_upstream_queries",
            "Questions to nameservers over TCP, TLS or HTTPS, by what became of them.",
            by: "outcome",
            [
                ("answered", UInt64(upstreams.answers)),
                ("failed", UInt64(max(0, upstreams.failures - upstreams.refused))),
                ("refused", UInt64(upstreams.refused)),
            ]
        )
        text.counters(
            "culvert_client_upstream_events",
            "What happened on the connections to those nameservers.",
            by: "event",
            [
                ("connected", UInt64(upstreams.connections)),
                ("asked again", UInt64(upstreams.retries)),
                ("garbled", UInt64(upstreams.garbled)),
            ]
        )
    }

    private static func add(_ streams: StreamServer.Reading, to text: inout MetricsText) {
        text.counter(
            "culvert_client_stream_queries",
            "DNS queries over TCP.",
            UInt64(streams.queries)
        )
        text.counters(
            "culvert_client_stream_connections",
            "Connections for DNS over TCP, by what became of them.",
            by: "outcome",
            [
                ("accepted", UInt64(streams.accepted)), ("refused", UInt64(streams.refused)),
                ("displaced", UInt64(streams.displaced)), ("slow", UInt64(streams.slow)),
            ]
        )
    }
}
