import Foundation
import Lab
import Testing

extension EndToEnd {
    /// A portal and a bare host on one wire: where a role meets what its host lacks.
    struct FaultWorld {
        let network: Network
        let portal: LabHost
        let host: LabHost
        let tokens: [String: String]
        private let running: Running

        static let url = "https://203.0.113.10:8443"

        /// The portal runs and has dealt a token for a gateway and for a client.
        init(_ name: String) throws {
            network = try Network(name: name)
            do {
                portal = try network.host("portal")
                try portal.bridge(addresses: ["203.0.113.10/24"])
                host = try network.host("host")
                try network.attach(host, to: portal, addresses: ["203.0.113.20/24"])
                try host.resolvers("nameserver 203.0.113.53\n")
                running = try Self.startPortal(on: portal)
                try roles.apply(DemoNetwork.configuration, portal: portal)
                let gateway = try roles.ask(portal: portal, "token", "--site", "headquarters")
                let client = try roles.ask(portal: portal, "token", "--client", "ada@example.com")
                tokens = [
                    "gateway": try host.write("gateway.token", gateway),
                    "client": try host.write("client.token", client),
                ]
            } catch {
                network.remove()
                throw error
            }
        }

        func stopPortal() { running.stop() }

        @discardableResult
        static func startPortal(on host: LabHost, state: String? = nil, port: Int = 8443) throws
            -> Running
        {
            try roles.portal(on: host, address: "203.0.113.10", port: port, state: state)
        }

        /// The words that start a role.
        func words(_ role: String, _ more: String...) throws -> [String] {
            [
                executable, role, "--token-file", try #require(tokens[role]), "--state",
                Roles.state(role, on: host),
            ] + more
        }

        func remove() { network.remove() }

        /// Everything on the host that a role changes.
        func hostState() throws -> String {
            let questions = [
                ["ip", "-brief", "link"], ["ip", "rule"], ["ip", "-6", "rule"],
                ["ip", "route", "show", "table", "all"],
                ["ip", "-6", "route", "show", "table", "all"], ["nft", "list", "ruleset"],
                ["sysctl", "net.ipv4.ip_forward", "net.ipv4.conf.all.src_valid_mark"],
                ["sysctl", "net.ipv6.conf.all.forwarding"], ["cat", "/etc/resolv.conf"],
            ]
            // Link-local addresses of the wire itself come and go by duplicate address detection.
            return try questions.map { try host.must($0, input: "") }.joined()
                .split(separator: "\n").filter { !$0.contains("fe80:") }.joined(separator: "\n")
        }
    }

    /// What a role is started in, for it to meet something that is missing.
    enum Lack {
        /// No capability at all.
        static let privilege = [
            "setpriv", "--bounding-set", "-all", "--inh-caps", "-all", "--",
        ]
        /// No /dev/net/tun.
        static let tunnelDevice = inMounts("mount -t tmpfs none /dev/net")
        /// No program nft.
        static let nftables = inMounts("mount --bind /dev/null \"$(readlink -f $(which nft))\"")

        private static func inMounts(_ change: String) -> [String] {
            ["unshare", "--mount", "sh", "-c", "\(change) && exec \"$0\" \"$@\""]
        }
    }
}
