internal import Bytes
internal import Control
internal import Daemon
internal import IP
internal import Linux
internal import Logging
internal import Relay
internal import SansIO
internal import Synchronization

/// What a relay knows beside its core: its public addresses, what the portal dealt, and whether it
/// offers TLS. From it follow the core's configuration and the portal's hello.
final class RelayService: Sendable {
    /// Bounds of what is tolerated.
    enum Limits {
        /// Seconds that the wall clock may be off before the core is told.
        static var clockSeconds: UInt64 { 2 }
    }

    private struct State {
        var addresses: [IPAddress] = []
        var secrets: [String] = []
        var realm = "culvert"
        var isPortalUp = false
        var offersTLS = false
        var clock: Relay::Relay.WallClock?
    }

    private let options: RelayDaemon.Options
    private let families: [IPFamily]
    private let logger: Logger
    private let state = Mutex(State())

    init(options: RelayDaemon.Options, families: [IPFamily], logger: Logger) {
        (self.options, self.families, self.logger) = (options, families, logger)
        if case .file(let secrets, let realm) = options.authority {
            state.withLock { ($0.secrets, $0.realm) = (secrets, realm) }
        }
        readAddresses()
    }

    /// Whether the portal is connected.
    var isPortalUp: Bool {
        get { state.withLock { $0.isPortalUp } }
        set { state.withLock { $0.isPortalUp = newValue } }
    }

    /// Whether there are secrets, so that clients can be served.
    var isReady: Bool { state.withLock { !$0.secrets.isEmpty } }

    /// TLS is listened for.
    func offersTLS() { state.withLock { $0.offersTLS = true } }

    /// The portal has dealt secrets.
    func take(_ welcome: ToRelay.Welcome) {
        state.withLock {
            ($0.secrets, $0.realm, $0.isPortalUp) = (welcome.secrets, welcome.realm, true)
        }
    }

    /// Finds the addresses to lend; whether they are others than before.
    @discardableResult
    func readAddresses() -> Bool {
        let own = (try? HostNetwork.candidates(excluding: nil)) ?? []
        let found = families.compactMap { family -> IPAddress? in
            let given = options.publicAddresses.first { $0.family == family }
            if let given { return given }
            // Who names one family's address means that it lends no other.
            guard options.publicAddresses.isEmpty else { return nil }
            let listened = options.listen.addresses
            let usable = own.filter {
                $0.family == family && (listened.isEmpty || listened.contains($0))
            }
            return usable.first { !$0.isPrivate } ?? usable.first
        }
        let isChanged = state.withLock { state in
            defer { state.addresses = found }
            return state.addresses != found
        }
        guard isChanged else { return false }
        let text = found.map(\.description).joined(separator: ", ")
        if found.isEmpty {
            logger.warning("no address to lend was found; name one with --public-address")
        } else if options.publicAddresses.isEmpty, found.contains(where: \.isPrivate) {
            logger.warning(
                """
                lending \(text), found on this machine; if the world sees it at another address, \
                name that with --public-address
                """
            )
        } else {
            logger.info("lending addresses", ["addresses": text])
        }
        return true
    }

    /// Whether the wall clock was set since the core was told of it.
    var isClockOff: Bool {
        guard let known = state.withLock({ $0.clock }) else { return false }
        let fresh = Self.readClock()
        let passed = known.instant.duration(to: fresh.instant).components.seconds
        let expected = known.unixSeconds &+ UInt64(clamping: passed)
        let distance = max(expected, fresh.unixSeconds) - min(expected, fresh.unixSeconds)
        return distance > Limits.clockSeconds
    }

    private static func readClock() -> Relay::Relay.WallClock {
        Relay::Relay.WallClock(
            unixSeconds: UInt64(clamping: SystemClock.wall().seconds),
            at: SystemClock.now()
        )
    }

    /// What the core is told now.
    func configuration() -> Relay::Relay.Configuration {
        let own = (try? HostNetwork.candidates(excluding: nil)) ?? []
        let clock = Self.readClock()
        let known = state.withLock { state in
            state.clock = clock
            return state
        }
        let lent = { (family: IPFamily) -> Relay::Relay.LentAddress? in
            known.addresses.first { $0.family == family }.map {
                Relay::Relay.LentAddress($0, localAddress: self.source(for: $0, own))
            }
        }
        return Relay::Relay.Configuration(
            realm: known.realm,
            secrets: known.secrets,
            wallClock: clock,
            port: options.listen.port,
            ports: options.ports,
            ipv4: lent(.ipv4),
            ipv6: lent(.ipv6),
            allowedPeers: options.allowed,
            quotas: .init(allocations: options.allocationQuota)
        )
    }

    /// Which address of the host relayed datagrams leave from; nil for the kernel's choice.
    private func source(for address: IPAddress, _ own: [IPAddress]) -> IPAddress? {
        if own.contains(address) { return address }
        let listened = options.listen.addresses.filter {
            $0.family == address.family && !$0.isUnspecified
        }
        return listened.count == 1 ? listened.first : nil
    }

    /// How the portal tells others to reach this relay.
    func hello() -> FromRole.RelayHello {
        let (addresses, offersTLS) = state.withLock { ($0.addresses, $0.offersTLS) }
        let tls = offersTLS ? options.tls : nil
        let endpoints = { (port: UInt16) in addresses.map { Endpoint($0, port: port) } }
        return FromRole.RelayHello(
            name: options.name,
            software: Software.version,
            udp: endpoints(options.listen.port),
            tcp: endpoints(options.listen.port),
            tls: tls.map { endpoints($0.listen.port) } ?? [],
            tlsFingerprint: tls?.certificate.fingerprintText,
            tlsName: tls?.name,
            region: options.region
        )
    }
}

extension IPAddress {
    /// Of a network that the internet does not route: RFC 1918, RFC 6598, RFC 4193.
    fileprivate var isPrivate: Bool {
        guard isIPv4 else { return high >> 57 == 0xfc >> 1 }
        return ipv4 >> 24 == 10 || ipv4 >> 20 == 0xac1 || ipv4 >> 16 == 0xc0a8
            || ipv4 >> 22 == 0x6440 >> 6
    }
}
