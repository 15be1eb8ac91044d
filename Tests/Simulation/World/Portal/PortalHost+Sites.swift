internal import Control
internal import Policy

// Several gateways of one site: which of them new flows take.
extension PortalHost {
    var wallTime: WallTime { WallTime(seconds: wallSeconds) }

    /// The gateways of a site that are connected, as candidates for a lease.
    func options(at site: SiteID, for resource: ResourceID) -> [GatewayChoice.Option] {
        let online = gateways.filter { seat in
            seat.device.isOnline && directory.gateways[seat.id]?.site == site
        }
        return online.map { seat in
            GatewayChoice.Option(
                id: seat.id,
                clientCount: leases.contains { $0.gateway == seat.id } ? 1 : 0,
                isDraining: false,
                speaksCurrent: true,
                region: nil,
                isPassedOver: reach.isPassedOver(seat.id, resource, at: wallTime)
            )
        }
    }

    /// A gateway reaches a resource no longer, or again. New flows go by another one that does, if
    /// there is one.
    func take(_ said: FromRole.Reach, from seat: GatewaySeat) {
        guard !ignoresReach,
            let site = directory.resources[said.resource]?.site,
            directory.gateways[seat.id]?.site == site
        else { return }
        guard !said.isReached else { return reach.heal(seat.id, said.resource, at: wallTime) }
        _ = reach.fail(seat.id, said.resource, said.sentence, at: wallTime)
        let isServed = options(at: site, for: said.resource).contains {
            $0.id != seat.id && $0.canTakeOver
        }
        guard isServed else { return }
        for lease in leases where lease.gateway == seat.id && lease.resource == said.resource {
            moves[said.resource, default: 0] += 1
            let message = ToClient.Move(
                resource: lease.resource,
                gateway: lease.gateway,
                code: .unreached,
                sentence: "This gateway does not reach the resource; another one is taken."
            )
            send(.move(message))
        }
    }
}
