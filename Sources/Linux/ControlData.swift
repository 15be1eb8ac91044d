internal import Bytes
internal import CLinux
internal import Glibc
internal import IP

/// What travels beside a datagram (struct cmsghdr): local address, ECN, segment size.
///
/// Each item is a header of 16 bytes (length with header, level, type) and its value, padded to 8.
enum ControlData {
    private static var headerByteCount: Int { 16 }
    /// Bytes of all items that a send can have, padded.
    static var sendByteCountMax: Int { 40 + 24 + 24 }

    /// Reads what the kernel says about a received datagram.
    static func read(_ control: UnsafeRawBufferPointer, into packet: inout Batch.Packet) {
        var at = 0
        while at + headerByteCount <= control.count {
            let length = unsafe control.loadUnaligned(fromByteOffset: at, as: Int.self)
            guard length >= headerByteCount, length <= control.count - at else { return }
            let level = unsafe control.loadUnaligned(fromByteOffset: at + 8, as: Int32.self)
            let type = unsafe control.loadUnaligned(fromByteOffset: at + 12, as: Int32.self)
            let value = unsafe UnsafeRawBufferPointer(
                rebasing: control[at + headerByteCount..<at + length]
            )
            unsafe read(level, type, value, into: &packet)
            at += (length + 7) & ~7
        }
    }

    private static func read(
        _ level: Int32,
        _ type: Int32,
        _ value: UnsafeRawBufferPointer,
        into packet: inout Batch.Packet
    ) {
        switch (level, type) {
        case (Int32(IPPROTO_UDP), culvert_UDP_GRO) where value.count >= 4:
            packet.segmentByteCount = unsafe max(0, Int(value.loadUnaligned(as: Int32.self)))
        case (Int32(IPPROTO_IP), IP_TOS) where value.count >= 1:
            packet.ecn = unsafe value[0] & 3
        case (Int32(IPPROTO_IPV6), IPV6_TCLASS) where value.count >= 4:
            packet.ecn = unsafe UInt8(truncatingIfNeeded: value.loadUnaligned(as: Int32.self)) & 3
        case (Int32(IPPROTO_IP), IP_PKTINFO) where value.count >= 12:
            let address = unsafe value.loadUnaligned(fromByteOffset: 8, as: UInt32.self)
            let local = IPAddress(ipv4: UInt32(bigEndian: address))
            (packet.local.high, packet.local.low) = (local.high, local.low)
        case (Int32(IPPROTO_IPV6), culvert_IPV6_PKTINFO) where value.count >= 20:
            let high = unsafe value.loadUnaligned(as: UInt64.self)
            let low = unsafe value.loadUnaligned(fromByteOffset: 8, as: UInt64.self)
            packet.local.high = UInt64(bigEndian: high)
            packet.local.low = UInt64(bigEndian: low)
        default: break
        }
    }

    /// Writes what a send needs.
    ///
    /// - Parameters:
    ///   - local: The source address; left to the kernel when unspecified or of the other family.
    ///   - ecn: The two ECN bits.
    ///   - segmentByteCount: 0 for a single datagram.
    ///   - isIPv4: The socket's family.
    ///   - control: Has room for all of it.
    /// - Returns: The bytes written, which may be none.
    static func write(
        local: Endpoint,
        ecn: UInt8,
        segmentByteCount: Int,
        isIPv4: Bool,
        to control: UnsafeMutableRawPointer
    ) -> Int {
        var at = 0
        if local.high != 0 || local.low != 0, local.address.isIPv4 == isIPv4 {
            let level = Int32(isIPv4 ? IPPROTO_IP : IPPROTO_IPV6)
            let type = isIPv4 ? IP_PKTINFO : culvert_IPV6_PKTINFO
            let byteCount = isIPv4 ? 12 : 20
            let value = unsafe item(level, type, byteCount, &at, control)
            unsafe value.initializeMemory(as: UInt8.self, repeating: 0, count: byteCount)
            if isIPv4 {
                let address = local.address.ipv4.bigEndian
                unsafe value.storeBytes(of: address, toByteOffset: 4, as: UInt32.self)
            } else {
                unsafe value.storeBytes(of: local.high.bigEndian, as: UInt64.self)
                unsafe value.storeBytes(of: local.low.bigEndian, toByteOffset: 8, as: UInt64.self)
            }
        }
        if ecn != 0 {
            let level = Int32(isIPv4 ? IPPROTO_IP : IPPROTO_IPV6)
            let value = unsafe item(level, isIPv4 ? IP_TOS : IPV6_TCLASS, 4, &at, control)
            unsafe value.storeBytes(of: Int32(ecn), as: Int32.self)
        }
        if segmentByteCount > 0 {
            let value = unsafe item(Int32(IPPROTO_UDP), culvert_UDP_SEGMENT, 2, &at, control)
            unsafe value.storeBytes(of: UInt16(segmentByteCount), as: UInt16.self)
        }
        return at
    }

    /// Writes an item's header at `at`, moves `at` behind the item, returns where its value goes.
    private static func item(
        _ level: Int32,
        _ type: Int32,
        _ byteCount: Int,
        _ at: inout Int,
        _ control: UnsafeMutableRawPointer
    ) -> UnsafeMutableRawPointer {
        let header = unsafe control + at
        unsafe header.storeBytes(of: headerByteCount + byteCount, as: Int.self)
        unsafe header.storeBytes(of: level, toByteOffset: 8, as: Int32.self)
        unsafe header.storeBytes(of: type, toByteOffset: 12, as: Int32.self)
        at += headerByteCount + (byteCount + 7) & ~7
        return unsafe header + headerByteCount
    }
}
