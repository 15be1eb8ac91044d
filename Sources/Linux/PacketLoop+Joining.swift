internal import Bytes
internal import CLinux
internal import Glibc
internal import IP
internal import SansIO

/// Which datagrams of one outbox go to the tunnel device together, as one large packet that the
/// kernel cuts again (USO): those of one flow and one size, the last perhaps smaller, whose
/// checksums are the kernel's to make. Many answers to one socket then take one way through the
/// host's stack.
///
/// The order within a flow stays; between flows it may change.
struct DatagramGroups {
    enum Limits {
        /// Flows that are open at a time; the one opened first makes room for another.
        static var flows: Int { 16 }
        /// UDP_MAX_SEGMENTS of Linux before 6.9.
        static var datagrams: Int { 64 }
        /// Bytes of a large packet; the IPv4 total length is 16 bits.
        static var byteCount: Int { 65_535 }
    }

    private struct Group {
        let first: Int
        var last: Int
        var count = 1
        /// Bytes of the large packet.
        var byteCount: Int
        /// Payload bytes of each datagram but the last.
        let segmentByteCount: Int
    }

    private var groups: [Group] = []
    /// Where the next group goes when all are in use.
    private var hand = 0
    /// The packet that follows each in its group; -1 for none.
    private var followers = [Int](repeating: -1, count: Outbox.Limits.entries)
    private var isFollower = [Bool](repeating: false, count: Outbox.Limits.entries)

    /// Looks at all tunnel packets of `outbox`.
    mutating func find(in outbox: borrowing Outbox) {
        groups.removeAll(keepingCapacity: true)
        hand = 0
        for index in 0..<outbox.tunnelPacketCount {
            (followers[index], isFollower[index]) = (-1, false)
            let offload = outbox.tunnelPacket(index).offload
            guard offload.needsChecksum, offload.segmentation == .none else { continue }
            let packet = outbox.bytes(ofTunnelPacket: index)
            let start = offload.checksumStart
            guard Self.isDatagram(packet, start) else { continue }
            let group = groups.firstIndex { group in
                Self.isOneFlow(outbox.bytes(ofTunnelPacket: group.first), packet, start)
            }
            add(index, packet.byteCount, header: start + 8, to: group)
        }
    }

    private mutating func add(_ index: Int, _ byteCount: Int, header: Int, to group: Int?) {
        let payload = byteCount - header
        let new = Group(first: index, last: index, byteCount: byteCount, segmentByteCount: payload)
        guard let group else {
            if groups.count < Limits.flows {
                groups.append(new)
            } else {
                groups[hand] = new
                hand = (hand + 1) % Limits.flows
            }
            return
        }
        let open = groups[group]
        let isFull = open.byteCount - header == open.count * open.segmentByteCount
        guard isFull, payload <= open.segmentByteCount, open.count < Limits.datagrams,
            open.byteCount + payload <= Limits.byteCount
        else {
            groups[group] = new
            return
        }
        followers[open.last] = index
        isFollower[index] = true
        groups[group].last = index
        groups[group].count += 1
        groups[group].byteCount += payload
    }

    /// Whether the packet leaves with one before it.
    func follows(_ index: Int) -> Bool { isFollower[index] }

    /// The packet that leaves with this one, right behind it; nil for none.
    func follower(of index: Int) -> Int? { followers[index] < 0 ? nil : followers[index] }

    /// Whether it is a whole datagram, in a packet without options, that has a payload.
    private static func isDatagram(_ packet: RawSpan, _ start: Int) -> Bool {
        guard start == 20 || start == 40, packet.byteCount > start + 8 else { return false }
        guard Int(packet.uint16(at: start + 4)) == packet.byteCount - start else { return false }
        return start == 20
            ? packet.byte(at: 0) == 0x45 && packet.byte(at: 9) == 17
            : packet.byte(at: 0) >> 4 == 6 && packet.byte(at: 6) == 17
    }

    /// Whether two datagrams differ in lengths, identification and checksums at most.
    private static func isOneFlow(_ one: RawSpan, _ other: RawSpan, _ start: Int) -> Bool {
        guard one.uint32(at: start) == other.uint32(at: start),
            one.uint16(at: 0) == other.uint16(at: 0)
        else { return false }
        if start == 20 {
            return one.uint32(at: 6) == other.uint32(at: 6)
                && one.uint64(at: 12) == other.uint64(at: 12)
        }
        return one.uint32(at: 0) == other.uint32(at: 0)
            && one.uint16(at: 6) == other.uint16(at: 6)
            && one.uint64(at: 8) == other.uint64(at: 8)
            && one.uint64(at: 16) == other.uint64(at: 16)
            && one.uint64(at: 24) == other.uint64(at: 24)
            && one.uint64(at: 32) == other.uint64(at: 32)
    }

