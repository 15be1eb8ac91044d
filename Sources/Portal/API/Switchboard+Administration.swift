internal import Control
internal import Foundation
internal import HTTPTypes
internal import Logging
internal import Policy

/// What somebody wants a token for.
struct TokenWish: Codable, Equatable {
    /// `gateway`, `relay`, `client`, `api`.
    let kind: String
    /// A site's name, an e-mail address or service account's name, or what people call it.
    let name: String
}

/// A token as it is shown once.
struct MadeToken: Codable, Equatable {
    let id: String
    let kind: String
    let name: String
    let token: String
}

/// What applying a configuration did, or would do.
struct ApplyOutcome: Codable, Equatable {
    struct Line: Codable, Equatable {
        let sign: String
        let subject: String
        let details: String
    }

    /// Whether it was done; false for a dry run, and when nothing was to be done.
    let applied: Bool
    /// The configuration's revision now.
    let revision: UInt64
    let plan: [Line]
}

/// What a portal is and how it is.
struct PortalStatus: Codable, Equatable {
    let account: String
    let url: String
    let fingerprint: String
    let instance: String
    let revision: UInt64
    let clients: Int
    let clientsOnline: Int
    let gateways: Int
    let gatewaysOnline: Int
    let relays: Int
    let relaysOnline: Int
    let leases: Int
    let resources: Int
    let policies: Int
}

extension Token.Kind {
    /// The word for it in the API.
    var word: String {
        switch self {
        case .gateway: "gateway"
        case .relay: "relay"
        case .client: "client"
        case .api: "api"
        }
    }
}

/// What administrators do, whatever they use for it.
extension Switchboard {
    var status: PortalStatus {
        PortalStatus(
            account: directory.account,
            url: url.description,
            fingerprint: (fingerprint ?? []).map { byte in
                let digits = String(byte, radix: 16)
                return digits.count == 1 ? "0" + digits : digits
            }.joined(),
            instance: instance,
            revision: revision,
            clients: directory.clients.count,
            clientsOnline: clients.count,
            gateways: directory.gateways.count,
            gatewaysOnline: gateways.count,
            relays: relays.count + relaysGone.count + directory.relays.count,
            relaysOnline: relayDesk.count,
            leases: leases.count,
            resources: directory.resources.count,
            policies: directory.policies.count
        )
    }

    /// Makes the configuration say what `wanted` says, in one transaction, or says what would be
    /// done.
    func apply(
        _ wanted: Configuration,
        by who: String,
        why: String,
        isDryRun: Bool
    ) async throws -> ApplyOutcome {
        var made: Plan?
        var revision = revision
        if isDryRun {
            made = try checkedPlan(to: wanted, from: directory)
        } else {
            revision = try await commit(by: who, why: why) { directory in
                let plan = try checkedPlan(to: wanted, from: directory)
                made = plan
                return plan.changes
            }
        }
        let warnings = await Self.warnings(of: wanted.relays ?? [])
        return ApplyOutcome(
            applied: !isDryRun && made?.isEmpty == false,
            revision: revision,
            plan: ((made?.lines ?? []) + (made?.warnings ?? [])).map(\.row) + warnings
        )
    }

    /// Which servers cannot be used as they are now; they are looked at again on a clock.
    private static func warnings(of relays: [Configuration.Relay]) async -> [ApplyOutcome.Line] {
        let relays = relays.map { relay in
            Directory.Relay(
                id: RelayID(relay.name),
                name: relay.name,
                udp: relay.udp,
                tcp: relay.tcp,
                tls: relay.tls,
                secretFile: relay.secretFile
            )
        }
        return await StockRelay.find(relays).compactMap { relay, outcome in
            guard case .unusable(let sentence) = outcome else { return nil }
            return ApplyOutcome.Line(
                sign: Plan.Line.Sign.warn.rawValue,
                subject: "relay \(relay.name)",
                details: sentence
            )
        }
    }

