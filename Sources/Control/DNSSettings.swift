/// Which nameservers the stub resolver of a client forwards to.
public struct DNSSettings: Hashable, Sendable, Codable {
    /// Nameservers of one zone.
    public struct Zone: Hashable, Sendable, Codable, ListElement {
        /// The zone; it and every name below it.
        public var name: String
        /// Whom to ask, as in ``DNSSettings/upstreams``.
        public var upstreams: [String]

        public init(name: String, upstreams: [String]) {
            (self.name, self.upstreams) = (name, upstreams)
        }
    }

    /// `ip[:port]`, `tls://host[:port]` or `https://host/path`; empty means the host's own.
    public var upstreams: [String]
    /// Zones with nameservers of their own.
    public var zones: [Zone]
    /// The search domain; nil means none.
    public var search: String?

    public init(upstreams: [String] = [], zones: [Zone] = [], search: String? = nil) {
        (self.upstreams, self.zones, self.search) = (upstreams, zones, search)
    }
}
