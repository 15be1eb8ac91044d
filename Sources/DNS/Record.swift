public import IP

/// A resource record (RFC 1035 section 4.1.3); OPT is not one of them here, see ``EDNS``.
public struct Record: Hashable, Sendable {
    /// Where it stands.
    public var name: Name
    /// Its class.
    public var recordClass: RecordClass
    /// Seconds it may be kept.
    public var timeToLive: UInt32
    /// Its type and data.
    public var data: RecordData

    public init(
        _ name: Name,
        timeToLive: UInt32,
        _ data: RecordData,
        recordClass: RecordClass = .internet
    ) {
        (self.name, self.timeToLive, self.data) = (name, timeToLive, data)
        self.recordClass = recordClass
    }

    /// Its type.
    public var type: RecordType { data.type }
}

/// The start of a zone's authority (RFC 1035 section 3.3.13).
public struct StartOfAuthority: Hashable, Sendable {
    /// The first server (MNAME).
    public var server: Name
    /// The mailbox of who is responsible, as a name (RNAME).
    public var mailbox: Name
    /// The zone's version.
    public var serial: UInt32
    /// Seconds between the checks of secondary servers.
    public var refresh: UInt32
    /// Seconds before such a check is tried again.
    public var retry: UInt32
    /// Seconds after which an unchecked copy is no authority.
    public var expire: UInt32
    /// Seconds that the absence of a name may be kept (RFC 2308 section 4).
    public var minimum: UInt32

    public init(
        server: Name,
        mailbox: Name,
        serial: UInt32,
        refresh: UInt32,
        retry: UInt32,
        expire: UInt32,
        minimum: UInt32
    ) {
        (self.server, self.mailbox, self.serial) = (server, mailbox, serial)
        (self.refresh, self.retry, self.expire) = (refresh, retry, expire)
        self.minimum = minimum
    }
}

/// One parameter of a service binding (RFC 9460 section 2.2).
public struct ServiceParameter: Hashable, Sendable {
    /// Which one: 1 ALPN, 3 port, 4 IPv4 hints, 6 IPv6 hints …
    public var key: UInt16
    /// Its value, as it travels.
    public var value: [UInt8]

    public init(key: UInt16, value: [UInt8]) { (self.key, self.value) = (key, value) }
}

/// The data of a record, by type.
public enum RecordData: Hashable, Sendable {
    /// An IPv4 address.
    case a(IPAddress)
    /// An IPv6 address.
    case aaaa(IPAddress)
    /// The name that this name is another word for.
    case cname(Name)
    /// A server of the zone.
    case ns(Name)
    /// A name that this name, mostly an address, points to.
    case ptr(Name)
    /// A mail server.
    case mx(preference: UInt16, Name)
    /// Texts of at most 255 bytes each.
    case txt([[UInt8]])
    /// A server of a service (RFC 2782).
    case srv(priority: UInt16, weight: UInt16, port: UInt16, Name)
    /// The start of a zone's authority.
    case soa(StartOfAuthority)
    /// Who may issue certificates (RFC 8659).
    case caa(flags: UInt8, tag: [UInt8], value: [UInt8])
    /// A service binding (RFC 9460).
    case svcb(priority: UInt16, target: Name, [ServiceParameter])
    /// The same for HTTPS.
    case https(priority: UInt16, target: Name, [ServiceParameter])
    /// Processor and system; the answer to ANY of RFC 8482 section 4.2.
    case hinfo(processor: [UInt8], system: [UInt8])
    /// Any other type, names in it decompressed.
    case other(RecordType, [UInt8])

    /// The type.
    public var type: RecordType {
        switch self {
        case .a: .a
        case .aaaa: .aaaa
        case .cname: .cname
        case .ns: .ns
        case .ptr: .ptr
        case .mx: .mx
        case .txt: .txt
        case .srv: .srv
        case .soa: .soa
        case .caa: .caa
        case .svcb: .svcb
        case .https: .https
        case .hinfo: .hinfo
        case .other(let type, _): type
        }
    }

    /// The address of an A or AAAA record.
    public var address: IPAddress? {
        switch self {
        case .a(let address), .aaaa(let address): address
        default: nil
        }
    }
}
