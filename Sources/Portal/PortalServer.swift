internal import Control
internal import Foundation
internal import Glibc
internal import GRDB
internal import Hummingbird
internal import HummingbirdCore
internal import IP
public import Logging
internal import NIOCore
internal import Policy
public import ServiceLifecycle
internal import Synchronization

/// What a portal says once it serves.
public struct PortalReady: Sendable {
    /// The TCP ports, in the order of ``PortalConfiguration/listen``.
    public let ports: [Int]
    /// Where commands of this machine go.
    public let socketPath: String
    /// SHA-256 of the authority that roles trust.
    public let fingerprint: [UInt8]
    /// The one-time link for the first administrator; nil when there is one.
    public let firstLink: String?
}

/// A portal as a service: serves until it is stopped, and says in words why it cannot.
public struct PortalServer: Service {
    /// How often certificates are renewed and old activity is forgotten.
    private static let housekeeping = Duration.seconds(6 * 3_600)

    private let configuration: PortalConfiguration
    private let logger: Logger
    private let onReady: @Sendable (PortalReady) -> Void

    /// A portal that calls `onReady` once, when every address is listened on.
    public init(
        configuration: PortalConfiguration,
        logger: Logger,
        onReady: @escaping @Sendable (PortalReady) -> Void = { _ in }
    ) {
        (self.configuration, self.logger, self.onReady) = (configuration, logger, onReady)
    }

    /// Serves until a graceful shutdown.
    ///
    /// - Throws: ``PortalStartError``, whose sentence is for people.
    public func run() async throws {
        let addresses = try configuration.listen.map { text throws(PortalStartError) in
            try ListenAddress(text)
        }
        let folder = try openFolder()
        let identity = try openIdentity(addresses, folder)
        let store = try openStore()
        defer { store.close() }
        let portal = try await load(store, identity)
        let writer = Task { await portal.writeBehind.run() }
        await portal.switchboard.careForRelays()
        await portal.switchboard.awaitGateways()
        do {
            try await serve(portal, addresses, identity)
        } catch {
            portal.writeBehind.finish()
            await writer.value
            throw error
        }
        portal.writeBehind.finish()
        await writer.value
        await portal.switchboard.saveFinalSnapshot()
    }

    private func openFolder() throws(PortalStartError) -> StateFolder {
        do {
            return try StateFolder(path: configuration.stateFolder)
        } catch {
            throw .folder(error)
        }
    }

    private func openIdentity(
        _ addresses: [ListenAddress],
        _ folder: StateFolder
    ) throws(PortalStartError) -> ServerIdentity {
        let source: ServerIdentity.Source
        switch (configuration.certificate, configuration.key) {
        case (let certificate?, let key?): source = .files(certificate: certificate, key: key)
        case (nil, nil):
            let hosts = [configuration.url.host] + addresses.compactMap(\.certificateName)
            let local = ["localhost", "127.0.0.1", "::1"]
            source = .ownAuthority(ServerNames(hosts + configuration.names + local))
        default: throw .onlyOneOfCertificateAndKey
        }
        do {
            return try ServerIdentity(source: source, folder: folder, now: .now)
        } catch {
            throw .authority(error)
        }
    }

    private func openStore() throws(PortalStartError) -> Store {
        let folder = configuration.database ?? configuration.stateFolder
        guard !folder.contains("://") else { throw .databaseNotSupported(folder) }
        do {
            return try Store(path: StateFolder(path: folder).path(of: "portal.sqlite"))
        } catch let error as StoreError {
            throw .store(error)
        } catch let error as StateFolderError {
            throw .folder(error)
        } catch {
            throw .store(StoreError(error, path: folder))
        }
    }

    private func load(_ store: Store, _ identity: ServerIdentity) async throws -> Portal {
        do {
            let settings = try await store.loadSettings()
            let log = try await store.loadChanges()
            var directory = Directory(portal: configuration.url)
            try directory.apply(contentsOf: log.changes)
            let start = Switchboard.Start(
                directory: directory,
                revision: log.revision,
                snapshot: log.snapshot,
                tokens: try await store.loadTokens(),
                devices: try await store.loadDevices(),
                leases: try await store.loadLeases(now: .now),
                settings: settings,
                url: configuration.url,
                fingerprint: identity.fingerprint,
                heartbeat: configuration.heartbeat,
                busyHeartbeat: configuration.busyHeartbeat,
                relayLifetime: configuration.relayPasswordLifetime / .seconds(1),
                arrivalsMax: configuration.arrivalsMax,
                gatewayReturnTime: configuration.gatewayReturnTime
            )
            return Portal(start, store: store, configuration: configuration, logger: logger)
        } catch let error as StoreError {
            throw PortalStartError.store(error)
        } catch let error as ChangeError {
            throw PortalStartError.unreadableConfiguration(reason: error.sentence)
        } catch {
            throw PortalStartError.unreadableConfiguration(reason: "\(error)")
        }
    }

