internal import Bytes
internal import CLinux
internal import Glibc
internal import IP
internal import SansIO

/// Bounds of one read of the tunnel device.
enum TunnelReading {
    /// Bytes from the start of one packet's room to the largest end of it.
    static var packetByteCountMax: Int { 64 + 65_536 }
    /// Bytes of the block: about what one outbox can send.
    static var blockByteCount: Int { 448 << 10 }
}

extension PacketLoop where Machine: ~Copyable {
    /// Which of the two tunnel devices.
    enum DeviceEnd {
        case tunnel, second
    }

    private func descriptor(_ end: DeviceEnd) -> Int32 {
        switch end {
        case .tunnel: tunnel?.descriptor.raw ?? -1
        case .second: diversion?.device.descriptor.raw ?? -1
        }
    }

    /// Reads a batch, moves on what belongs to the other device, lends the rest to the machine.
    func readTunnel(_ end: DeviceEnd) {
        let descriptor = descriptor(end)
        guard descriptor >= 0, !(end == .tunnel && isTunnelPaused) else { return }
        tunnelBatch.removeAll()
        var used = 0
        while tunnelBatch.count < Batch.Limits.packets,
            used + TunnelReading.packetByteCountMax <= TunnelReading.blockByteCount
        {
            // The packet starts at a multiple of 64, its header right before it.
            let start = used + 64
            let count = readPacket(descriptor, at: start - TunnelHeader.byteCount)
            guard count > 0 else {
                if count < 0, errno != EAGAIN, errno != EINTR { lose(end, errno) }
                break
            }
            if take(start..<start + max(0, count - TunnelHeader.byteCount), from: end) {
                used = (start + count + 63) & ~63
            }
        }
        deliver(from: .tunnel)
    }

    private func readPacket(_ descriptor: Int32, at start: Int) -> Int {
        unsafe tunnelBatch.block.withUnsafeMutableBytes { block in
            guard let base = block.baseAddress else { return 0 }
            return unsafe Glibc.read(
                descriptor,
                base + start,
                65_535 + TunnelHeader.byteCount
            )
        }
    }

    /// Adds the packet to the batch; false when its room is free again.
    private func take(_ range: Range<Int>, from end: DeviceEnd) -> Bool {
        let head = range.lowerBound - TunnelHeader.byteCount..<range.lowerBound
        if let other = other(end, for: range) {
            counters.divertedPackets += 1
            move(head.lowerBound..<range.upperBound, to: other)
            return false
        }
        guard
            let offload = TunnelHeader.offload(
                tunnelBatch.block.bytes(head),
                packet: tunnelBatch.block.bytes(range)
            )
        else {
            counters.tunnelHeaderErrors += 1
            return false
        }
        counters.tunnelPacketsRead += 1
        counters.tunnelBytesRead += UInt64(range.count)
        return tunnelBatch.append(Batch.Packet(range: range, offload: offload))
    }

    /// The device that a packet read at `end` goes to as it is; nil when the machine gets it.
    private func other(_ end: DeviceEnd, for range: Range<Int>) -> Int32? {
        guard let peer = diversion?.peer, peer == .host else { return nil }
        switch end {
        case .second: return descriptor(.tunnel)
        case .tunnel:
            let isOurs = diversion?.matches(tunnelBatch.block.bytes(range)) == true
            return isOurs ? descriptor(.second) : nil
        }
    }

    private func move(_ range: Range<Int>, to descriptor: Int32) {
        let written = unsafe tunnelBatch.block.withUnsafeBytes { block in
            unsafe Glibc.write(
                descriptor,
                block.baseAddress.map { unsafe $0 + range.lowerBound },
                range.count
            )
        }
        if written < 0 { counters.tunnelWriteDrops += 1 }
    }

    /// The device is gone; reading on would be told so without end.
    private func lose(_ end: DeviceEnd, _ code: Int32) {
        queue.remove(descriptor(end))
        onNote(.tunnelLost(code))
    }

    /// Writes the tunnel side of the outbox.
    func writeTunnelPackets() {
        let joins = outbox.tunnelPacketCount > 1 && joinsDatagrams
        if joins { groups.find(in: outbox) }
        for index in 0..<outbox.tunnelPacketCount {
            if joins, groups.follows(index) { continue }
            if joins, groups.follower(of: index) != nil {
                writeGroup(index)
            } else {
                writeTunnelPacket(index)
            }
        }
    }

    /// Writes one packet of the outbox.
    func writeTunnelPacket(_ index: Int) { write(index, of: outbox) }

    private func write(_ index: Int, of outbox: borrowing Outbox) {
        let packet = outbox.bytes(ofTunnelPacket: index)
        write(packet, outbox.tunnelPacket(index).offload, to: descriptor(end(for: packet)))
    }

    /// Which device a packet of the machine leaves by.
    private func end(for packet: RawSpan) -> DeviceEnd {
        guard let peer = diversion?.peer, peer == .machine, diversion?.matches(packet) == true
        else { return .tunnel }
        counters.divertedPackets += 1
        return .second
    }

    /// The tunnel device's; -1 when there is none.
    var tunnelDescriptor: Int32 { descriptor(.tunnel) }

    private func write(_ bytes: RawSpan, _ offload: Offload, to descriptor: Int32) {
        if cutsTunnelPackets, offload.segmentation != .none {
            return cut(bytes, offload, to: descriptor)
        }
        let code = writeOnce(bytes, offload, to: descriptor)
        switch code {
        case 0:
            counters.tunnelPacketsWritten += 1
            counters.tunnelBytesWritten += UInt64(bytes.byteCount)
        case EINVAL where offload.segmentation != .none:
            if !cutsTunnelPackets { onNote(.cutsTunnelPackets) }
            cutsTunnelPackets = true
            cut(bytes, offload, to: descriptor)
        default:
            counters.tunnelWriteDrops += 1
        }
    }

    /// Returns 0 or the errno.
    private func writeOnce(_ bytes: RawSpan, _ offload: Offload, to descriptor: Int32) -> Int32 {
        var header = InlineArray<5, UInt16>(repeating: 0)
        TunnelHeader.write(offload, to: &header)
        let written = unsafe withUnsafeMutableBytes(of: &header) { header in
            unsafe bytes.withUnsafeBytes { bytes in
                var vectors = unsafe InlineArray<2, iovec>(repeating: iovec())
                unsafe vectors[0].iov_base = header.baseAddress
                unsafe vectors[0].iov_len = header.count
                unsafe vectors[1].iov_base = UnsafeMutableRawPointer(mutating: bytes.baseAddress)
                unsafe vectors[1].iov_len = bytes.count
                return unsafe withUnsafePointer(to: vectors) { pointer in
                    unsafe pointer.withMemoryRebound(to: iovec.self, capacity: 2) {
                        unsafe writev(descriptor, $0, 2)
                    }
                }
            }
        }
        return written < 0 ? errno : 0
    }

    /// Writes the segments of a large packet one by one.
    private func cut(_ bytes: RawSpan, _ offload: Offload, to descriptor: Int32) {
        counters.tunnelPacketsCut += 1
        do throws(SegmenterError) {
            let segmenter = try Segmenter(bytes, offload)
            var room = Block(byteCount: segmenter.byteCountMax)
            for index in 0..<segmenter.count {
                var segment = room.mutableBytes(0..<room.byteCount)
                let count = segmenter.write(index, into: &segment)
                if writeOnce(room.bytes(0..<count), .none, to: descriptor) != 0 {
                    counters.tunnelWriteDrops += 1
                }
            }
        } catch {
            counters.tunnelWriteDrops += 1
        }
    }
}
