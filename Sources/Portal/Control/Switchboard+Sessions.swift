internal import Bytes
internal import Control
internal import Foundation
internal import IP
internal import Logging
internal import NIOCore
internal import Policy

/// Connections: who they are, what they say, how they end.
extension Switchboard {
    /// One text frame of a role.
    func receive(_ frame: ByteBuffer, from caller: RoleCaller, on connection: ControlConnection)
        async
    {
        let bytes = Array(buffer: frame)
        let message: FromRole
        do {
            try JSONDepth.check(bytes.rawSpan)
            message = try decoder.decode(FromRole.self, from: Data(bytes))
        } catch {
            metrics.count(.malformedMessages)
            return refuse(
                connection,
                Refusal(
                    .malformed,
                    .mend,
                    "The portal could not read a message: \(Self.words(error))."
                )
            )
        }
        switch (message, identities[connection.number]) {
        case (.hello(let hello), nil): await greet(hello, from: caller, on: connection)
        case (.relayHello(let hello), nil): await greet(hello, from: caller, on: connection)
        case (.unknown, _): break
        case (.hello, .some), (.relayHello, .some), (_, nil):
            refuse(
                connection,
                Refusal(.malformed, .mend, "A session opens with exactly one hello.")
            )
        case (_, .client(let id)): hear(message, from: id, on: connection)
        case (_, .gateway(let id)): hear(message, from: id, on: connection)
        case (.relayReport(let report), .relay(let id)): take(report, from: id)
        case (_, .relay): refuse(message, on: connection)
        }
    }

    private func hear(
        _ message: FromRole,
        from id: ClientID,
        on connection: ControlConnection
    ) {
        switch message {
        case .authorize(let request): authorize(request, for: id)
        case .candidates(let change): setCandidates(change.candidates, of: id)
        case .resync: welcome(id)
        case .punch(let punch): pass(punch, from: id)
        case .release(let release): take(release, from: id)
        case .relayTimes(let times): take(times, from: id.text)
        case .hello, .relayHello, .unknown, .grantAnswer, .report, .reach, .flows, .relayReport:
            refuse(message, on: connection)
        }
    }

    private func hear(
        _ message: FromRole,
        from id: GatewayID,
        on connection: ControlConnection
    ) {
        switch message {
        case .candidates(let change): setCandidates(change.candidates, of: id)
        case .resync: welcome(id)
        case .grantAnswer(let answer): take(answer, from: id)
        case .report(let report): take(report, from: id)
        case .reach(let reach): take(reach, from: id)
        case .flows(let flows): take(flows, from: id)
        case .relayTimes(let times): take(times, from: id.text)
        case .hello, .relayHello, .unknown, .authorize, .punch, .release, .relayReport:
            refuse(message, on: connection)
        }
    }

    private func refuse(_ message: FromRole, on connection: ControlConnection) {
        refuse(connection, Refusal(.malformed, .mend, "\(message.type) is not for this role."))
    }

    /// Ends a connection that has said nothing for too long.
    func closeIfSilent(_ connection: ControlConnection) {
        guard identities[connection.number] == nil, !arriving.contains("\(connection.number)")
        else {
            return
        }
        refuse(connection, Refusal(.malformed, .retry, "No hello came in time."))
    }

    /// A connection is over.
    func ended(_ connection: ControlConnection, _ ending: ControlConnection.Ending) {
        if ending == .lagging { metrics.count(.laggingConnections) }
        switch identities.removeValue(forKey: connection.number) {
        case .client(let id): clientLeft(id, connection)
        case .gateway(let id): gatewayLeft(id, connection, ending)
        case .relay(let id): relayLeft(id, connection)
        case nil: break
        }
    }

    private func greet(
        _ hello: FromRole.Hello,
        from caller: RoleCaller,
        on connection: ControlConnection
    ) async {
        guard let version = ProtocolVersion.agreed(offered: hello.versions) else {
            metrics.count(.versionMismatches)
            return refuse(connection, .versionMismatch(offered: hello.versions))
        }
        guard hello.role == caller.role.device else {
            let sentence = "The token is for a \(caller.role), and a \(hello.role) came with it."
            return refuse(connection, Refusal(.malformed, .mend, sentence))
        }
        let name: String
        do { name = try Self.name(hello.name) } catch { return refuse(connection, error) }
        let arrival = "\(caller.token.id)\u{0}\(name)"
        guard arriving.insert(arrival).inserted else {
            let sentence = "“\(name)” is just connecting elsewhere; this connection has to wait."
            return refuse(connection, Refusal(.connectedElsewhere, .retry, sentence))
        }
        arriving.insert("\(connection.number)")
        defer {
            arriving.remove(arrival)
            arriving.remove("\(connection.number)")
        }
        do {
            let device = try await enrol(hello, named: name, caller)
            try await replace(older(of: device), by: connection, named: device.name)
            try admitAgain(caller)
            arrive(device, hello, version, on: connection)
        } catch let refusal as Refusal {
            refuse(connection, refusal)
        } catch {
            logger.error("cannot take a device in", metadata: ["why": "\(error)"])
            refuse(
                connection,
                Refusal(.fault, .retryAfter, Self.words(error), retryAfterSeconds: 5)
            )
        }
    }

