internal import Bytes
internal import Control
internal import IP
internal import Policy
internal import SansIO

// What a session opens with, what each role may say, and how it ends.
extension PortalHost {
    func receive(fromClient message: FromRole) {
        world.note("client → portal: \(message.type)")
        switch message {
        case .hello(let hello): greetClient(hello)
        case .authorize(let request): authorize(request)
        case .candidates(let change): setClientCandidates(change.candidates)
        case .resync: welcomeClient(holding: nil)
        case .punch(let punch): passOn(punch)
        case .relayTimes: break
        case .release(let release):
            for id in release.leases {
                guard let place = leases.firstIndex(where: { $0.id == id }) else { continue }
                end(place, "released", "The client needs it no longer.")
            }
        case .grantAnswer, .report, .reach, .flows, .relayHello, .relayReport, .unknown:
            world.fail("a client sent \(message.type)")
        }
    }

    private func greetClient(_ hello: FromRole.Hello) {
        let isNewKey = clientDevice.publicKey != hello.publicKey
        let isNews = isNewKey || clientDevice.candidates != hello.candidates
        clientDevice = Device(
            publicKey: hello.publicKey,
            candidates: believed(hello.candidates, clientDevice.candidates),
            isOnline: true
        )
        review()
        welcomeClient(holding: hello.leases, isReturning: !isNewKey)
        for ended in missed { send(.leaseEnded(ended)) }
        missed = []
        for seat in gateways where leases.contains(where: { $0.gateway == seat.id }) {
            if seat.device.isOnline {
                send(.gatewayCandidates(gatewayCandidates(seat, withKey: true)))
            }
            if isNews { tellOfClient(seat, withKey: isNewKey) }
        }
    }

    func receive(from seat: GatewaySeat, _ message: FromRole) {
        world.note("\(seat.id) → portal: \(message.type)")
        switch message {
        case .hello(let hello): greet(seat, hello)
        case .candidates(let change):
            guard seat.device.candidates != change.candidates else { return }
            seat.device.candidates = believed(change.candidates, seat.device.candidates)
            tellClient(of: seat, withKey: false)
        case .resync: welcome(seat)
        case .grantAnswer(let answer):
            guard !answer.accepted, let place = leases.firstIndex(where: { $0.id == answer.lease })
            else { return }
            end(
                place,
                answer.code ?? "gateway-refused",
                "The gateway does not serve this.",
                isTold: false
            )
        case .reach(let reach): take(reach, from: seat)
        case .report, .flows, .relayTimes: break
        case .authorize, .punch, .release, .relayHello, .relayReport, .unknown:
            world.fail("a gateway sent \(message.type)")
        }
    }

    private func greet(_ seat: GatewaySeat, _ hello: FromRole.Hello) {
        let isNewKey = seat.device.publicKey != hello.publicKey
        let isNews = isNewKey || seat.device.candidates != hello.candidates
        seat.device = Device(
            publicKey: hello.publicKey,
            candidates: believed(hello.candidates, seat.device.candidates),
            isOnline: true
        )
        welcome(seat, isReturning: !isNewKey)
        awaited.removeAll { $0 == seat.id }
        reach.forget(seat.id)
        showSite()
        decideWaiting()
        if isNews { tellClient(of: seat, withKey: isNewKey) }
    }

    /// - Parameters:
    ///   - held: Leases that the client says it holds; nil: it says nothing of them.
    ///   - isReturning: Whether the process was here before.
    private func welcomeClient(holding held: [LeaseID]?, isReturning: Bool = false) {
        (shown, shownDNS, denied) = (visible, directory.dns, [])
        channelRevision = max(channelRevision, revision)
        guard let entry = directory.clients[client] else { return }
        let states = held.map { held in
            leases.filter { held.contains($0.id) }.map {
                LeaseState(lease: $0.id, lifetimeSeconds: told($0).lifetimeSeconds)
            }
        }
        let welcome = ToClient.Welcome(
            instance: instanceName,
            revision: channelRevision,
            account: directory.account,
            client: ClientIdentity(
                id: client,
                name: entry.name,
                actor: directory.actors[entry.actor]?.name ?? "",
                tunnel: entry.tunnel
            ),
            addresses: directory.addresses,
            resources: shown,
            dns: shownDNS,
            relays: dealt(to: client.text, isReturning: isReturning),
            leases: states
        )
        send(.welcome(welcome))
    }

