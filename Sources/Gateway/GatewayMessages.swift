public import Bytes
public import Control
public import IP
public import SansIO

extension Gateway {
    /// What the portal and the host say.
    public enum Command: Sendable {
        /// A message of the portal.
        case portal(ToGateway)
        /// The channel to the portal is up (after its welcome), or down.
        case portalConnected(Bool)
        /// The host's nameservers, in order, its hosts file, and what else its resolv.conf says.
        case resolvers(
            [Endpoint],
            hosts: [HostEntry],
            options: ResolverOptions = ResolverOptions()
        )
        /// Whether the host serves TCP to our own tunnel addresses at port 53, apart from its own
        /// servers, and hands the queries in by ``streamQuery(id:client:bytes:)``; no at the start.
        case servesStreams(Bool)
        /// A DNS message came on a TCP connection of the one with this tunnel address.
        case streamQuery(id: UInt64, client: IPAddress, bytes: [UInt8])
        /// The usable addresses of all interfaces but the tunnel device, and our UDP port.
        case localAddresses([IPAddress], port: UInt16)
        /// An exchange was answered, or (nil) failed at once.
        case exchangeAnswered(token: UInt64, bytes: [UInt8]?)
        /// The stream to a relay that ``Output/connectRelay(_:)`` asked for stands, at the loopback
        /// endpoint of its bridge; nil: it ended, and may come again.
        case relayStream(RelayID, bridge: Endpoint?)
        /// Whether flows that ended are told by ``Output/flows(_:)``; no at the start.
        case logsFlows(Bool)
        /// Say goodbye to everybody; ``Output/finished`` follows.
        case shutdown
    }

    /// One line of the hosts file.
    public struct HostEntry: Sendable, Equatable {
        /// The name.
        public var name: String
        /// Its addresses.
        public var addresses: [IPAddress]

        public init(name: String, addresses: [IPAddress]) {
            (self.name, self.addresses) = (name, addresses)
        }
    }

    /// What the host must do.
    public enum Output: Sendable, Equatable {
        /// Send this to the portal.
        case toPortal(FromRole)
        /// Ask a nameserver.
        case exchange(Exchange)
        /// Answer on a TCP connection; nil closes it.
        case streamAnswer(id: UInt64, bytes: [UInt8]?)
        /// Set up the tunnel device.
        case configure(HostConfiguration)
        /// A relay does not answer by UDP: keep a stream to it, and say so by
        /// ``Command/relayStream(_:bridge:)``.
        case connectRelay(RelayForRole)
        /// The stream to a relay is not needed any more.
        case disconnectRelay(RelayID)
        /// Flows that ended, for the flow log: at most once a second.
        case flows([FlowRecord])
        /// For the log and `culvert status`.
        case event(Event)
        /// Everybody was told goodbye: send the outbox and stop.
        case finished
    }

    /// What the tunnel device and the firewall need.
    public struct HostConfiguration: Sendable, Equatable {
        /// The gateway's own addresses inside the tunnel.
        public var tunnel: [IPAddress]
        /// The account's ranges: routes to clients, sources to masquerade.
        public var addresses: AddressPlan

        public init(tunnel: [IPAddress], addresses: AddressPlan) {
            (self.tunnel, self.addresses) = (tunnel, addresses)
        }
    }

    /// Something that people may want to know.
    public enum Event: Sendable, Equatable {
        /// A client may reach something from now on.
        case clientAdded(ClientID)
        /// A client's session is there.
        case clientConnected(ClientID)
        /// A client was not heard for long; it keeps its leases.
        case clientLost(ClientID)
        /// A client said that it goes.
        case clientLeft(ClientID)
        /// A client's last lease ended.
        case clientRemoved(ClientID)
        /// A lease was taken.
        case leaseGranted(LeaseID, ClientID, ResourceID)
        /// A lease was refused.
        case leaseRefused(LeaseID, ClientID, ResourceID, GrantRefusal)
        /// A lease ended.
        case leaseEnded(LeaseID, ClientID, LeaseEnd)
        /// The portal was away for longer than the site's limit: all leases ended.
        case portalAwayTooLong
    }

    /// Why a lease ended.
    public enum LeaseEnd: Sendable, Equatable {
        /// Its time was over.
        case expired
        /// The portal said so.
        case revoked(code: String, sentence: String)
        /// The portal's welcome does not list it.
        case notListed
        /// The portal was away for longer than the site's limit.
        case portalAway
        /// Its resource changed in a way that cannot be served.
        case unservable
    }

    /// Packets that went no further, and why; counts since the start.
    public struct Counters: Sendable, Equatable, Codable {
        /// Packets of clients that went on to resources.
        public var forwarded: UInt64 = 0
        /// Packets of resources that went on to clients; a large one counts once.
        public var returned: UInt64 = 0
        /// Packets that could not be read.
        public var malformed: UInt64 = 0
        /// Packets of clients with a source that is not theirs.
        public var spoofed: UInt64 = 0
        /// Packets of clients that no lease permits.
        public var prohibited: UInt64 = 0
        /// Packets to proxy addresses that stand for nothing, or for a name without addresses.
        public var unreachable: UInt64 = 0
        /// Packets of protocols that are not carried.
        public var protocols: UInt64 = 0
        /// TCP segments of connections that are not known.
        public var strays: UInt64 = 0
        /// Multicast and broadcast of clients.
        public var notUnicast: UInt64 = 0
        /// ICMP errors that quote no known flow.
        public var foreignErrors: UInt64 = 0
        /// Fragments that no packet was made of: too many, overlapping, or of no known flow.
        public var fragments: UInt64 = 0
        /// Packets that the other family of addresses cannot carry (RFC 7915).
        public var untranslatable: UInt64 = 0
        /// Packets from outside that no client asked for.
        public var unsolicited: UInt64 = 0
        /// Names frames that were not looked at, because there were too many.
        public var namesLimited: UInt64 = 0
        /// Queries for the site's own records that clients may ask for.
        public var queries: UInt64 = 0
        /// Queries for names that no lease permits.
        public var queriesRefused: UInt64 = 0
        /// Queries refused because there were too many.
        public var queriesLimited: UInt64 = 0
        /// Queries that no nameserver of the site helped with.
        public var queriesUnanswered: UInt64 = 0
        /// Packets that waited for a name.
        public var held: UInt64 = 0
        /// Packets that did not find room to wait.
        public var heldRefused: UInt64 = 0
        /// Packets and names frames that waited for a grant.
        public var early: UInt64 = 0
        /// Those that found no room to wait for it.
        public var earlyRefused: UInt64 = 0
        /// ICMP errors and resets sent.
        public var refusals: UInt64 = 0
        /// ICMP errors and resets not sent, because there were too many.
        public var refusalsLimited: UInt64 = 0
        /// Times that something was sent to a client and nothing was heard.
        public var distresses: UInt64 = 0
        /// Times that the portal asked to open the NAT for a client.
        public var punches: UInt64 = 0
        /// Packets for clients without a session.
        public var notConnected: UInt64 = 0
        /// Ended flows that are missing in the flow log, because too many ended at once.
        public var unlogged: UInt64 = 0
        /// Packets that did not fit into an empty outbox.
        public var tooLarge: UInt64 = 0

        public init() {}
    }
}