    /// Makes the head of the first datagram that of a large packet of `byteCount` bytes.
    @_lifetime(head: copy head)
    static func widen(_ head: inout MutableRawSpan, start: Int, byteCount: Int) {
        if start == 20 {
            head.store(UInt16(byteCount), at: 2)
            head.store(UInt16(0), at: 10)
            head.store(~Checksum.sum(head.bytes.extracting(first: 20)), at: 10)
        } else {
            head.store(UInt16(byteCount - 40), at: 4)
        }
        head.store(UInt16(byteCount - start), at: start + 4)
        var sum = Checksum()
        sum.add(head.bytes.extracting(start == 20 ? 12..<20 : 8..<40))
        sum.add(UInt16(17))
        sum.add(UInt16(byteCount - start))
        head.store(sum.folded, at: start + 6)
    }
}

extension PacketLoop where Machine: ~Copyable {
    /// Whether datagrams may leave to the tunnel device together.
    var joinsDatagrams: Bool {
        !cutsTunnelPackets && tunnel?.offloads.contains(.udp) ?? false
    }

    /// Writes the packet and those that leave with it, singly where the kernel does not take them
    /// together.
    func writeGroup(_ first: Int) {
        var total = outbox.tunnelPacket(first).range.count
        var count = 1
        let start = outbox.tunnelPacket(first).offload.checksumStart
        var next = groups.follower(of: first)
        while let index = next {
            total += outbox.tunnelPacket(index).range.count - start - 8
            count += 1
            next = groups.follower(of: index)
        }
        let code = writeTogether(first, count: count, byteCount: total)
        guard code == EINVAL else {
            if code == 0 {
                counters.tunnelPacketsWritten += 1
                counters.tunnelBytesWritten += UInt64(total)
                counters.tunnelDatagramsJoined += UInt64(count)
            } else {
                counters.tunnelWriteDrops += UInt64(count)
            }
            return
        }
        if !cutsTunnelPackets { onNote(.cutsTunnelPackets) }
        cutsTunnelPackets = true
        next = first
        while let index = next {
            writeTunnelPacket(index)
            next = groups.follower(of: index)
        }
    }

    /// Returns 0 or the errno.
    private func writeTogether(_ first: Int, count: Int, byteCount: Int) -> Int32 {
        var offload = outbox.tunnelPacket(first).offload
        let start = offload.checksumStart
        offload.segmentation = .udp
        offload.headerByteCount = start + 8
        offload.segmentByteCount = outbox.tunnelPacket(first).range.count - start - 8
        Self.widen(
            outbox.bytes(ofTunnelPacket: first),
            start: start,
            byteCount: byteCount,
            into: &joinedHead
        )
        var header = InlineArray<5, UInt16>(repeating: 0)
        TunnelHeader.write(offload, to: &header)
        let written = unsafe withUnsafeTemporaryAllocation(of: iovec.self, capacity: count + 2) {
            vectors in
            unsafe withUnsafeMutableBytes(of: &header) { header in
                unsafe vectors[0] = unsafe iovec(
                    iov_base: header.baseAddress,
                    iov_len: header.count
                )
                unsafe vectors[1] = unsafe Self.vector(joinedHead.bytes(0..<start + 8))
                var (place, next) = (2, Optional(first))
                while let index = next {
                    unsafe vectors[place] = unsafe Self.vector(
                        outbox.bytes(ofTunnelPacket: index).extracting(droppingFirst: start + 8)
                    )
                    place += 1
                    next = groups.follower(of: index)
                }
                return unsafe writev(tunnelDescriptor, vectors.baseAddress, Int32(place))
            }
        }
        return written < 0 ? errno : 0
    }

    private static func widen(
        _ packet: RawSpan,
        start: Int,
        byteCount: Int,
        into block: inout Block
    ) {
        var head = block.mutableBytes(0..<start + 8)
        head.write(packet.extracting(first: start + 8), at: 0)
        DatagramGroups.widen(&head, start: start, byteCount: byteCount)
    }

    private static func vector(_ bytes: RawSpan) -> iovec {
        unsafe bytes.withUnsafeBytes { bytes in
            unsafe iovec(
                iov_base: UnsafeMutableRawPointer(mutating: bytes.baseAddress),
                iov_len: bytes.count
            )
        }
    }
}
