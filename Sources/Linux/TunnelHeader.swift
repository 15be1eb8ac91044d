internal import Bytes

/// The kernel's header before each packet of the tunnel device (struct virtio_net_hdr).
enum TunnelHeader {
    /// Bytes of the header.
    static var byteCount: Int { 10 }

    private static var flagNeedsChecksum: UInt8 { 1 }
    private static var typeNone: UInt8 { 0 }
    private static var typeTCPv4: UInt8 { 1 }
    private static var typeTCPv6: UInt8 { 4 }
    private static var typeUDP: UInt8 { 5 }
    /// The first segment alone carries CWR (RFC 3168 6.1.2); a modifier of the TCP types.
    private static var typeECN: UInt8 { 0x80 }

    /// What the header says about the packet that follows; nil for a header that makes no sense.
    ///
    /// The kernel's own header length is a hint (it may count payload), so ours comes from the
    /// packet.
    static func offload(_ header: RawSpan, packet: RawSpan) -> Offload? {
        let needsChecksum = header.byte(at: 0) & flagNeedsChecksum != 0
        let start = Int(header.nativeUInt16(at: 6))
        let offset = Int(header.nativeUInt16(at: 8))
        if needsChecksum, start + offset + 2 > packet.byteCount { return nil }
        let segmentation: Offload.Segmentation
        switch header.byte(at: 1) & ~typeECN {
        case typeNone: segmentation = .none
        case typeTCPv4: segmentation = .tcpIPv4
        case typeTCPv6: segmentation = .tcpIPv6
        case typeUDP: segmentation = .udp
        default: return nil
        }
        var offload = Offload.none
        offload.needsChecksum = needsChecksum
        (offload.checksumStart, offload.checksumOffset) = needsChecksum ? (start, offset) : (0, 0)
        guard segmentation != .none else { return offload }
        let transport = segmentation == .udp ? 8 : 20
        guard needsChecksum, start + transport <= packet.byteCount else { return nil }
        offload.segmentation = segmentation
        offload.headerByteCount =
            start + (segmentation == .udp ? 8 : Int(packet.byte(at: start + 12) >> 4) * 4)
        offload.segmentByteCount = Int(header.nativeUInt16(at: 4))
        guard offload.segmentByteCount > 0, offload.headerByteCount >= start + transport,
            offload.headerByteCount < packet.byteCount
        else { return nil }
        return offload
    }

    /// Writes the header for a packet with `offload`.
    static func write(_ offload: Offload, to header: inout InlineArray<5, UInt16>) {
        let type =
            switch offload.segmentation {
            case .none: typeNone
            case .tcpIPv4: typeTCPv4
            case .tcpIPv6: typeTCPv6
            case .udp: typeUDP
            }
        let flags = offload.needsChecksum ? flagNeedsChecksum : 0
        header[0] = UInt16(littleEndian: UInt16(type) << 8 | UInt16(flags))
        let isLarge = offload.segmentation != .none
        header[1] = isLarge ? UInt16(truncatingIfNeeded: offload.headerByteCount) : 0
        header[2] = isLarge ? UInt16(truncatingIfNeeded: offload.segmentByteCount) : 0
        let needsChecksum = offload.needsChecksum
        header[3] = needsChecksum ? UInt16(truncatingIfNeeded: offload.checksumStart) : 0
        header[4] = needsChecksum ? UInt16(truncatingIfNeeded: offload.checksumOffset) : 0
    }
}

extension RawSpan {
    /// The 16-bit integer at `offset` in this machine's byte order.
    func nativeUInt16(at offset: Int) -> UInt16 {
        unsafe unsafeLoadUnaligned(fromByteOffset: offset, as: UInt16.self)
    }

    /// The 32-bit integer at `offset` in this machine's byte order.
    func nativeUInt32(at offset: Int) -> UInt32 {
        unsafe unsafeLoadUnaligned(fromByteOffset: offset, as: UInt32.self)
    }
}
