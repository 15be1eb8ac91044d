internal import Bytes
internal import Control
internal import DNS
internal import IP
internal import SansIO

/// Sends single packets and watches what becomes of each: exactly one round trip, exactly one
/// refusal of the right kind, or nothing where something explains it.
final class Prober {
    /// Bounds of a probe.
    enum Limits {
        /// After this the verdict is spoken; packets wait 5 s for a lease at most.
        static let patience: Duration = .seconds(8)
        /// A packet that arrives later than this was kept for too long …
        static let lateness: Duration = .seconds(12)
        /// … and one that arrives after this is nobody's.
        static let memory: Duration = .seconds(120)
        /// A loss this long before a probe may still be felt.
        static let lossMemory: Duration = .seconds(4)
        /// Bytes that a datagram carries at most; more than the tunnel's packets.
        static let byteCount = 4_000
    }

    private final class Probe: Applications.Listener {
        let number: UInt64
        let target: Target
        let destination: IPAddress
        let sentAt: Instant
        let expectation: Expectation
        let resource: ResourceID?
        var port: UInt16 = 0
        var arrivals = 0
        var answers = 0
        var answeredAt: Instant?
        var refusals: [Applications.Told] = []
        unowned let prober: Prober

        init(
            _ number: UInt64,
            _ target: Target,
            to destination: IPAddress,
            _ expectation: Expectation,
            of prober: Prober
        ) {
            (self.number, self.target, self.destination) = (number, target, destination)
            (self.expectation, self.prober) = (expectation, prober)
            sentAt = prober.scene.world.now
            resource = prober.scene.model.resource(of: target)?.id
        }

        func receive(_ packet: [UInt8], _ header: PacketHeader) {
            prober.answered(self, packet, header)
        }

        func receive(error: Applications.Told, about quoted: PacketHeader) {
            prober.refused(self, error, quoted)
        }
    }

    unowned let scene: Scene
    private var probes: [UInt64: Probe] = [:]
    private var count: UInt64 = 0
    /// Verdicts spoken, by what happened.
    private(set) var tally: [Expectation: Int] = [:]
    /// Verdicts that nothing disturbed.
    private(set) var strictCount = 0
    /// Datagrams that went in pieces.
    private(set) var largeCount = 0

    init(_ scene: Scene) { self.scene = scene }

    private var world: World { scene.world }

    /// Sends one packet to a proxy or real address.
    func send(_ target: Target, to destination: IPAddress) {
        count += 1
        let expectation = scene.model.expectation(of: target)
        let probe = Probe(count, target, to: destination, expectation, of: self)
        probes[count] = probe
        probe.port = scene.applications.port(target.transport, probe)
        let isLarge = target.transport == .udp && world.chance(perTenThousand: 2500)
        let sizes = isLarge ? 1_200...Limits.byteCount : 16...1_180
        let payload = ProbePayload(
            probe: count,
            byteCount: Int.random(in: sizes, using: &world.random)
        )
        let ip = IPHeader(
            from: scene.applications.address(destination.family),
            to: destination
        )
        let packet =
            target.transport == .udp
            ? ip.packet(
                UDPHeader(sourcePort: probe.port, destinationPort: target.port),
                payload: payload.bytes
            )
            : ip.packet(
                ICMPHeader.echoRequest(destination.family, identifier: probe.port, sequence: 1),
                body: payload.bytes
            )
        world.note("probe \(count): \(target) at \(destination), expected \(expectation.words)")
        scene.calm.packetSent(
            for: probe.resource,
            isAnswerable: expectation == .roundTrip
        )
        world.after(Limits.patience) { [weak self] in self?.judge(probe) }
        var pieces = Fragments.cut(packet, identification: UInt32(truncatingIfNeeded: count))
        // Which of two resources that share a name is meant, only the first piece says.
        let isShared = target.place == .name(Plan.secret)
        if world.chance(perTenThousand: 2000), !isShared { pieces.reverse() }
        if pieces.count > 1 { largeCount += 1 }
        scene.client.send(pieces: pieces)
    }

    /// A probe came to a server.
    func arrived(_ payload: ProbePayload, _ header: PacketHeader, at server: ResourceServer) {
        guard let probe = probes[payload.probe] else {
            return world.fail("\(server.name) gets probe \(payload.probe), which is over")
        }
        // A stream keeps what it carries until it gets through; what never arrived, and somebody
        // overheard, may arrive whenever he wants.
        let isLate = probe.sentAt.duration(to: world.now) > Limits.lateness
        if isLate, scene.internet.openStreams == 0, !scene.listener.hasReplayed {
            return world.fail("\(server.name) gets probe \(payload.probe), which is over")
        }
        probe.arrivals += 1
        world.note("probe \(probe.number) arrives at \(server.name)")
        if probe.arrivals > 1 {
            return world.fail("probe \(probe.number) arrives twice at \(server.name)")
        }
        guard scene.gateways.contains(where: { $0.addresses.contains(header.source) }) else {
            return world.fail("\(server.name) sees \(header.source)")
        }
        let isRight =
            switch probe.target.place {
            case .address(let address): header.destination == address
            case .name(let name):
                scene.model.mayStandFor(name, header.destination, staleFor: staleness)
            }
        if !isRight {
            world.fail("probe \(probe.number) for \(probe.target) arrives at \(header.destination)")
        }
        let isPort = probe.target.transport != .udp || header.destinationPort == probe.target.port
        if !isPort { world.fail("probe \(probe.number) arrives at port \(header.destinationPort)") }
    }