    private func welcome(_ seat: GatewaySeat, isReturning: Bool = false) {
        guard let entry = directory.gateways[seat.id], let site = directory.sites[entry.site] else {
            return
        }
        let welcome = ToGateway.Welcome(
            instance: instanceName,
            revision: revision,
            account: directory.account,
            gateway: GatewayIdentity(
                id: seat.id,
                name: entry.name,
                site: SiteReference(id: site.id, name: site.name),
                tunnel: entry.tunnel
            ),
            addresses: directory.addresses,
            grants: leases.filter { $0.gateway == seat.id }.compactMap(grant),
            relays: dealt(to: seat.id.text, isReturning: isReturning),
            limitSeconds: site.absenceSeconds
        )
        send(.welcome(welcome), to: seat)
    }

    /// A gateway's channel is gone, with a goodbye or without.
    func gatewayLeft(_ seat: GatewaySeat, politely: Bool) {
        guard seat.device.isOnline else { return }
        seat.device.isOnline = false
        if politely, leases.contains(where: { $0.gateway == seat.id }) {
            send(.gatewayOffline(ToClient.GatewayOffline(gateway: seat.id)))
        }
        world.after(.seconds(5)) { [weak self] in self?.showSite() }
    }

    private func showSite() {
        let isOnline = isAnyGatewayOnline
        if isOnline != isSiteShownOnline {
            isSiteShownOnline = isOnline
            tellDifferences()
        }
        if isOnline { tellChanged(denied) }
    }
}

// MARK: - Where roles can be reached

extension PortalHost {
    func setClientCandidates(_ candidates: [Candidate]) {
        clientDevice.candidates = believed(candidates, clientDevice.candidates)
        for seat in gateways { tellOfClient(seat, withKey: false) }
    }

    /// A client in distress asks to be probed.
    private func passOn(_ punch: FromRole.Punch) {
        guard let seat = seat(punch.gateway),
            leases.contains(where: { $0.gateway == punch.gateway })
        else { return }
        clientDevice.candidates = believed(punch.candidates, clientDevice.candidates)
        let message = ToGateway.Punch(client: client, candidates: clientDevice.candidates)
        send(.punch(message), to: seat)
    }

    private func tellOfClient(_ seat: GatewaySeat, withKey: Bool) {
        guard leases.contains(where: { $0.gateway == seat.id }) else { return }
        let message = ToGateway.ClientCandidates(
            client: client,
            publicKey: withKey ? clientDevice.publicKey : nil,
            presharedKey: withKey ? presharedKey(with: seat) : nil,
            candidates: clientDevice.candidates
        )
        send(.clientCandidates(message), to: seat)
    }

    private func tellClient(of seat: GatewaySeat, withKey: Bool) {
        guard leases.contains(where: { $0.gateway == seat.id }) else { return }
        send(.gatewayCandidates(gatewayCandidates(seat, withKey: withKey)))
    }

    private func gatewayCandidates(
        _ seat: GatewaySeat,
        withKey: Bool
    ) -> ToClient.GatewayCandidates {
        ToClient.GatewayCandidates(
            gateway: seat.id,
            publicKey: withKey ? seat.device.publicKey : nil,
            presharedKey: withKey ? presharedKey(with: seat) : nil,
            candidates: seat.device.candidates
        )
    }

    /// The pair's key follows from both public keys.
    func presharedKey(with seat: GatewaySeat) -> PresharedKeyText? {
        guard let one = clientDevice.publicKey?.bytes, let other = seat.device.publicKey?.bytes
        else { return nil }
        let (first, second) = (one.rawSpan.uint64(at: 0), other.rawSpan.uint64(at: 0))
        var source = RandomSource(seed: (first, second, 7, 7))
        return PresharedKeyText(bytes: source.bytes(32))
    }
}
