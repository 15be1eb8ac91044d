internal import Control
internal import Foundation
internal import IP
internal import Logging
internal import NIOCore
internal import Policy

/// The portal's memory and its ordering: who is connected, what is configured, which leases are
/// live.
///
/// Every message and every change passes through it, one at a time, so that what one gateway is
/// told is told in order. Decisions are made from memory without waiting; only changes and the
/// arrival of unknown devices wait for the disk.
actor Switchboard {
    /// Bounds of leases and sessions.
    enum Limits {
        /// The longest life of a lease without a review, in seconds; a site may allow less.
        static let leaseSeconds = 86_400.0
        /// The share of a lease's life after which it is extended.
        static let extensionShare = 0.5
        /// The longest sleep before leases are looked at, since the wall clock may be set.
        static let sweepSeconds = 30.0
        /// Endings that wait for one client that is away.
        static let missedEndings = 256
        /// How long a site may be without a gateway before its clients are told.
        static let offlineGrace = Duration.seconds(5)
        /// How long a stand-by lease lives, in seconds.
        static let standBySeconds = 600.0
        /// Between two requests of a client to be probed by one gateway.
        static let punchInterval = Duration.milliseconds(200)
        /// The longest that somebody is told to wait, in seconds.
        static let waitSeconds: UInt32 = 30
        /// Connections for each second that somebody is told to wait, so that they do not all come
        /// back at once.
        static let returnsPerSecond = 100
        /// Leases that one message to a gateway ends.
        static let revokedAtOnce = 4_096
        /// Characters of what a gateway says of a resource.
        static let sentenceCount = 256
    }

    /// What a switchboard starts from.
    struct Start: Sendable {
        let directory: Directory
        let revision: UInt64
        let snapshot: UInt64
        let tokens: [StoredToken]
        let devices: [EnrolledDevice]
        let leases: [LeaseRecord]
        let settings: Settings
        let url: PortalURL
        let fingerprint: [UInt8]?
        let heartbeat: Duration
        let busyHeartbeat: Duration
        var relayLifetime = RelayDesk.Limits.lifetime
        var arrivalsMax = 512
        var gatewayReturnTime = Duration.seconds(15)
    }

    let store: Store
    let writeBehind: WriteBehind
    let metrics: PortalMetrics
    let logger: Logger
    /// This run; revisions of another one do not compare.
    let instance = Secrets.randomText(9)
    let url: PortalURL
    let fingerprint: [UInt8]?
    let keys: PresharedKeys
    let heartbeat: Duration
    let busyHeartbeat: Duration
    let relayKeys: RelayKeys
    /// Connections that may be saying hello at once.
    let arrivalsMax: Int
    /// How long gateways that were here before are waited for.
    let gatewayReturnTime: Duration
    let encoder = JSONEncoder()
    let decoder = JSONDecoder()

    var directory: Directory
    var withheld: WithheldIndex
    var revision: UInt64
    var snapshotRevision: UInt64
    var tokens: TokenTable
    var devices: DeviceTable
    var addresses: TunnelAddresses
    var leases = LeaseTable()
    var clients: [ClientID: LiveClient] = [:]
    var gateways: [GatewayID: LiveGateway] = [:]
    var relays: [RelayID: LiveRelay] = [:]
    /// Relays that were here since the portal started, and are not now.
    var relaysGone: [RelayID: GoneRelay] = [:]
    var relayDesk: RelayDesk
    /// Why a server of the configuration cannot be dealt.
    var stockProblems: [RelayID: String] = [:]
    var stockLookUpAt = Date.distantPast
    /// When relays are looked at next, and the task that does so.
    var relayCareAt = Date.distantFuture
    var relayCareTask: Task<Void, Never>?
    var identities: [UInt64: LiveIdentity] = [:]
    /// Devices whose hello is being worked on; a second one of the same has to wait.
    var arriving: Set<String> = []
    var sitesShownOnline: Set<SiteID> = []
    var gatewayReturn: GatewayReturn
    var reach = ReachTable()
    var zones = ZoneTable()
    var random = SystemRandomNumberGenerator()
    var isStopping = false
    /// Endings of leases that their client has not heard of, since it was away.
    var missed: [ClientID: [ToClient.LeaseEnded]] = [:]
    /// When leases are looked at next, and the task that does so.
    var sweepAt = Date.distantFuture
    var sweepTask: Task<Void, Never>?
    var orderCount: UInt64 = 0
    private var connectionCount: UInt64 = 0
    private var isCommitting = false
    private var committers: [CheckedContinuation<Void, Never>] = []

    init(
        _ start: Start,
        store: Store,
        writeBehind: WriteBehind,
        metrics: PortalMetrics,
        logger: Logger
    ) {
        (self.store, self.writeBehind) = (store, writeBehind)
        (self.metrics, self.logger) = (metrics, logger)
        (url, fingerprint) = (start.url, start.fingerprint)
        (heartbeat, busyHeartbeat) = (start.heartbeat, start.busyHeartbeat)
        keys = PresharedKeys(secret: start.settings.secret, account: start.settings.account)
        relayKeys = RelayKeys(secret: start.settings.secret, account: start.settings.account)
        relayDesk = RelayDesk(keys: relayKeys, lifetime: start.relayLifetime, startedAt: .now)
        arrivalsMax = start.arrivalsMax
        gatewayReturnTime = start.gatewayReturnTime
        gatewayReturn = GatewayReturn(start.devices, start.leases, start.directory)
        (directory, revision, snapshotRevision) = (start.directory, start.revision, start.snapshot)
        withheld = WithheldIndex(salt: keys.withheldSalt, start.directory)
        tokens = TokenTable(start.tokens)
        devices = DeviceTable(start.devices)
        addresses = TunnelAddresses(
            taken: start.directory.clients.flatMap(\.tunnel)
                + start.directory.gateways.flatMap(\.tunnel)
        )
        for lease in start.leases { leases.upsert(lease) }
        encoder.outputFormatting = .withoutEscapingSlashes
    }

    func nextConnectionNumber() -> UInt64 {
        connectionCount += 1
        return connectionCount
    }

    /// The token of a secret, revoked or not; nil for a stranger's.
    func token(secret: [UInt8]) -> StoredToken? { tokens.token(secret: secret) }

    /// Runs one change of the configuration at a time, in the order of arrival.
    func exclusively<Value: Sendable>(_ work: () async throws -> Value) async rethrows -> Value {
        if isCommitting {
            await withCheckedContinuation { committers.append($0) }
        }
        isCommitting = true
        defer {
            if committers.isEmpty {
                isCommitting = false
            } else {
                committers.removeFirst().resume()
            }
        }
        return try await work()
    }

    /// Says a message on a connection.
    func send(_ message: ToClient, to client: LiveClient) { write(message, on: client.connection) }

    /// Says a message on a connection.
    func send(_ message: ToGateway, to gateway: LiveGateway) {
        write(message, on: gateway.connection)
    }

    /// Says a message on a connection.
    func send(_ message: ToRelay, to relay: LiveRelay) { write(message, on: relay.connection) }

    /// How long somebody who connects now has to wait; nil means not at all.
    var overloadSeconds: UInt32? {
        guard arriving.count >= 2 * arrivalsMax else { return nil }
        metrics.count(.shedConnections)
        return UInt32.random(in: 1...Limits.waitSeconds / 3, using: &random)
    }

    /// Ends a session, saying why.
    func refuse(_ connection: ControlConnection, _ refusal: Refusal) {
        write(ToClient.refusal(refusal), on: connection)
        connection.close(ControlConnection.CloseCode.policyViolation)
    }

    private func write(_ message: some ControlMessage, on connection: ControlConnection) {
        do {
            connection.send(String(decoding: try encoder.encode(message), as: UTF8.self))
        } catch {
            logger.error("cannot write a message", metadata: ["type": "\(message.type)"])
        }
    }

    /// Ends every session: the portal stops, and they are to come back.
    func stop() {
        isStopping = true
        let connections =
            clients.values.map(\.connection) + gateways.values.map(\.connection)
            + relays.values.map(\.connection)
        let longest = UInt32(1 + connections.count / Limits.returnsPerSecond)
        for connection in connections {
            let refusal = Refusal(
                .stopping,
                .retryAfter,
                "The portal is stopping; leases live on, and the connection comes back by itself.",
                retryAfterSeconds: .random(in: 1...min(longest, Limits.waitSeconds), using: &random)
            )
            write(ToClient.refusal(refusal), on: connection)
            connection.close(ControlConnection.CloseCode.goingAway)
        }
    }
}
