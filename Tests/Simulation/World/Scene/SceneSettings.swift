internal import IP
internal import SansIO

/// What a seed draws before anything happens.
struct SceneSettings {
    /// The networks that the client goes between.
    var clientPlaces: [PlaceSettings]
    /// One for each gateway.
    var gatewayPlaces: [PlaceSettings]
    var relayCount: Int
    var quality: Link.Quality
    var portalDelay: Duration
    var gatewayPortalDelay: Duration
    var nameDelay: Duration
    var siteDelay: Duration
    var timeToLive: UInt32
    var leaseLifetime: Duration
    var credentialLifetime: Duration
    var absenceSeconds: UInt32
    /// Whether what is known to go wrong is left out.
    var avoidsKnown: Bool

    /// What the seed of `world` draws.
    ///
    /// - Parameters:
    ///   - world: Whose randomness is used.
    ///   - isClean: Nothing is lost on any link.
    ///   - avoidsKnown: Whether what is known to go wrong is left out.
    /// - Returns: The scene.
    static func drawn(
        in world: World,
        isClean: Bool? = nil,
        avoidsKnown: Bool = true
    ) -> SceneSettings {
        let isClean = isClean ?? world.chance(perTenThousand: 5000)
        let relayCount = Limits.hasRelays ? world.pick([1, 2, 2]) : 0
        let gatewayCount = world.pick([1, 2])
        let quality = Link.Quality(
            delay: world.between(.milliseconds(1), .milliseconds(60)),
            jitter: world.between(.zero, .milliseconds(8)),
            // Known: when all answers about a name are lost, its open connections are ended.
            loss: isClean ? 0 : world.pick(avoidsKnown ? [50, 200, 500] : [500, 1500, 3000]),
            duplication: world.pick([0, 0, 100, 1000]),
            reordering: world.pick([0, 0, 100, 1000]),
            heldUp: world.between(.milliseconds(1), .milliseconds(30))
        )
        let portalDelay = world.between(.milliseconds(1), .milliseconds(150))
        // Known: a packet through a tunnel that is there already may overtake its grant.
        let last =
            avoidsKnown
            ? min(.milliseconds(80), portalDelay + quality.delay - quality.jitter)
            : .milliseconds(80)
        return SceneSettings(
            clientPlaces: (0..<2).map { _ in clientPlace(in: world) },
            gatewayPlaces: (0..<gatewayCount).map { _ in
                Limits.hasRelays ? .gateway(in: world) : PlaceSettings()
            },
            relayCount: relayCount,
            quality: quality,
            portalDelay: portalDelay,
            gatewayPortalDelay: world.between(.zero, max(.zero, last)),
            nameDelay: world.between(.milliseconds(1), .milliseconds(60)),
            siteDelay: world.between(.microseconds(100), .milliseconds(20)),
            timeToLive: world.pick([1, 30, 300]),
            leaseLifetime: world.pick([.seconds(60), .seconds(300), .seconds(3_600)]),
            credentialLifetime: world.pick([.seconds(600), .seconds(3_600), .seconds(86_400)]),
            absenceSeconds: world.pick([60, 3_600, 86_400]),
            avoidsKnown: avoidsKnown
        )
    }

    private static func clientPlace(in world: World) -> PlaceSettings {
        var place = PlaceSettings.client(in: world)
        if !Limits.hasRelays { place.blocksUDP = false }
        return place
    }

    enum Limits {
        /// Whether the cores speak with relays.
        static let hasRelays = true
    }
}
