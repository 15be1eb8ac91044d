internal import Bytes
internal import CLinux
internal import Glibc

/// The message headers of one recvmmsg(2), made once.
@safe struct ReceiveVectors: ~Copyable {
    enum Limits {
        /// Messages of one call.
        static var messages: Int { 32 }
        /// Bytes from one message's room to the next: a joined read is up to 65,535 bytes; the odd
        /// rest keeps the starts of small messages from sharing the same cache sets.
        static var stride: Int { 65_536 + 192 }
        /// Bytes of control data of one message: three headers with their values are 88.
        static var controlByteCount: Int { 128 }
        /// Calls until one reports no error; the rest waits for the next turn.
        static var attempts: Int { 8 }
    }

    /// Bytes that a batch needs for a full call.
    static var batchByteCount: Int { Limits.messages * Limits.stride }

    private let messages: UnsafeMutablePointer<culvert_message>
    private let vectors: UnsafeMutablePointer<iovec>
    private let names: UnsafeMutableRawPointer
    private let controls: UnsafeMutableRawPointer
    /// Rooms of the batch that hold something.
    private var used = 0

    init() {
        let count = Limits.messages
        unsafe messages = .allocate(capacity: count)
        unsafe messages.initialize(repeating: culvert_message(), count: count)
        unsafe vectors = .allocate(capacity: count)
        unsafe vectors.initialize(repeating: iovec(), count: count)
        unsafe names = .allocate(byteCount: count * 32, alignment: 8)
        unsafe controls = .allocate(byteCount: count * Limits.controlByteCount, alignment: 8)
        for index in 0..<count {
            unsafe messages[index].header.msg_name = names + index * 32
            unsafe messages[index].header.msg_iov = vectors + index
            unsafe messages[index].header.msg_iovlen = 1
            unsafe messages[index].header.msg_control = controls + index * Limits.controlByteCount
        }
    }

    deinit {
        unsafe messages.deallocate()
        unsafe vectors.deallocate()
        unsafe names.deallocate()
        unsafe controls.deallocate()
    }

    /// Whether another socket may find too little room in the batch.
    var isHalfFull: Bool { used > Limits.messages / 2 }

    /// Reads what `socket` holds into the rest of the batch's room; `port` is our own.
    mutating func receive(
        from socket: Int32,
        port: UInt16,
        into batch: inout Batch,
        counting counters: inout LoopCounters
    ) {
        if batch.count == 0 { used = 0 }
        let first = used
        guard first < Limits.messages else { return }
        unsafe batch.block.withUnsafeMutableBytes { block in
            for index in first..<Limits.messages {
                unsafe vectors[index].iov_base = block.baseAddress.map {
                    unsafe $0 + index * Limits.stride
                }
                unsafe vectors[index].iov_len = 65_536
                unsafe messages[index].header.msg_namelen = 32
                unsafe messages[index].header.msg_controllen = Limits.controlByteCount
            }
        }
        var received: Int32 = -1
        for _ in 0..<Limits.attempts {
            received = unsafe culvert_recvmmsg(
                socket,
                messages + first,
                UInt32(Limits.messages - first)
            )
            if received >= 0 || errno == EAGAIN { break }
            // The error of an earlier send is reported once, in place of what waits behind it.
            if errno != EINTR { counters.receiveErrors += 1 }
        }
        used = first + max(0, Int(received))
        for index in first..<used {
            append(index, port: port, to: &batch, counting: &counters)
        }
    }

    private func append(
        _ index: Int,
        port: UInt16,
        to batch: inout Batch,
        counting counters: inout LoopCounters
    ) {
        let byteCount = unsafe Int(messages[index].byte_count)
        let flags = unsafe messages[index].header.msg_flags
        guard flags & Int32(MSG_TRUNC) == 0 else {
            counters.datagramsTruncated += 1
            return
        }
        let start = index * Limits.stride
        var packet = Batch.Packet(range: start..<start + byteCount)
        packet.remote = unsafe SocketAddress.read(
            UnsafeRawBufferPointer(start: names + index * 32, count: 32)
        )
        packet.local.port = port
        let control = unsafe UnsafeRawBufferPointer(
            start: controls + index * Limits.controlByteCount,
            count: min(Limits.controlByteCount, Int(messages[index].header.msg_controllen))
        )
        unsafe ControlData.read(control, into: &packet)
        counters.networkReads += 1
        counters.networkBytesReceived += UInt64(byteCount)
        let segment = packet.segmentByteCount
        let count = segment > 0 ? (byteCount + segment - 1) / segment : 1
        if count == 1 { packet.segmentByteCount = 0 }
        counters.datagramsReceived += UInt64(count)
        batch.append(packet)
    }
}
