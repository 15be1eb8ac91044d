public import Bytes
public import IP
public import SansIO

/// What the links on both sides of the translator carry, in bytes of an IP packet.
public struct PathLimits: Hashable, Sendable {
    /// The next hop towards IPv4.
    public let ipv4: Int
    /// The next hop towards IPv6; less than 1,280 counts as 1,280 (RFC 8200 5).
    public let ipv6: Int

    /// More than 65,535 bytes counts as that.
    public init(ipv4: Int = 65_535, ipv6: Int = 65_535) {
        (self.ipv4, self.ipv6) = (min(ipv4, 65_535), min(ipv6, 65_535))
    }
}

/// A packet whose headers were translated.
public struct TranslatedPacket: Hashable, Sendable {
    /// As ``PacketHeader`` reads it from the new packet; its `payloadOffset` is the number of bytes
    /// that were written, and its `payloadByteCount` that of the old packet.
    public var header: PacketHeader
    /// What is left to do for the new packet.
    public var offload: Offload
    /// Bytes of the largest piece that its way allows, when the packet must be cut, and may be:
    /// ``Fragmenter`` does. Nil when it goes as it is.
    public var pieceByteCountMax: Int?

    public init(header: PacketHeader, offload: Offload, pieceByteCountMax: Int?) {
        (self.header, self.offload) = (header, offload)
        self.pieceByteCountMax = pieceByteCountMax
    }
}

/// Translates packets between IPv4 and IPv6 (RFC 7915).
///
/// Only headers are read and written, so that a large packet costs no more than a small one; the
/// payload goes on behind the new headers as it is. Transport checksums are changed incrementally:
/// what was wrong stays wrong. Nothing is allocated, nothing traps.
public struct Translator: Sendable {
    /// Bounds of what is written.
    public enum Limits {
        /// Room for any packet's new headers: an IPv6 header, a fragment header, a TCP header.
        public static var headerByteCount: Int { 40 + 8 + 60 }
        /// Room for any ICMP error.
        public static var errorByteCount: Int { Refusal.Limits.byteCount }
        /// The minimum MTU of IPv6 (RFC 8200 5): pieces of packets that may be cut are no larger
        /// (RFC 7915 4.1).
        public static var ipv6MinimumByteCount: Int { 1280 }
        /// IPv4 packets up to this size may be cut on their way (RFC 7915 5.1).
        public static var ipv4CuttableByteCount: Int { 1260 }
    }

    var identifications: Identifications

    /// - Parameter random: Where identifications of IPv4 packets begin.
    public init(random: inout RandomSource) { identifications = Identifications(random: &random) }

    /// Writes the headers of a packet anew, in the other family.
    ///
    /// ICMP errors are refused as `untranslatableMessage`: the other function does them.
    ///
    /// - Parameters:
    ///   - headers: The packet, or its first ``PacketHeader/payloadOffset`` bytes.
    ///   - payload: What follows them; read only where a UDP checksum must be made.
    ///   - header: As read from the packet.
    ///   - offload: What the kernel left to do.
    ///   - source: Where the new packet comes from; the port counts where the packet has one, and
    ///     is the identifier of an echo request.
    ///   - destination: Where it goes; the port is the identifier of an echo reply.
    ///   - limits: What the next links carry.
    ///   - bytes: ``Limits/headerByteCount`` bytes hold any packet's headers.
    /// - Returns: The new packet.
    /// - Throws: What becomes of it instead.
    @_lifetime(bytes: copy bytes)
    public mutating func translate(
        headers: RawSpan,
        payload: RawSpan,
        header: PacketHeader,
        offload: Offload,
        from source: Endpoint,
        to destination: Endpoint,
        limits: PathLimits,
        into bytes: inout MutableRawSpan
    ) throws(TranslationError) -> TranslatedPacket {
        guard headers.byteCount >= header.payloadOffset else { throw .noRoom }
        let job = HeaderJob(
            header: header,
            offload: offload,
            source: source,
            destination: destination,
            limits: limits
        )
        guard try job.isToIPv6 else {
            return try job.translateToIPv4(headers, payload, &identifications, into: &bytes)
        }
        return try job.translateToIPv6(headers, payload, into: &bytes)
    }
}
