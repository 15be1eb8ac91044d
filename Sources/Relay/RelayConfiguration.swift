public import IP
public import SansIO

extension Relay {
    /// What a relay is told: by its command line, and by the portal.
    public struct Configuration: Sendable, Equatable {
        /// The realm of credentials; short, because it stands in answers to strangers.
        public var realm: String
        /// The secrets that passwords are made with: any of them counts, so that they can be
        /// changed without a gap. None: requests with credentials are answered 500 for now.
        public var secrets: [String]
        /// The wall clock at one instant, against which the time in a user name is held.
        public var wallClock: WallClock
        /// The port that clients come to; datagrams to it are told apart from relayed ones.
        public var port: UInt16
        /// The ports of relayed addresses, the main one excepted.
        public var ports: ClosedRange<UInt16>
        /// The IPv4 address to lend; nil: none.
        public var ipv4: LentAddress?
        /// The IPv6 address to lend; nil: none.
        public var ipv6: LentAddress?
        /// Networks that may be relayed to although they are private, loopback or the like. The
        /// most specific network decides: a wide one opens nothing that is refused by itself.
        public var allowedPeers: [IPPrefix]
        /// How much a credential and a source may use.
        public var quotas: Quotas

        public init(
            realm: String = "culvert",
            secrets: [String] = [],
            wallClock: WallClock,
            port: UInt16 = 3_478,
            ports: ClosedRange<UInt16> = 49_152...65_535,
            ipv4: LentAddress? = nil,
            ipv6: LentAddress? = nil,
            allowedPeers: [IPPrefix] = [],
            quotas: Quotas = Quotas()
        ) {
            (self.realm, self.secrets, self.wallClock) = (realm, secrets, wallClock)
            (self.port, self.ports) = (port, ports)
            (self.ipv4, self.ipv6) = (ipv4, ipv6)
            (self.allowedPeers, self.quotas) = (allowedPeers, quotas)
        }

        /// The address of a family.
        func lent(_ family: IPFamily) -> LentAddress? { family == .ipv4 ? ipv4 : ipv6 }

        /// The public address of a family.
        func publicAddress(_ family: IPFamily) -> IPAddress? { lent(family)?.publicAddress }
    }

    /// An address that relayed addresses are made of.
    public struct LentAddress: Sendable, Equatable {
        /// What peers see: it stands in XOR-RELAYED-ADDRESS.
        public var publicAddress: IPAddress
        /// What relayed datagrams are sent from, where a cloud translates it one to one; nil: the
        /// kernel's choice.
        public var localAddress: IPAddress?

        public init(_ publicAddress: IPAddress, localAddress: IPAddress? = nil) {
            (self.publicAddress, self.localAddress) = (publicAddress, localAddress)
        }
    }

    /// The wall clock at one instant.
    public struct WallClock: Sendable, Equatable {
        /// Seconds since 1970 at `instant`.
        public var unixSeconds: UInt64
        /// When it was read.
        public var instant: Instant

        public init(unixSeconds: UInt64, at instant: Instant) {
            (self.unixSeconds, self.instant) = (unixSeconds, instant)
        }

        /// Seconds since 1970 at `now`.
        func seconds(at now: Instant) -> UInt64 {
            let passed = instant.duration(to: now).components.seconds
            return passed < 0
                ? unixSeconds - min(unixSeconds, passed.magnitude)
                : unixSeconds.addingReportingOverflow(UInt64(passed)).partialValue
        }
    }

    /// How much one credential, by the name in it, and one source may use.
    public struct Quotas: Sendable, Equatable {
        /// Allocations of a credential at a time.
        public var allocations: Int
        /// Bytes a second that are relayed for a credential, both ways together; nil: any number.
        /// A second's worth may come at once; less than 64 KiB counts as 64 KiB.
        public var bytesPerSecond: Int?
        /// Datagrams a second, likewise; nil: any number.
        public var packetsPerSecond: Int?
        /// Requests a second from one source address; twice as many may come at once.
        public var requestsPerSecond: Int

        public init(
            allocations: Int = 16,
            bytesPerSecond: Int? = nil,
            packetsPerSecond: Int? = nil,
            requestsPerSecond: Int = 1_000
        ) {
            (self.allocations, self.requestsPerSecond) = (allocations, requestsPerSecond)
            (self.bytesPerSecond, self.packetsPerSecond) = (bytesPerSecond, packetsPerSecond)
        }
    }
}
