internal import Bytes
internal import Control
internal import Foundation
internal import IP
internal import Logging
internal import Policy

/// Relays: as sessions, as servers of the configuration, and as what everybody else is dealt.
extension Switchboard {
    /// Takes a relay in.
    func greet(
        _ hello: FromRole.RelayHello,
        from caller: RoleCaller,
        on connection: ControlConnection
    ) async {
        do throws(Refusal) {
            var hello = hello
            hello.name = try Self.name(hello.name)
            let facts = try check(hello, from: caller)
            guard arriving.insert(facts.id.text).inserted else {
                let sentence = "“\(hello.name)” is just connecting elsewhere; this one has to wait."
                throw Refusal(.connectedElsewhere, .retry, sentence)
            }
            arriving.insert("\(connection.number)")
            defer {
                arriving.remove(facts.id.text)
                arriving.remove("\(connection.number)")
            }
            try await replace(relays[facts.id]?.connection, by: connection, named: hello.name)
            try admitAgain(caller)
            arrive(facts, hello, caller, on: connection)
        } catch {
            refuse(connection, error)
        }
    }

    /// What a relay says of itself, as it may be dealt.
    private func check(
        _ hello: FromRole.RelayHello,
        from caller: RoleCaller
    ) throws(Refusal) -> RelayFacts {
        guard ProtocolVersion.agreed(offered: hello.versions) != nil else {
            metrics.count(.versionMismatches)
            throw .versionMismatch(offered: hello.versions)
        }
        guard caller.role == .relay else {
            let sentence = "The token is for a \(caller.role), and a relay came with it."
            throw Refusal(.malformed, .mend, sentence)
        }
        let (udp, tcp, tls) = (
            Self.reachable(hello.udp), Self.reachable(hello.tcp), Self.reachable(hello.tls)
        )
        guard !udp.isEmpty || !tcp.isEmpty || !tls.isEmpty else {
            throw Refusal(
                .malformed,
                .mend,
                "The relay names no address at which others could reach it; use --public-address."
            )
        }
        return RelayFacts(
            id: relayKeys.relay(token: caller.token.id, name: hello.name),
            udp: udp,
            tcp: tcp,
            tls: tls,
            tlsFingerprint: hello.tlsFingerprint,
            tlsName: hello.tlsName,
            region: hello.region,
            secret: .derived
        )
    }

    private static func reachable(_ endpoints: [Endpoint]) -> [Endpoint] {
        endpoints.filter { $0.port > 0 && CandidateRules.isReachable($0.address) }
    }

    private func arrive(
        _ facts: RelayFacts,
        _ hello: FromRole.RelayHello,
        _ caller: RoleCaller,
        on connection: ControlConnection
    ) {
        relays[facts.id] = LiveRelay(
            id: facts.id,
            name: hello.name,
            software: hello.software,
            connection: connection,
            token: caller.token.id,
            toldAt: .now
        )
        relaysGone[facts.id] = nil
        identities[connection.number] = .relay(facts.id)
        metrics.count(.sessions)
        tellSecrets(facts.id, at: .now)
        relayDesk.set(facts)
        deal()
        logger.info("connected", metadata: ["role": "relay", "id": "\(facts.id)"])
    }

    private func tellSecrets(_ id: RelayID, at now: Date) {
        guard let relay = relays[id] else { return }
        relays[id]?.toldAt = now
        let welcome = ToRelay.Welcome(
            instance: instance,
            relay: id,
            realm: url.host,
            secrets: relayKeys.secrets(of: id, at: now),
            heartbeatSeconds: UInt32(max(1, heartbeat.components.seconds))
        )
        send(.welcome(welcome), to: relay)
        scheduleRelayCare(at: RelayKeys.nextRotation(after: now))
    }

    /// A relay's connection is over: it counts as gone at once, and whoever had it gets another.
    func relayLeft(_ id: RelayID, _ connection: ControlConnection) {
        guard let relay = relays[id], relay.connection.number == connection.number else { return }
        relays[id] = nil
        relaysGone[id] = GoneRelay(relay, relayDesk[id])
        relayDesk.remove(id)
        deal()
    }

