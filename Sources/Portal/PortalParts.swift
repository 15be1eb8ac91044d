internal import Control
internal import Foundation
internal import Hummingbird
internal import Logging
internal import Policy

/// The parts of a running portal, made once at its start.
struct Portal: Sendable {
    let store: Store
    let writeBehind: WriteBehind
    let switchboard: Switchboard
    let metrics = PortalMetrics()
    let remoteAddress: RemoteAddress
    let url: PortalURL
    let signIn: SignIn
    let door: ControlDoor
    let logger: Logger

    init(
        _ start: Switchboard.Start,
        store: Store,
        configuration: PortalConfiguration,
        logger: Logger
    ) {
        (self.store, self.logger, url) = (store, logger, configuration.url)
        writeBehind = WriteBehind(store: store, logger: logger)
        remoteAddress = RemoteAddress(proxies: configuration.behindProxy)
        switchboard = Switchboard(
            start,
            store: store,
            writeBehind: writeBehind,
            metrics: metrics,
            logger: logger
        )
        signIn = SignIn(store: store, metrics: metrics)
        door = ControlDoor(
            switchboard: switchboard,
            remoteAddress: remoteAddress,
            metrics: metrics,
            heartbeat: configuration.heartbeat,
            logger: logger
        )
    }

    /// A one-time link when nobody can sign in yet.
    func firstLink() async throws(PortalStartError) -> String? {
        do {
            guard try await store.administratorCount() == 0 else { return nil }
            return try await invitation()
        } catch {
            throw .store(error)
        }
    }

    /// A link with which somebody becomes an administrator, or sets a new password.
    func invitation() async throws(StoreError) -> String {
        "\(url)/set-password/\(try await store.invite(now: .now))"
    }

    /// All routes: pages for people, the API for programs, what monitoring asks.
    var router: Router<PortalContext> {
        let router = Router(context: PortalContext.self)
        router.add(middleware: AnswerGuard(metrics: metrics))
        HealthRoutes(portal: self).add(to: router)
        APIRoutes(portal: self).add(to: router)
        WebRoutes(portal: self).add(to: router)
        return router
    }
}
