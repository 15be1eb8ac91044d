internal import Control
internal import DNS
internal import IP
internal import Policy
internal import SansIO

// A gateway that is there and well, but does not reach what it is for.
extension Faults {
    /// What of the site is cut off, and which resources that concerns.
    private struct Hole {
        var cut: SiteNetwork.Cut
        var resources: [ResourceID]
    }

    /// One of two gateways does not reach resources any more; the other one does.
    func cutOffGateway() {
        guard scene.gateways.count > 1, busyGateways.isEmpty, !isPathBusy, !isClientBusy, canTell,
            isClientSettled
        else { return }
        let hole = drawHole()
        let resources = hole.resources.filter { resource in
            // Who was just passed over cannot stand in.
            !portal.gateways.contains {
                portal.reach.isPassedOver($0.id, resource, at: portal.wallTime)
            }
        }
        guard resources.count == hole.resources.count else { return }
        isPathBusy = true
        busyGateways = scene.gateways.map(\.id)
        // What is connected shows first that it could be reached.
        var open: [Visitor.Way] = []
        let visitor = Visitor(scene, isRepeating: false)
        visitor.onOpen = { way, _ in open.append(way) }
        for resource in resources { visit(resource, by: visitor) }
        world.after(.seconds(4)) { [self] in cutOff(hole, ways: open) }
    }

    private func drawHole() -> Hole {
        let isTold = world.chance(perTenThousand: 3000)
        guard world.chance(perTenThousand: 5000) else {
            let cut = SiteNetwork.Cut(servers: ["service"], includesNames: false, isTold: isTold)
            return Hole(cut: cut, resources: [Plan.service])
        }
        let cut = SiteNetwork.Cut(
            servers: scene.servers.map(\.name),
            includesNames: world.chance(perTenThousand: 3000),
            isTold: isTold
        )
        return Hole(cut: cut, resources: Plan.resources)
    }

    /// Two connections to each resource, where its name is known or found out at once.
    private func visit(_ resource: ResourceID, by visitor: Visitor) {
        let targets: [(Target.Place, IPFamily, UInt16)] =
            switch resource {
            case Plan.network:
                [
                    (.address(Plan.webAddresses[0][0]), .ipv4, 443),
                    (.address(Plan.webAddresses[1][0]), .ipv4, 80),
                ]
            case Plan.service: [(.name(Plan.protectedService), .ipv4, 443)]
            case Plan.vault: [(.name(Plan.secret), .ipv4, 443)]
            default: [(.name(Plan.web), .ipv4, 443), (.name(Plan.web), .ipv4, 80)]
            }
        for (place, family, port) in targets {
            let target = Target(place: place, family: family, transport: .tcp, port: port)
            guard scene.model.resource(of: target)?.id == resource,
                scene.model.expectation(of: target) == .roundTrip
            else { continue }
            switch place {
            case .address(let address):
                visitor.connect([Visitor.Way(target: target, destination: address)]) {
                    nextStream()
                }
            case .name(let name):
                scene.queries.ask(name, .a) { [self] addresses in
                    guard let first = addresses.first else { return }
                    visitor.connect([Visitor.Way(target: target, destination: first)]) {
                        nextStream()
                    }
                }
            }
        }
    }

    /// Cuts the gateway off that the resources use.
    private func cutOff(_ hole: Hole, ways: [Visitor.Way]) {
        let length = world.between(.seconds(4), .seconds(25))
        let used = hole.resources.compactMap { calm.gateway($0) }
        guard canTell, let gateway = used.first ?? portal.gateways.first?.id else {
            return joinAgain(nil, [])
        }
        count(.gatewayIsCutOff)
        scene.site.setCut(hole.cut, of: gateway)
        let words = "\(gateway) does not reach \(hole.cut.servers) for \(World.text(length)) s"
        let faults = hole.resources.map { resource in
            (resource, calm.begin(words, resource: resource, endsStreams: true))
        }
        for (resource, fault) in faults {
            let own = ways.filter { scene.model.resource(of: $0.target)?.id == resource }
            // What is one of many must fail twice to be believed.
            let isEnough = resource == Plan.service || resource == Plan.vault || own.count > 1
            guard isEnough, !own.isEmpty else { continue }
            visit(resource, own, fault, of: gateway)
        }
        world.after(length) { [self] in joinAgain(gateway, faults) }
    }

    /// Connects to what its gateway does not reach any more.
    private func visit(
        _ resource: ResourceID,
        _ ways: [Visitor.Way],
        _ fault: Calm.Disturbance,
        of gateway: GatewayID
    ) {
        let start = world.now
        let visitor = Visitor(scene, isRepeating: true)
        var isOpen = false
        visitor.onOpen = { [self] _, taken in
            guard !isOpen else { return }
            isOpen = true
            calm.heal(fault, within: trip)
            if isUndisturbed(resource, since: start, except: fault) {
                calm.remember("a gateway does not reach a resource", taken)
            }
            world.after(trip + .milliseconds(1)) { [self] in
                visitAgain(resource, ways, fault, since: start)
            }
        }
        visitor.connect(ways) { nextStream() }
        let bound = Bounds.reach + portalTrip + pathBound - Bounds.path
        world.after(bound) { [self] in
            guard !isOpen, isUndisturbed(resource, since: start, except: fault) else { return }
            world.fail(
                "\(gateway) does not reach \(resource), and no connection stands after "
                    + "\(World.text(bound)) s"
            )
        }
    }

    /// Later connections stand at once: their first segment is answered.
    private func visitAgain(
        _ resource: ResourceID,
        _ ways: [Visitor.Way],
        _ fault: Calm.Disturbance,
        since start: Instant
    ) {
        let visitor = Visitor(scene, isRepeating: false)
        var waiting = ways
        visitor.onOpen = { way, _ in waiting.removeAll { $0 == way } }
        visitor.connect(ways) { nextStream() }
        world.after(.milliseconds(950)) { [self] in
            guard !waiting.isEmpty, isUndisturbed(resource, since: start, except: fault) else {
                return
            }
            world.fail("a later connection to \(resource) does not stand at once")
        }
    }

    private func isUndisturbed(
        _ resource: ResourceID,
        since start: Instant,
        except fault: Calm.Disturbance?
    ) -> Bool {
        calm.disturbance(of: resource, since: start, except: fault) == nil
            && !scene.prober.isLossNear(start)
    }

    /// It reaches all again, and nothing moves back and forth.
    private func joinAgain(
        _ gateway: GatewayID?,
        _ faults: [(ResourceID, Calm.Disturbance)]
    ) {
        isPathBusy = false
        busyGateways = []
        guard let gateway else { return }
        scene.site.setCut(nil, of: gateway)
        world.note("-- \(gateway) reaches all again")
        let (start, moves) = (world.now, portal.moves)
        for (resource, fault) in faults {
            guard fault.end != nil else {
                calm.heal(fault, within: .seconds(1))
                continue
            }
            let used = calm.gateway(resource)
            world.after(.seconds(20)) { [self] in
                guard isUndisturbed(resource, since: start, except: fault) else { return }
                if calm.gateway(resource) != used || portal.moves[resource] != moves[resource] {
                    world.fail("\(resource) moves on although \(gateway) reaches it again")
                }
            }
        }
    }
}
