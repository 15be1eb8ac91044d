internal import Hummingbird
internal import Policy

/// What monitoring asks.
struct HealthRoutes {
    let portal: Portal

    func add(to router: Router<PortalContext>) {
        router.get("/healthz") { _, _ in Response.text("ok\n") }
        router.get("/readyz") { [portal] _, _ in
            let isStopping = await portal.switchboard.isStopping
            do throws(StoreError) {
                _ = try await portal.store.administratorCount()
                return isStopping
                    ? Response.text("stopping\n", status: .serviceUnavailable)
                    : Response.text("ready\n")
            } catch {
                return Response.text(error.sentence + "\n", status: .serviceUnavailable)
            }
        }
        router.group("/metrics").add(middleware: APIGate(portal: portal)).get("") { [portal] _, _ in
            let gauges = await portal.switchboard.gauges
            return Response.text(
                portal.metrics.text(gauges: gauges),
                type: "text/plain; version=0.0.4; charset=utf-8"
            )
        }
    }
}

extension Switchboard {
    /// How many there are now.
    var gauges: [(name: String, help: String, value: Double)] {
        [
            ("clients_connected", "Clients that are connected.", Double(clients.count)),
            ("gateways_connected", "Gateways that are connected.", Double(gateways.count)),
            ("relays_usable", "Relays that can be dealt.", Double(relayDesk.count)),
            ("leases", "Live leases.", Double(leases.count)),
            ("revision", "Revision of the configuration.", Double(revision)),
            ("resources", "Resources.", Double(directory.resources.count)),
            ("policies", "Policies.", Double(directory.policies.count)),
        ]
    }
}
