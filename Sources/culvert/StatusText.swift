internal import Bytes
internal import Client
internal import Control
internal import Foundation
internal import IP

/// `culvert status` and `culvert resources` as a person reads them.
enum StatusText {
    static func render(_ status: ClientStatus) -> String {
        guard let core = status.core else {
            return "down" + (status.ending.map { ": \($0)" } ?? "; `culvert up` connects")
        }
        var lines = ["\(status.state) to \(status.portal)"]
        if let refusal = core.portalRefusal, !core.isPortalConnected {
            lines.append("  \(refusal)")
        }
        if let account = core.account, let actor = core.actor {
            lines.append("signed in to \(account) as \(actor), on \(core.device ?? "this device")")
        }
        if !core.tunnel.isEmpty {
            lines.append(
                "tunnel addresses \(core.tunnel.map(\.description).joined(separator: ", "))"
            )
        }
        if !core.nameservers.isEmpty {
            lines += ["", "NAMESERVER        STANDS FOR"]
            lines += core.nameservers.map { "\(padded("\($0.sentinel)", 16))  \($0.upstream)" }
        }
        if !status.notices.isEmpty { lines += [""] + status.notices }
        lines += ["", gateways(core)]
        if !core.relays.isEmpty { lines += ["", relays(core.relays)] }
        lines += ["", resources(core)]
        return lines.joined(separator: "\n")
    }

    static func resources(_ core: Client::Client.Status) -> String {
        guard !core.resources.isEmpty else { return "Nothing may be reached from this device." }
        let rows = core.resources.map { resource in
            [
                resource.name, resource.address, resource.site,
                resource.isOnline.map { $0 ? "online" : "offline" } ?? "unknown",
                resource.state.rawValue + (resource.reasons.first.map { ": \($0)" } ?? ""),
            ]
        }
        return table(["RESOURCE", "ADDRESS", "SITE", "SITE IS", "STATE"], rows)
    }

    private static func gateways(_ core: Client::Client.Status) -> String {
        guard !core.gateways.isEmpty else { return "No gateway is in use." }
        let rows = core.gateways.map { gateway in
            [
                gateway.name, gateway.state.rawValue, path(of: gateway), gateway.remote ?? "–",
                milliseconds(gateway.roundTripMicroseconds),
                bytes(gateway.bytesIn), bytes(gateway.bytesOut),
                gateway.pathSeconds.map(age) ?? "–",
            ]
        }
        return table(
            ["GATEWAY", "STATE", "PATH", "AT", "ROUND TRIP", "IN", "OUT", "SINCE"],
            rows
        )
    }

    /// `direct`, or through which of our relays, or through the gateway's.
    private static func path(of gateway: Client::Client.GatewayStatus) -> String {
        if let relay = gateway.relay { return "relayed by \(relay)" }
        return gateway.path == "relayed" ? "relayed" : "direct, \(gateway.kind)"
    }

    static func relays(_ relays: [Client::Client.RelayState]) -> String {
        let rows = relays.map { relay in
            [
                relay.id.text, state(of: relay), relay.server ?? "–",
                milliseconds(relay.roundTripMicroseconds),
                list(relay.mapped), list(relay.relayed),
            ]
        }
        return table(["RELAY", "STATE", "AT", "ROUND TRIP", "SEES US AS", "LENDS"], rows)
    }

    private static func state(of relay: Client::Client.RelayState) -> String {
        if relay.isUsable { return relay.isStream ? "usable by stream" : "usable" }
        return relay.server == nil ? "in reserve" : "not reached"
    }

    private static func list(_ endpoints: [Endpoint]) -> String {
        endpoints.isEmpty ? "–" : endpoints.map(\.description).joined(separator: ", ")
    }

    private static func milliseconds(_ microseconds: Int64?) -> String {
        microseconds.map { String(format: "%.1f ms", Double($0) / 1000) } ?? "–"
    }

    /// A length of time in its two largest units.
    private static func age(_ seconds: Int64) -> String {
        switch seconds {
        case ..<60: "\(seconds) s"
        case ..<3_600: "\(seconds / 60) min \(seconds % 60) s"
        case ..<86_400: "\(seconds / 3_600) h \(seconds / 60 % 60) min"
        default: "\(seconds / 86_400) d \(seconds / 3_600 % 24) h"
        }
    }

    private static func bytes(_ count: UInt64) -> String {
        switch count {
        case 0..<10_000: "\(count) B"
        case 10_000..<10_000_000: "\(count / 1_000) kB"
        default: "\(count / 1_000_000) MB"
        }
    }

    static func table(_ head: [String], _ rows: [[String]]) -> String {
        let widths = head.indices.map { column in
            ([head] + rows).map { $0[column].count }.max() ?? 0
        }
        return ([head] + rows).map { row in
            row.indices.map { $0 == row.count - 1 ? row[$0] : padded(row[$0], widths[$0]) }
                .joined(separator: "  ")
        }.joined(separator: "\n")
    }

    private static func padded(_ text: String, _ width: Int) -> String {
        text + String(repeating: " ", count: max(0, width - text.count))
    }
}