    private func serve(
        _ portal: Portal,
        _ addresses: [ListenAddress],
        _ identity: ServerIdentity
    ) async throws {
        let link = try await portal.firstLink()
        let ports = Mutex<[Int?]>(Array(repeating: nil, count: addresses.count + 1))
        let announce: @Sendable (Int, Int) -> Void = { [onReady, configuration] place, port in
            let all = ports.withLock { ports -> [Int]? in
                ports[place] = port
                let known = ports.compactMap(\.self)
                return known.count == ports.count ? Array(known.dropLast()) : nil
            }
            guard let all else { return }
            onReady(
                PortalReady(
                    ports: all,
                    socketPath: configuration.socketPath,
                    fingerprint: identity.fingerprint,
                    firstLink: link
                )
            )
        }
        let ending = ServerLog.Ending()
        try await withGracefulShutdownHandler {
            try await withThrowingTaskGroup(of: Void.self) { group in
                for (place, address) in addresses.enumerated() {
                    let bind = BindAddress.hostname(address.host, port: address.port)
                    group.addTask {
                        let text = configuration.listen[place]
                        do {
                            try await run(portal, bind, text, identity, ending) {
                                announce(place, $0)
                            }
                        } catch PortalStartError.noSuchAddress where address.host == "::" {
                            let bind = BindAddress.hostname("0.0.0.0", port: address.port)
                            try await run(portal, bind, text, identity, ending) {
                                announce(place, $0)
                            }
                        }
                    }
                }
                group.addTask {
                    let path = configuration.socketPath
                    try await run(portal, .unixDomainSocket(path: path), path, nil, ending) { _ in
                        announce(addresses.count, 0)
                    }
                }
                group.addTask {
                    await cancelWhenGracefulShutdown { await keepHouse(portal, identity) }
                }
                while try await group.next() != nil {}
            }
        } onGracefulShutdown: {
            ending.begin()
            Task { await portal.switchboard.stop() }
        }
    }

    private func run(
        _ portal: Portal,
        _ address: BindAddress,
        _ text: String,
        _ identity: ServerIdentity?,
        _ ending: ServerLog.Ending,
        onPort: @escaping @Sendable (Int) -> Void
    ) async throws {
        let application = Application(
            router: portal.router,
            server: HTTPServerBuilder { responder in
                UpgradableChannel(responder: responder, door: portal.door, identity: identity)
            },
            configuration: ApplicationConfiguration(address: address, serverName: nil),
            onServerRunning: { channel in
                if identity == nil { Self.restrict(text) }
                onPort(channel.localAddress?.port ?? 0)
            },
            logger: ServerLog.logger(logger, until: ending)
        )
        do {
            try await application.run()
        } catch {
            ending.begin()
            throw PortalStartError(error, listening: text)
        }
    }

    /// Commands of this machine are for root and the portal's own user.
    private static func restrict(_ socket: String) {
        try? FileManager.default.setAttributes([.posixPermissions: 0o600], ofItemAtPath: socket)
    }

    private func keepHouse(_ portal: Portal, _ identity: ServerIdentity) async {
        while !Task.isCancelled {
            do {
                try identity.renew(now: .now)
                try await portal.store.pruneActivity(now: .now)
                try await portal.store.pruneFlows(now: .now)
            } catch {
                if Task.isCancelled { return }
                logger.warning("housekeeping failed", metadata: ["why": "\(error)"])
            }
            try? await Task.sleep(for: Self.housekeeping)
        }
    }
}

extension PortalStartError {
    /// What an error of a server's start means.
    init(_ error: any Error, listening text: String) {
        if let error = error as? PortalStartError {
            self = error
            return
        }
        switch (error as? IOError)?.errnoCode {
        case EADDRINUSE: self = .portTaken(text)
        case EACCES, EPERM: self = .portNotAllowed(text)
        case EAFNOSUPPORT, EADDRNOTAVAIL: self = .noSuchAddress(text)
        default: self = .cannotListen(text, reason: "\(error)")
        }
    }
}
