public import Control
public import IP

/// An identity provider.
public typealias ProviderID = Identifier<ProviderTag>
/// See ``ProviderID``.
public enum ProviderTag: Sendable {}

/// What must be true for a policy to allow; every part that is there must be.
public struct Conditions: Hashable, Sendable, Codable {
    /// Bounds.
    public enum Limits {
        /// Prefixes, countries, providers or systems in one list.
        public static var entries: Int { 1_024 }
    }

    /// The remote address lies in one of these; empty means anywhere.
    public var from: [IPPrefix] = []
    /// The remote address lies in none of these.
    public var notFrom: [IPPrefix] = []
    /// The remote address is of one of these countries (ISO 3166, two letters); empty means any.
    public var countries: [String] = []
    /// The remote address is of a known country, and none of these.
    public var notCountries: [String] = []
    /// It is time.
    public var hours: Hours?
    /// The person signed in through one of these; empty means any way.
    public var providers: [ProviderID] = []
    /// An administrator has verified the client.
    public var verified = false
    /// The client's program is new enough.
    public var version: VersionRequirement?
    /// The client's system is one of these; empty means any.
    public var systems: [String] = []

    public init() {}

    /// Whether nothing is asked for.
    public var isEmpty: Bool { self == Conditions() }
}

/// The kinds of conditions, by the stable words that messages use.
public enum ConditionKind: String, Sendable, Hashable, CaseIterable {
    case remoteAddress = "remote-address"
    case country = "country"
    case hours = "hours"
    case provider = "provider"
    case verified = "verified"
    case clientVersion = "client-version"
    case clientSystem = "client-os"
}

/// What conditions look at, apart from the client itself.
public struct Context: Sendable {
    /// Where the client's connection to the portal comes from; nil means unknown.
    public var remote: IPAddress?
    /// The country of `remote` (ISO 3166, two letters); nil means unknown.
    public var country: String?
    /// How the person signed in; nil means with a password or a token.
    public var provider: ProviderID?
    /// The wall clock.
    public var now: WallTime
    /// The clocks of the zones that policies name.
    public var zones: ZoneOffsets

    public init(
        now: WallTime,
        remote: IPAddress? = nil,
        country: String? = nil,
        provider: ProviderID? = nil,
        zones: ZoneOffsets = ZoneOffsets()
    ) {
        (self.now, self.remote, self.country) = (now, remote, country)
        (self.provider, self.zones) = (provider, zones)
    }
}

/// What conditions look at in a client.
public struct Device: Hashable, Sendable, Codable {
    /// An administrator has verified it.
    public var isVerified: Bool
    /// Its program's version; nil means unknown.
    public var version: SoftwareVersion?
    /// Its operating system, such as `linux`; nil means unknown.
    public var system: String?

    public init(
        isVerified: Bool = false,
        version: SoftwareVersion? = nil,
        system: String? = nil
    ) {
        (self.isVerified, self.version, self.system) = (isVerified, version, system)
    }
}

extension Conditions {
    /// Whether all is true.
    public func hold(for device: Device, in context: Context) -> Bool {
        holdsRemoteAddress(in: context) && holdsCountry(in: context) && holdsHours(in: context)
            && holdsProvider(in: context) && (!verified || device.isVerified)
            && holdsVersion(of: device) && holdsSystem(of: device)
    }

    /// Whether the part `kind` is true; one that asks for nothing is.
    ///
    /// What is not known is not true: an unknown country is neither in nor outside of any list.
    public func holds(_ kind: ConditionKind, for device: Device, in context: Context) -> Bool {
        switch kind {
        case .remoteAddress: holdsRemoteAddress(in: context)
        case .country: holdsCountry(in: context)
        case .hours: holdsHours(in: context)
        case .provider: holdsProvider(in: context)
        case .verified: !verified || device.isVerified
        case .clientVersion: holdsVersion(of: device)
        case .clientSystem: holdsSystem(of: device)
        }
    }

    private func holdsRemoteAddress(in context: Context) -> Bool {
        if from.isEmpty && notFrom.isEmpty { return true }
        guard let remote = context.remote else { return false }
        return (from.isEmpty || from.contains { $0.contains(remote) })
            && !notFrom.contains { $0.contains(remote) }
    }

    private func holdsCountry(in context: Context) -> Bool {
        if countries.isEmpty && notCountries.isEmpty { return true }
        guard let country = context.country else { return false }
        return (countries.isEmpty || countries.contains(country))
            && !notCountries.contains(country)
    }

    private func holdsHours(in context: Context) -> Bool {
        guard let hours else { return true }
        guard let zone = context.zones[hours.zone] else { return false }
        return hours.contains(context.now, in: zone)
    }

    private func holdsProvider(in context: Context) -> Bool {
        if providers.isEmpty { return true }
        guard let provider = context.provider else { return false }
        return providers.contains(provider)
    }

    private func holdsVersion(of device: Device) -> Bool {
        guard let version else { return true }
        return device.version.map(version.admits) ?? false
    }

    private func holdsSystem(of device: Device) -> Bool {
        if systems.isEmpty { return true }
        guard let system = device.system else { return false }
        return systems.contains(system)
    }

    /// When what holds now ends to hold by the clock alone; nil means never.
    func end(in context: Context) -> WallTime? {
        guard let hours, let zone = context.zones[hours.zone] else { return nil }
        return hours.nextChange(after: context.now, in: zone)
    }
}
