internal import Daemon
internal import Linux
internal import Relay

/// What a relay tells Prometheus.
enum RelayMetrics {
    static func text(
        _ plane: RelayDaemon.Plane,
        _ streams: StreamListener,
        _ service: RelayService
    ) async -> String {
        let (counters, allocations) = await plane.withMachine { ($0.counters, $0.allocationCount) }
        let (loop, bridges) = (await plane.counters, streams.counters.reading)
        var text = MetricsText()
        let gauges: [(String, String, Int)] = [
            ("portal_up", "Whether the portal is connected.", service.isPortalUp ? 1 : 0),
            ("ready", "Whether there are secrets to serve clients with.", service.isReady ? 1 : 0),
            ("allocations", "Addresses that are lent.", allocations),
            ("streams", "Connections by TCP and TLS.", bridges.open),
        ]
        for (name, help, value) in gauges { text.gauge("culvert_relay_\(name)", help, value) }
        for (name, help, value) in core(counters) + edges(loop, bridges) {
            text.counter("culvert_relay_\(name)", help, value)
        }
        return text.text
    }

    private static func core(_ counters: Relay::Relay.Counters) -> [(String, String, UInt64)] {
        [
            ("packets_to_peers", "Datagrams from clients.", counters.packetsToPeers),
            ("bytes_to_peers", "Bytes from clients.", counters.bytesToPeers),
            ("packets_to_clients", "Datagrams from peers.", counters.packetsToClients),
            ("bytes_to_clients", "Bytes from peers.", counters.bytesToClients),
            ("packets_inside", "Datagrams between two clients.", counters.packetsInside),
            ("allocations_opened", "Addresses lent.", counters.allocationsOpened),
            ("allocations_closed", "Addresses given back.", counters.allocationsClosed),
            ("requests_answered", "Requests with success.", counters.successes),
            ("requests_failed", "Requests with an error.", counters.failures),
            ("credentials_refused", "Passwords that were wrong.", counters.credentialsRefused),
            ("quota_reached", "Addresses refused by quota.", counters.quotaReached),
            ("capacity_reached", "Addresses refused for want of a port.", counters.capacityReached),
            ("peers_refused", "Peers refused by their address.", counters.peersRefused),
            ("requests_limited", "Requests dropped by the rate limit.", counters.requestsLimited),
            ("malformed", "Datagrams that are not TURN's.", counters.malformed),
            ("no_permission", "Datagrams without permission.", counters.noPermission),
            ("bandwidth_limited", "Datagrams beyond a quota.", counters.bandwidthLimited),
        ]
    }

    private static func edges(
        _ loop: LoopCounters,
        _ bridges: StreamCounters.Reading
    ) -> [(String, String, UInt64)] {
        [
            ("datagrams_received", "Datagrams from the network.", loop.datagramsReceived),
            ("datagrams_sent", "Datagrams to the network.", loop.datagramsSent),
            ("backlog_drops", "Datagrams that a full socket cost.", loop.backlogDrops),
            ("ports_refused", "Ports that the kernel did not give.", loop.portsRefused),
            ("streams_opened", "Connections made.", bridges.opened),
            ("streams_refused", "Connections that were too many.", bridges.refused),
            ("streams_garbled", "Connections that did not speak TURN.", bridges.garbled),
            ("stream_drops", "Messages that a slow connection cost.", bridges.drops),
        ]
    }
}