    /// A plan whose outcome passes the policy tests.
    private func checkedPlan(to wanted: Configuration, from directory: Directory) throws -> Plan {
        let plan = try directory.plan(to: wanted, using: &random)
        var next = directory
        try next.apply(contentsOf: plan.changes)
        let now = WallTime(.now)
        let names = next.zoneNames
        var problems: [APIError.Problem] = []
        for test in next.tests {
            let outcome = next.outcome(of: test, now: now) { ZoneTable.lookUp(names, at: $0.date) }
            guard !outcome.isPassed else { continue }
            let expected = "\(test.who) → \(test.reach) should be \(test.expect.rawValue)"
            problems.append(
                APIError.Problem(field: "tests", sentence: "\(expected): \(outcome.sentence)")
            )
        }
        guard let first = problems.first else { return plan }
        let sentence = "Nothing was changed, since a policy test failed: \(first.sentence)"
        throw APIError(
            .unprocessableContent,
            Refusal(.forbidden, .mend, sentence),
            problems: problems
        )
    }

    /// Makes a token; its secret is in the answer and nowhere else.
    func makeToken(_ wish: TokenWish, by who: String) async throws -> MadeToken {
        guard let kind = Token.Kind.allCases.first(where: { $0.word == wish.kind }) else {
            throw APIError.malformed(
                "“\(wish.kind)” is no kind of token: gateway, relay, client, api."
            )
        }
        let name = wish.name.trimmingCharacters(in: .whitespacesAndNewlines)
        guard !name.isEmpty, name.utf8.count <= DeviceTable.Limits.nameByteCount else {
            throw APIError.malformed(
                "A token needs a name: a site, an e-mail address, or what it is for."
            )
        }
        if kind == .gateway, directory.sites[named: name] == nil {
            throw APIError.notFound(
                "There is no site “\(name)”; add it with “culvert apply” first."
            )
        }
        if kind == .client, directory.actors[named: name] == nil {
            let actor = Directory.Actor(
                id: ActorID(using: &random),
                kind: name.contains("@") ? .person : .service,
                name: name
            )
            try await commit([.upsertActor(actor)], by: who, why: "token for \(name)")
        }
        let secret = Secrets.random(Token.Limits.secretByteCount)
        guard let token = Token(kind: kind, url: url, fingerprint: fingerprint, secret: secret)
        else {
            preconditionFailure("a secret and a fingerprint have 32 bytes")
        }
        let stored = StoredToken(
            id: "token-\(Secrets.randomText(9))",
            kind: String(kind.rawValue),
            hash: Secrets.hash(secret),
            name: name,
            createdAt: Date.now.timeIntervalSince1970,
            createdBy: who
        )
        try await note("made a token (\(kind.word)) for \(name)", by: who) {
            try Store.write(stored, $0)
        }
        tokens.upsert(stored)
        logger.info("token made", metadata: ["kind": "\(kind.word)", "id": "\(stored.id)"])
        return MadeToken(id: stored.id, kind: kind.word, name: name, token: token.text)
    }

    /// Ends a token, the sessions that it opened, and the leases of its clients.
    func revokeToken(_ id: String, by who: String) async throws {
        guard var token = tokens[id] else { throw APIError.notFound("There is no token \(id).") }
        guard token.revokedAt == nil else { return }
        token.revokedAt = Date.now.timeIntervalSince1970
        let revoked = token
        let words = "revoked the token (\(token.tokenKind?.word ?? "")) of \(token.name)"
        try await note(words, by: who) { try Store.write(revoked, $0) }
        tokens.upsert(revoked)
        logger.info("token revoked", metadata: ["id": "\(id)", "by": "\(who)"])
        for lease in leases.all(where: { devices[$0.client.text]?.token == id }) {
            end(lease, .revoked, Refusal.revokedToken.sentence)
        }
        for lease in leases.all(where: { devices[$0.gateway.text]?.token == id }) {
            end(lease, .revoked, "The gateway may serve no longer; another one is tried.")
        }
        endRelays(ofToken: id)
        for live in clients.values where live.token == id { refuse(live.connection, .revokedToken) }
        for live in gateways.values where live.token == id {
            refuse(live.connection, .revokedToken)
        }
    }

    /// Says whether an administrator vouches for a device.
    func setVerified(_ isVerified: Bool, client id: ClientID, by who: String) async throws -> UInt64
    {
        try await commit(by: who, why: isVerified ? "verified" : "no longer verified") {
            directory in
            guard var client = directory.clients[id] else {
                throw APIError.notFound("There is no client \(id).")
            }
            guard client.device.isVerified != isVerified else { return [] }
            client.device.isVerified = isVerified
            return [.upsertClient(client)]
        }
    }
}

extension Plan.Line {
    fileprivate var row: ApplyOutcome.Line {
        ApplyOutcome.Line(sign: sign.rawValue, subject: subject, details: details)
    }
}