    /// Ends the relays that came with a token.
    func endRelays(ofToken token: String) {
        for relay in relays.values.filter({ $0.token == token }).sorted(by: { $0.id < $1.id }) {
            refuse(relay.connection, .revokedToken)
            relayLeft(relay.id, relay.connection)
        }
        relaysGone = relaysGone.filter { $0.value.token != token }
    }

    func take(_ report: FromRole.RelayReport, from id: RelayID) {
        relays[id]?.allocations = report.allocations
    }

    // MARK: - Dealing

    /// Tells everybody whose list is another one now, or whose passwords end soon, and nobody else.
    func deal(at now: Date = .now) {
        for role in relayDesk.seated {
            guard let list = relayDesk.news(for: role, at: now) else { continue }
            if let client = clients[ClientID(role)] {
                send(.relays(RelayList(relays: list)), to: client)
            } else if let gateway = gateways[GatewayID(role)] {
                send(.relays(RelayList(relays: list)), to: gateway)
            }
        }
        scheduleRelayCare(at: relayDesk.nextRenewal)
    }

    /// The relays for a welcome; nil where it keeps what it has.
    func relaysForWelcome(_ role: String, at now: Date = .now) -> [RelayForRole]? {
        let list = relayDesk.list(for: role, at: now)
        scheduleRelayCare(at: list == nil ? relayDesk.settledAt : relayDesk.nextRenewal)
        return list
    }

    func take(_ times: FromRole.RelayTimes, from role: String) {
        relayDesk.heard(times.times, from: role)
        deal()
    }

    // MARK: - What is due

    /// Sees to a look at relays at `date` at the latest.
    func scheduleRelayCare(at date: Date) {
        let capped = min(date, Date.now.addingTimeInterval(Limits.sweepSeconds))
        guard capped < relayCareAt, !isStopping else { return }
        relayCareTask?.cancel()
        relayCareAt = capped
        relayCareTask = Task {
            do {
                try await Task.sleep(for: .seconds(max(0, capped.timeIntervalSinceNow)))
                careForRelays()
            } catch {}
        }
    }

    /// Renews passwords and secrets that end soon, and looks stock relays up again.
    func careForRelays(at now: Date = .now) {
        relayCareAt = .distantFuture
        for relay in relays.values.sorted(by: { $0.id < $1.id })
        where RelayKeys.nextRotation(after: relay.toldAt) <= now {
            tellSecrets(relay.id, at: now)
        }
        deal(at: now)
        if now >= stockLookUpAt {
            stockLookUpAt = now.addingTimeInterval(StockRelay.Limits.interval)
            Task { await lookUpStockRelays() }
        }
        let rotation = RelayKeys.nextRotation(after: now)
        let settled = now < relayDesk.settledAt ? relayDesk.settledAt : rotation
        scheduleRelayCare(at: min(stockLookUpAt, relayDesk.nextRenewal, settled))
    }

    /// Looks up where the configuration's servers are now. One that was found before stays dealt
    /// as it was while it cannot be found, since a nameserver may fail for a while.
    func lookUpStockRelays() async {
        let relays = directory.relays.sorted { $0.id < $1.id }
        for (relay, outcome) in await StockRelay.find(relays) {
            guard directory.relays[relay.id] == relay else { continue }
            switch outcome {
            case .found(let facts):
                relayDesk.set(facts)
                stockProblems[relay.id] = nil
            case .unusable(let sentence):
                stockProblems[relay.id] = sentence
                logger.warning("relay unusable", metadata: ["relay": "\(relay.name)"])
            }
        }
        deal()
    }

    /// Servers of the configuration are others: those that went are dealt no more, at once.
    func changeStockRelays(before: Directory) {
        for relay in before.relays where directory.relays[relay.id] != relay {
            relayDesk.remove(relay.id)
            stockProblems[relay.id] = nil
        }
        deal()
        Task { await lookUpStockRelays() }
    }
}

/// A relay that was connected and is not now.
struct GoneRelay {
    let name: String
    let token: String
    let software: String
    let lastSeen = Date.now
    let facts: RelayFacts?

    init(_ relay: LiveRelay, _ facts: RelayFacts?) {
        (name, token, software) = (relay.name, relay.token, relay.software)
        self.facts = facts
    }
}