    /// What may have changed while the disk or an older connection was waited for.
    func admitAgain(_ caller: RoleCaller) throws(Refusal) {
        guard tokens[caller.token.id]?.revokedAt == nil else { throw .revokedToken }
        guard !isStopping else {
            throw Refusal(.stopping, .retryAfter, "The portal is stopping.", retryAfterSeconds: 1)
        }
    }

    /// A name as people gave it, without white space around it.
    static func name(_ text: String) throws(Refusal) -> String {
        let name = text.trimmingCharacters(in: .whitespacesAndNewlines)
        guard !name.isEmpty, name.utf8.count <= DeviceTable.Limits.nameByteCount else {
            let sentence =
                "The name must have 1 to \(DeviceTable.Limits.nameByteCount) bytes; use --name."
            throw Refusal(.malformed, .mend, sentence)
        }
        return name
    }

    private func older(of device: EnrolledDevice) -> ControlConnection? {
        switch device.role {
        case .client: clients[ClientID(device.id)]?.connection
        case .gateway: gateways[GatewayID(device.id)]?.connection
        }
    }

    /// The newer connection of a device wins, unless the older one proves that it is alive.
    func replace(
        _ older: ControlConnection?,
        by newer: ControlConnection,
        named name: String
    ) async throws(Refusal) {
        guard let older, older.number != newer.number else { return }
        if await older.isAlive() {
            let place = older.remote.map { " from \($0)" } ?? ""
            let since = older.openedAt.formatted(.iso8601)
            throw Refusal(
                .connectedElsewhere,
                .mend,
                "“\(name)” is connected\(place) since \(since); stop it there, or give this one "
                    + "another name with --name."
            )
        }
        older.cut()
        ended(older, .lost)
    }

    private func arrive(
        _ device: EnrolledDevice,
        _ hello: FromRole.Hello,
        _ version: ProtocolVersion,
        on connection: ControlConnection
    ) {
        let candidates = CandidateRules(plan: directory.addresses).accepted(hello.candidates)
        var device = device
        let isNewKey = device.publicKey != hello.publicKey
        let isMoved = device.candidates != candidates
        (device.publicKey, device.candidates) = (hello.publicKey, candidates)
        (device.lastSeen, device.remote) = (.now, connection.remote)
        device.software = hello.software
        device.isConnected = true
        devices.upsert(device)
        writeBehind.save(device)
        metrics.count(.sessions)
        let news: KeyText? = isNewKey ? hello.publicKey : nil
        relayDesk.seat(
            device.id,
            region: hello.region,
            isReturning: hello.instance != nil && hello.instance != instance,
            at: .now
        )
        switch device.role {
        case .client:
            if isNewKey { endStandBys(of: ClientID(device.id)) }
            arrive(
                client: device,
                candidates,
                region: hello.region,
                holding: hello.leases.map(Set.init),
                on: connection
            )
            if isNewKey || isMoved { tellGateways(of: ClientID(device.id), newKey: news) }
        case .gateway:
            arrive(gateway: device, candidates, version, region: hello.region, on: connection)
            if isNewKey || isMoved { tellClients(of: GatewayID(device.id), newKey: news) }
        }
        logger.info(
            "connected",
            metadata: ["role": "\(device.role)", "id": "\(device.id)", "version": "\(version)"]
        )
    }

    /// An error as half a sentence, without what a peer sent.
    static func words(_ error: any Error) -> String {
        switch error {
        case let error as JSONDepth.Refusal:
            switch error {
            case .tooLarge(let byteCount): return "it has \(byteCount) bytes"
            case .tooDeep(let offset): return "it nests too deep at byte \(offset)"
            }
        case DecodingError.keyNotFound(let key, _): return "“\(key.stringValue)” is missing"
        case DecodingError.typeMismatch(_, let context),
            DecodingError.valueNotFound(_, let context),
            DecodingError.dataCorrupted(let context):
            let path = context.codingPath.map(\.stringValue).joined(separator: ".")
            return path.isEmpty
                ? "it is no JSON object of a known form" : "“\(path)” cannot be read"
        case let error as StoreError: return error.sentence
        default: return "\(error)"
        }
    }
}

extension Refusal {
    /// What a role hears whose token is no longer good.
    static let revokedToken = Refusal(
        .unauthenticated,
        .signIn,
        "This token was revoked; ask an administrator for a new one."
    )
}
