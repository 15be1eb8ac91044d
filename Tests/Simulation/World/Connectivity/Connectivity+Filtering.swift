internal import Client
internal import RelayUse
internal import SansIO

/// What `culvert netcheck` says of the filter that a client is behind.
extension Connectivity {
    /// How long a check may take.
    private static var filteringTime: Duration { .seconds(8) }

    /// Checks it in one kind of network.
    ///
    /// - Parameter kind: Which of ``kinds`` the client is in.
    /// - Returns: What was found for IPv4 and IPv6; nil for no result, or a kind that is none.
    public static func filtering(in kind: String) -> (ipv4: String?, ipv6: String?)? {
        guard let client = NetworkKind.all.first(where: { $0.name == kind }) else { return nil }
        let world = World(seed: 1, isTracing: false)
        var settings = SceneSettings.calm(client.place, NetworkKind.all[0].place)
        settings.relayCount = 2
        let scene = Scene(world, settings)
        scene.start()
        world.run(until: world.now.advanced(by: Limits.preparation))
        scene.client.machine?.handle(.checkFiltering)
        world.run(until: world.now.advanced(by: filteringTime))
        guard world.failure == nil, let client = scene.client.machine,
            !client.machine.isCheckingFiltering
        else { return nil }
        let found = client.machine.filterings
        return (found.ipv4?.rawValue, found.ipv6?.rawValue)
    }
}
