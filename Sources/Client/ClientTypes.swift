public import Bytes
public import Control
public import DNS
public import IP
public import SansIO

extension Client {
    /// What the control side and the host say to a client.
    public enum Command: Sendable {
        /// A message of the portal.
        case portal(ToClient)
        /// The session with the portal is open (its hello was sent), or gone.
        case portalConnected(Bool)
        /// The host's own nameservers, in order, asked by UDP and TCP.
        case hostResolvers([Endpoint])
        /// The host's own nameservers, in order, some of them by TLS.
        case hostUpstreams([Upstream])
        /// Zones that links of the host claim, with the links' nameservers: all of them.
        case hostZones([HostZone])
        /// Networks that the host has already inside our ranges: all of them.
        case conflicts([IPPrefix])
        /// The host's usable addresses and the port of the loop's sockets: at the start and after
        /// each change.
        case localAddresses([IPAddress], port: UInt16)
        /// An exchange ended: with an answer, or (nil) it failed at once.
        case exchangeAnswered(token: UInt64, bytes: [UInt8]?)
        /// A DNS message came on a TCP connection to a sentinel.
        case streamQuery(id: UInt64, sentinel: IPAddress, bytes: [UInt8])
        /// Whether an internet resource takes the traffic to everywhere; on at the start.
        case internetResource(isOn: Bool)
        /// The stream to a relay that ``Output/connectRelay(_:)`` asked for stands, at the loopback
        /// endpoint of its bridge; nil: it ended, and may come again.
        case relayStream(RelayID, bridge: Endpoint?)
        /// Find out whom the network lets in; ``Client/isCheckingFiltering`` says how long it
        /// takes.
        case checkFiltering
        /// A port that ``Output/port(_:)`` asked for is open, or cannot be.
        case portOpened(Bool)
        /// Our cache of nameservers' answers and the host's are to be emptied.
        case flushNames
        /// Whether answers of nameservers are kept; on at the start.
        case cache(isOn: Bool)
        /// Say goodbye to all gateways; ``Output/finished`` follows.
        case shutdown
    }

    /// A zone that a link of the host claims, as another private network's does.
    public struct HostZone: Hashable, Sendable {
        /// The zone; it and every name below it.
        public var domain: String
        /// The link's nameservers.
        public var upstreams: [Upstream]

        public init(domain: String, upstreams: [Upstream]) {
            (self.domain, self.upstreams) = (domain, upstreams)
        }

        /// One whose nameservers are asked by UDP and TCP.
        public init(domain: String, servers: [Endpoint]) {
            self.init(domain: domain, upstreams: servers.map { Upstream($0) })
        }
    }

    /// What the host must do for a client.
    public enum Output: Sendable, Equatable {
        /// Send it to the portal; dropped where there is no session.
        case toPortal(FromRole)
        /// Ask a nameserver by a datagram around the tunnel.
        case exchange(Exchange)
        /// Ask a nameserver in any other way; answered as an exchange is.
        case forward(UpstreamQuery)
        /// Append to the names log before the outbox is sent; synced to the disk where it says so.
        case persist(ProxyLogRecord)
        /// The names log is this from now on: replace the file, then append.
        case replaceNames([UInt8])
        /// Set up addresses, routes and nameservers.
        case configure(HostConfiguration)
        /// Answer on a TCP connection; nil closes it.
        case streamAnswer(id: UInt64, bytes: [UInt8]?)
        /// A relay does not answer by UDP: keep a stream to it, and say so by
        /// ``Command/relayStream(_:bridge:)``.
        case connectRelay(RelayForRole)
        /// The stream to a relay is not needed any more.
        case disconnectRelay(RelayID)
        /// Open a UDP port beside the main one, or close it.
        case port(PortRequest)
        /// Something that people may want to know.
        case event(Event)
        /// After ``Command/shutdown``: empty the outbox, then stop.
        case finished
    }

    /// What the host must set up.
    public struct HostConfiguration: Hashable, Sendable {
        /// Addresses of the tunnel device.
        public var tunnel: [IPAddress] = []
        /// Networks that go to the tunnel device, the default route among them while an internet
        /// resource is on.
        public var routes: [IPPrefix] = []
        /// Those of `routes` that addresses of ours are taken from; nothing else of the host may
        /// lie in them.
        public var ranges: [IPPrefix] = []
        /// Nameservers to be given to the host, in order.
        public var sentinels: [IPAddress] = []
        /// The search domain; nil means none.
        public var search: String?
        /// Domains whose names must reach our nameservers whatever other links claim.
        public var domains: [String] = []
        /// Whether the host's DNS caches must be emptied now.
        public var flushesCaches = false

        public init() {}
    }

    /// Something that people may want to know.
    public enum Event: Sendable, Equatable {
        /// A session with the gateway is there.
        case gatewayConnected(GatewayID)
        /// Nothing was heard of the gateway for too long.
        case gatewayLost(GatewayID)
        /// The gateway said goodbye.
        case gatewayLeft(GatewayID)
        /// The portal gave a lease.
        case authorized(ResourceID, GatewayID)
        /// The portal gave none, and why.
        case denied(ResourceID, Control.Refusal)
        /// A lease ended before its time, and why.
        case leaseEnded(ResourceID, code: String, sentence: String)
        /// New flows are to take another gateway, and why.
        case moving(ResourceID, from: GatewayID, code: Control.Refusal.Code, sentence: String)
        /// The portal ended the session, and why.
        case refused(Control.Refusal)
    }
}

/// What a client dropped or refused, and why.
public struct ClientCounters: Sendable, Equatable {
    /// Packets from the tunnel device that cannot be read.
    public var malformed: UInt64 = 0
    /// Packets to many, or to nobody.
    public var multicast: UInt64 = 0
    /// Packets whose source is not our tunnel address.
    public var wrongSource: UInt64 = 0
    /// Packets to addresses that stand for nothing.
    public var unknownDestination: UInt64 = 0
    /// Packets that a resource's filters refuse.
    public var filtered: UInt64 = 0
    /// Packets refused because of a denial.
    public var denied: UInt64 = 0
    /// Packets whose sender was told that nobody serves them.
    public var unreachable: UInt64 = 0
    /// Packets of gateways from or to addresses that they must not use.
    public var spoofed: UInt64 = 0
    /// Outputs that found no room.
    public var outputsRefused: UInt64 = 0
    /// Packets kept for a lease, a path or a name.
    public var held: UInt64 = 0
    /// Times that something was sent to a gateway and nothing was heard.
    public var distresses: UInt64 = 0
    /// Times that packets to a gateway took another path.
    public var pathChanges: UInt64 = 0
    /// Errors of gateways that made the client tell a name again, or ask for a lease again.
    public var retold: UInt64 = 0
    /// Questions for other records of protected names.
    public var siteQuestions: UInt64 = 0
    /// Those of them that could not be asked.
    public var siteRefused: UInt64 = 0
    /// Kept packets that gave way to later ones.
    public var overflowed: UInt64 = 0

    public init() {}
}
