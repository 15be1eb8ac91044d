internal import Bytes
internal import CLinux
internal import Glibc

/// The message headers with which the sockets of exchanges are read and written, made once.
@safe struct AnswerVectors: ~Copyable {
    enum Limits {
        /// Messages of one receive.
        static var messages: Int { 16 }
        /// Bytes from one message's room to the next; only what comes is ever touched.
        static var stride: Int { 65_536 + 192 }
        /// Bytes of control data of a send.
        static var controlByteCount: Int { 24 }
    }

    private let messages: UnsafeMutablePointer<culvert_message>
    private let vectors: UnsafeMutablePointer<iovec>
    private let control: UnsafeMutableRawPointer
    private let room: UnsafeMutableRawPointer

    init() {
        let count = Limits.messages
        unsafe messages = .allocate(capacity: count)
        unsafe messages.initialize(repeating: culvert_message(), count: count)
        unsafe vectors = .allocate(capacity: count)
        unsafe vectors.initialize(repeating: iovec(), count: count)
        unsafe control = .allocate(byteCount: Limits.controlByteCount, alignment: 8)
        unsafe room = .allocate(byteCount: count * Limits.stride, alignment: 64)
        for index in 0..<count {
            unsafe vectors[index].iov_base = room + index * Limits.stride
            unsafe vectors[index].iov_len = 65_536
            unsafe messages[index].header.msg_iov = vectors + index
            unsafe messages[index].header.msg_iovlen = 1
        }
    }

    deinit {
        unsafe messages.deallocate()
        unsafe vectors.deallocate()
        unsafe control.deallocate()
        unsafe room.deallocate()
    }

    /// Reads what waits at a connected socket.
    ///
    /// - Returns: How many messages came; -1 for none or an error, which errno tells.
    mutating func receive(from socket: Int32) -> Int {
        unsafe Int(culvert_recvmmsg(socket, messages, UInt32(Limits.messages)))
    }

    /// Message `index` of the last receive.
    @_lifetime(borrow self)
    func bytes(_ index: Int) -> RawSpan {
        let all = unsafe UnsafeRawBufferPointer(
            start: room + index * Limits.stride,
            count: Int(messages[index].byte_count)
        )
        return unsafe _overrideLifetime(RawSpan(_unsafeBytes: all), borrowing: self)
    }

    /// Sends `bytes` as datagrams of `segmentByteCount` bytes each.
    ///
    /// - Returns: 0 or the errno.
    func send(_ bytes: RawSpan, by segmentByteCount: Int, on socket: Int32) -> Int32 {
        unsafe bytes.withUnsafeBytes { bytes in
            var vector = unsafe iovec(
                iov_base: UnsafeMutableRawPointer(mutating: bytes.baseAddress),
                iov_len: bytes.count
            )
            var header = unsafe msghdr()
            if bytes.count > segmentByteCount {
                let byteCount = unsafe ControlData.write(
                    local: .unspecified,
                    ecn: 0,
                    segmentByteCount: segmentByteCount,
                    isIPv4: true,
                    to: control
                )
                unsafe header.msg_control = control
                unsafe header.msg_controllen = byteCount
            }
            return unsafe withUnsafeMutablePointer(to: &vector) { vector in
                unsafe header.msg_iov = vector
                unsafe header.msg_iovlen = 1
                return unsafe sendmsg(socket, &header, Int32(MSG_NOSIGNAL)) < 0 ? errno : 0
            }
        }
    }
}
