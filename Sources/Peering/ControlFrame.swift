public import IP

/// What two peers say to each other inside their session, beside packets.
///
/// A frame's first byte is 0, which neither IPv4 nor IPv6 begins with; it is never forwarded to the
/// tunnel device. All are harmless when lost, repeated or overtaken: names and releases carry an
/// epoch, of which only the newest for a name counts.
public enum ControlFrame: Hashable, Sendable {
    /// Bounds of a frame.
    public enum Limits {
        /// Bytes of a frame, header included: it travels as a packet of the tunnel would.
        public static var byteCount: Int { 1280 }
        /// Bytes of a resource's identifier.
        public static var resourceByteCount: Int { 128 }
        /// Bytes of a name in text, RFC 1035 with every byte escaped.
        public static var nameByteCount: Int { 1016 }
        /// Proxy addresses of one name.
        public static var proxies: Int { 16 }
    }

    /// Either side: answer this on the path that it came by.
    case probe(number: UInt64)
    /// Either side: the probe or path frame `number` arrived.
    case probeAnswer(number: UInt64)
    /// Client: send to me where this came from; answered like a probe.
    case path(number: UInt64)
    /// Client: these proxy addresses stand for this name.
    case names(Names)
    /// Gateway: what became of a names frame.
    case namesAnswer(NamesAnswer)
    /// Client: these proxy addresses stand for nothing any more.
    case release(Release)
    /// Either side: I am going; do not wait for time-outs.
    case goodbye(Goodbye)

    /// Proxy addresses that stand for a name of an authorised resource.
    public struct Names: Hashable, Sendable {
        /// Grows with each names or release frame of the sender.
        public var epoch: UInt64
        /// The resource's identifier.
        public var resource: String
        /// The name in text form, without the final dot.
        public var name: String
        /// In the order in which they stand for the name's real addresses.
        public var proxies: [IPAddress]

        public init(epoch: UInt64, resource: String, name: String, proxies: [IPAddress]) {
            (self.epoch, self.resource, self.name) = (epoch, resource, name)
            self.proxies = proxies
        }
    }

    /// What the gateway made of a names frame.
    public struct NamesAnswer: Hashable, Sendable {
        /// The frame's epoch.
        public var epoch: UInt64
        /// The resource's identifier.
        public var resource: String
        /// The name.
        public var name: String
        /// Whether packets to its proxy addresses are served, or why not.
        public var status: Status
        /// The families in which the name has real addresses; known once active.
        public var families: Set<IPFamily>

        public init(
            epoch: UInt64,
            resource: String,
            name: String,
            status: Status,
            families: Set<IPFamily> = []
        ) {
            (self.epoch, self.resource, self.name) = (epoch, resource, name)
            (self.status, self.families) = (status, families)
        }
    }

    /// Whether a name is served.
    public enum Status: Hashable, Sendable {
        /// Packets to its proxy addresses are served.
        case active
        /// No live lease covers the resource.
        case notAuthorized
        /// The name does not match the resource's pattern.
        case nameMismatch
        /// The name has no addresses.
        case noAddresses
        /// The gateway's resolver did not answer.
        case unresolved
        /// Inactive for a reason that this version does not know.
        case other(UInt8)
    }

    /// Proxy addresses that stand for nothing any more.
    public struct Release: Hashable, Sendable {
        /// Grows with each names or release frame of the sender.
        public var epoch: UInt64
        /// The name that they stood for.
        public var name: String
        /// The addresses.
        public var proxies: [IPAddress]

        public init(epoch: UInt64, name: String, proxies: [IPAddress]) {
            (self.epoch, self.name, self.proxies) = (epoch, name, proxies)
        }
    }

    /// Why a side goes.
    public enum Goodbye: Hashable, Sendable {
        /// The process ends.
        case shutdown
        /// No lease is left between the two.
        case finished
        /// The gateway is being taken out of service.
        case draining
        /// A reason that this version does not know.
        case other(UInt8)
    }

    /// Whether `role` is the one that says such a thing.
    public func mayBeSent(by role: PeerRole) -> Bool {
        switch self {
        case .probe, .probeAnswer, .goodbye: true
        case .path, .names, .release: role == .client
        case .namesAnswer: role == .gateway
        }
    }
}