    /// How old records may be that a new flow goes by: their life, and a look-up that takes long.
    private var staleness: Duration {
        .seconds(scene.settings.timeToLive) + Limits.patience
    }

    private func answered(_ probe: Probe, _ packet: [UInt8], _ header: PacketHeader) {
        let payload = ProbePayload.read(Array(packet[header.payloadOffset...]))
        guard payload?.probe == probe.number else {
            return world.fail("probe \(probe.number) gets an answer that is not its own")
        }
        guard header.source == probe.destination else {
            return world.fail("probe \(probe.number) is answered from \(header.source)")
        }
        probe.answers += 1
        if probe.answers > 1 { world.fail("probe \(probe.number) is answered twice") }
        if probe.arrivals == 0 { world.fail("probe \(probe.number) is answered by nobody") }
        probe.answeredAt = world.now
        world.note("probe \(probe.number) is answered")
        scene.calm.answered(probe.resource, sentAt: probe.sentAt)
        if let resource = probe.resource { scene.model.served(resource) }
    }

    private func refused(_ probe: Probe, _ error: Applications.Told, _ quoted: PacketHeader) {
        guard quoted.destination == probe.destination else {
            return world.fail("an error for probe \(probe.number) quotes \(quoted.destination)")
        }
        probe.refusals.append(error)
        world.note("probe \(probe.number) is refused: \(error)")
        if probe.refusals.count > 1 { world.fail("probe \(probe.number) is refused twice") }
        probe.answeredAt = world.now
    }
}

// MARK: - Verdicts

extension Prober {
    private func outcome(of probe: Probe) -> Expectation {
        if probe.answers > 0 { return .roundTrip }
        guard let told = probe.refusals.first else { return .nothing }
        return switch told {
        case .prohibited: .prohibited
        case .hostUnreachable, .networkUnreachable: .unreachable
        case .portUnreachable: .closedPort
        case .other: []
        }
    }

    private func judge(_ probe: Probe) {
        let outcome = outcome(of: probe)
        tally[outcome, default: 0] += 1
        world.mix(probe.number << 8 | UInt64(outcome.rawValue))
        let number = probe.number
        world.after(Limits.memory - Limits.patience) { [weak self] in
            guard let self else { return }
            probes[number] = nil
            scene.applications.close(probe.target.transport, probe.port)
        }
        if probe.answers > 0, !probe.refusals.isEmpty {
            return world.fail("probe \(number) is both answered and refused")
        }
        guard outcome != [] else {
            return world.fail("probe \(number) is refused by \(probe.refusals)")
        }
        guard scene.calm.disturbance(of: probe.resource, since: probe.sentAt) == nil else { return }
        // A copy that comes first, from elsewhere, draws one answer there (WireGuard's roaming).
        if outcome == .nothing, scene.listener.mayHaveDiverted(probe.sentAt) { return }
        // Silence, and giving up after several attempts, have their reason on a link that loses.
        if outcome == .nothing || outcome == .unreachable, isLossNear(probe.sentAt) { return }
        strictCount += 1
        guard probe.expectation.contains(outcome) else {
            return world.fail(
                "probe \(number) for \(probe.target) sent at "
                    + "\(World.text(world.elapsed - probe.sentAt.duration(to: world.now))): "
                    + "\(outcome.words), expected \(probe.expectation.words)"
            )
        }
        checkTime(probe, outcome)
    }

    /// Whether something was lost on the path from shortly before `sentAt` on.
    func isLossNear(_ sentAt: Instant) -> Bool {
        guard let lostAt = scene.internet.lostAt else { return false }
        return sentAt <= lostAt.advanced(by: Limits.lossMemory)
    }

    /// Nothing disturbed it and nothing was lost: then it was quick.
    private func checkTime(_ probe: Probe, _ outcome: Expectation) {
        guard let at = probe.answeredAt, probe.expectation == outcome, !isLossNear(probe.sentAt)
        else { return }
        let taken = probe.sentAt.duration(to: at)
        guard taken > slowest else { return }
        world.fail(
            "probe \(probe.number) takes \(World.text(taken)) s, \(World.text(slowest)) s at most"
        )
    }

    /// First packet: a request, both look-ups, a handshake and the way there and back.
    private var slowest: Duration {
        let settings = scene.settings
        let path = (settings.quality.delay + settings.quality.jitter + settings.quality.heldUp) * 2
        return settings.portalDelay * 2 + settings.gatewayPortalDelay + settings.nameDelay * 4
            + settings.siteDelay * 2 + path * 4 + .milliseconds(500)
    }
}

extension Expectation {
    /// For people.
    var words: String {
        let all: [(Expectation, String)] = [
            (.roundTrip, "round trip"), (.prohibited, "prohibited"), (.unreachable, "unreachable"),
            (.closedPort, "closed port"), (.nothing, "nothing"),
        ]
        let named = all.filter { contains($0.0) }.map(\.1)
        return named.isEmpty ? "something else" : named.joined(separator: " or ")
    }
}

extension Target: CustomStringConvertible {
    var description: String {
        switch place {
        case .name(let name): "\(name) \(family) \(transport)/\(port)"
        case .address(let address): "\(address) \(transport)/\(port)"
        }
    }
}
