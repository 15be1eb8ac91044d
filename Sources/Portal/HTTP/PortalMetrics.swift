internal import Synchronization

/// What the portal counts, as Prometheus text; names and labels are a fixed set.
final class PortalMetrics: Sendable {
    /// Things that only grow.
    enum Counter: Int, CaseIterable, Sendable {
        case allowed, denied, sessions, malformedMessages, versionMismatches, refusedTokens
        case changes, laggingConnections, leasesEnded, leasesExtended, signInFailures, requests
        case failedRequests, refusedPunches, shedConnections, unreached, flows, missingFlows

        fileprivate var text: (name: String, labels: String, help: String) {
            switch self {
            case .allowed: ("decisions_total", "{outcome=\"allowed\"}", "Authorizations answered.")
            case .denied: ("decisions_total", "{outcome=\"denied\"}", "Authorizations answered.")
            case .sessions:
                ("sessions_total", "", "Sessions opened by clients, gateways and relays.")
            case .malformedMessages:
                ("malformed_messages_total", "", "Messages that could not be read.")
            case .versionMismatches: ("version_mismatches_total", "", "Peers of another version.")
            case .refusedTokens: ("refused_tokens_total", "", "Connections with a bad token.")
            case .changes: ("changes_total", "", "Changes of the configuration.")
            case .laggingConnections: ("lagging_connections_total", "", "Connections that lagged.")
            case .leasesEnded: ("leases_ended_total", "", "Leases ended before their time.")
            case .leasesExtended: ("leases_extended_total", "", "Leases extended.")
            case .signInFailures: ("sign_in_failures_total", "", "Sign-ins that failed.")
            case .requests: ("http_requests_total", "{outcome=\"done\"}", "HTTP requests answered.")
            case .failedRequests:
                ("http_requests_total", "{outcome=\"failed\"}", "HTTP requests answered.")
            case .refusedPunches:
                ("refused_punches_total", "", "Requests to be probed that were not passed on.")
            case .shedConnections:
                ("shed_connections_total", "", "Connections that were told to wait.")
            case .unreached:
                ("unreached_total", "", "Times that a gateway said it does not reach a resource.")
            case .flows: ("flows_total", "{outcome=\"kept\"}", "Ended flows told by gateways.")
            case .missingFlows:
                ("flows_total", "{outcome=\"missing\"}", "Ended flows told by gateways.")
            }
        }
    }

    private let counts = Mutex([UInt64](repeating: 0, count: Counter.allCases.count))

    func count(_ counter: Counter, by number: UInt64 = 1) {
        counts.withLock { $0[counter.rawValue] &+= number }
    }

    subscript(counter: Counter) -> UInt64 { counts.withLock { $0[counter.rawValue] } }

    /// Counters and the given gauges in the text format of Prometheus 0.0.4.
    func text(gauges: [(name: String, help: String, value: Double)]) -> String {
        let counts = counts.withLock { $0 }
        var lines: [String] = []
        var described: Set<String> = []
        for counter in Counter.allCases {
            let (name, labels, help) = counter.text
            if described.insert(name).inserted {
                lines += [
                    "# HELP culvert_portal_\(name) \(help)",
                    "# TYPE culvert_portal_\(name) counter",
                ]
            }
            lines.append("culvert_portal_\(name)\(labels) \(counts[counter.rawValue])")
        }
        for gauge in gauges {
            let value =
                gauge.value == gauge.value.rounded() ? "\(Int64(gauge.value))" : "\(gauge.value)"
            lines += [
                "# HELP culvert_portal_\(gauge.name) \(gauge.help)",
                "# TYPE culvert_portal_\(gauge.name) gauge",
                "culvert_portal_\(gauge.name) \(value)",
            ]
        }
        return lines.joined(separator: "\n") + "\n"
    }
}
