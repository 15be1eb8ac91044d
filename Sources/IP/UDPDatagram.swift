internal import Bytes

/// A borrowed view of a UDP datagram (RFC 768). Once made, no accessor can trap.
public struct UDPDatagram: ~Escapable {
    public static var headerByteCount: Int { 8 }

    /// Header and payload, cut to the length field.
    public let bytes: RawSpan

    @_lifetime(copy bytes)
    public init(_ bytes: RawSpan) throws(PacketError) {
        guard bytes.byteCount >= Self.headerByteCount else {
            throw .truncated(available: bytes.byteCount, need: Self.headerByteCount)
        }
        let length = Int(bytes.uint16(at: 4))
        guard length >= Self.headerByteCount, length <= bytes.byteCount else {
            throw .badLength(field: length, available: bytes.byteCount)
        }
        self.bytes = bytes.extracting(first: length)
    }

    public var sourcePort: UInt16 { bytes.uint16(at: 0) }
    public var destinationPort: UInt16 { bytes.uint16(at: 2) }
    /// Zero means that the sender made none.
    public var checksum: UInt16 { bytes.uint16(at: 6) }

    /// What follows the header; lives as long as the buffer.
    public var payload: RawSpan {
        @_lifetime(copy self)
        get { bytes.extracting(droppingFirst: Self.headerByteCount) }
    }
}

/// The header of a UDP datagram that we write.
public struct UDPHeader: Hashable, Sendable {
    public var sourcePort: UInt16
    public var destinationPort: UInt16

    public init(sourcePort: UInt16, destinationPort: UInt16) {
        (self.sourcePort, self.destinationPort) = (sourcePort, destinationPort)
    }

    /// Bytes of the header.
    public var byteCount: Int { 8 }

    /// Writes the header to the start of `bytes`, which are the whole datagram, and the checksum
    /// over all of it; false when the header has no room or the datagram is too long.
    @_lifetime(bytes: copy bytes)
    public func write(into bytes: inout MutableRawSpan, under header: IPHeader) -> Bool {
        guard (byteCount...0xffff).contains(bytes.byteCount) else { return false }
        bytes.store(sourcePort, at: 0)
        bytes.store(destinationPort, at: 2)
        bytes.store(UInt16(bytes.byteCount), at: 4)
        bytes.store(UInt16(0), at: 6)
        var checksum = header.pseudoHeader(byteCount: bytes.byteCount)
        checksum.add(bytes.bytes)
        bytes.store(checksum.fieldForUDP, at: 6)
        return true
    }
}
