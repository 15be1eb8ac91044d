internal import Bytes

/// The header of an IP packet that we write, of the family that the addresses have.
///
/// Two addresses of different families make an IPv6 packet with a mapped address.
public struct IPHeader: Hashable, Sendable {
    public var source: IPAddress
    public var destination: IPAddress
    public var transportProtocol: TransportProtocol
    public var hopLimit: UInt8
    /// DSCP and ECN.
    public var trafficClass: UInt8
    /// IPv4 only.
    public var identification: UInt16
    /// IPv4 only.
    public var dontFragment: Bool
    /// IPv6 only; 20 bits.
    public var flowLabel: UInt32

    public init(
        from source: IPAddress,
        to destination: IPAddress,
        transportProtocol: TransportProtocol = .udp,
        hopLimit: UInt8 = 64,
        trafficClass: UInt8 = 0,
        identification: UInt16 = 0,
        dontFragment: Bool = true,
        flowLabel: UInt32 = 0
    ) {
        (self.source, self.destination) = (source, destination)
        self.transportProtocol = transportProtocol
        self.hopLimit = hopLimit
        self.trafficClass = trafficClass
        self.identification = identification
        self.dontFragment = dontFragment
        self.flowLabel = flowLabel
    }

    public var family: IPFamily { source.isIPv4 && destination.isIPv4 ? .ipv4 : .ipv6 }

    /// Bytes of the header: 20 or 40.
    public var byteCount: Int { family == .ipv4 ? 20 : 40 }

    /// Writes the header to the start of `bytes`, checksum included; false when it has no room or
    /// the payload is too long for the length field.
    @_lifetime(bytes: copy bytes)
    public func write(into bytes: inout MutableRawSpan, payloadByteCount: Int) -> Bool {
        guard bytes.byteCount >= byteCount, payloadByteCount >= 0 else { return false }
        switch family {
        case .ipv4:
            guard payloadByteCount <= 0xffff - 20 else { return false }
            writeIPv4(into: &bytes, totalByteCount: UInt16(payloadByteCount + 20))
        case .ipv6:
            guard payloadByteCount <= 0xffff else { return false }
            writeIPv6(into: &bytes, payloadByteCount: UInt16(payloadByteCount))
        }
        return true
    }

    @_lifetime(bytes: copy bytes)
    private func writeIPv4(into bytes: inout MutableRawSpan, totalByteCount: UInt16) {
        bytes.store(UInt8(0x45), at: 0)
        bytes.store(trafficClass, at: 1)
        bytes.store(totalByteCount, at: 2)
        bytes.store(identification, at: 4)
        bytes.store(UInt16(dontFragment ? 0x4000 : 0), at: 6)
        bytes.store(hopLimit, at: 8)
        bytes.store(transportProtocol.rawValue, at: 9)
        bytes.store(UInt16(0), at: 10)
        bytes.store(source.ipv4, at: 12)
        bytes.store(destination.ipv4, at: 16)
        bytes.store(~Checksum.sum(bytes.bytes.extracting(first: 20)), at: 10)
    }

    @_lifetime(bytes: copy bytes)
    private func writeIPv6(into bytes: inout MutableRawSpan, payloadByteCount: UInt16) {
        let first = 6 << 28 | UInt32(trafficClass) << 20 | flowLabel & 0xf_ffff
        bytes.store(first, at: 0)
        bytes.store(payloadByteCount, at: 4)
        bytes.store(transportProtocol.rawValue, at: 6)
        bytes.store(hopLimit, at: 7)
        bytes.store(source.high, at: 8)
        bytes.store(source.low, at: 16)
        bytes.store(destination.high, at: 24)
        bytes.store(destination.low, at: 32)
    }

    /// The sum that a transport checksum starts with.
    func pseudoHeader(byteCount: Int) -> Checksum {
        Checksum(
            pseudoHeaderOf: transportProtocol,
            source: source,
            destination: destination,
            byteCount: byteCount
        )
    }
}
