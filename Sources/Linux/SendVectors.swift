internal import Bytes
internal import CLinux
internal import Glibc
internal import IP

/// The message headers of one sendmmsg(2), made once; each message is a run or one datagram.
@safe struct SendVectors: ~Copyable {
    enum Limits {
        /// Messages of one call.
        static var messages: Int { 64 }
        static var controlByteCount: Int { 96 }
    }

    private let messages: UnsafeMutablePointer<culvert_message>
    private let vectors: UnsafeMutablePointer<iovec>
    private let names: UnsafeMutableRawPointer
    private let controls: UnsafeMutableRawPointer
    private var runs: [Outbox.Run] = []

    init() {
        runs.reserveCapacity(Limits.messages)
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
        }
    }

    deinit {
        unsafe messages.deallocate()
        unsafe vectors.deallocate()
        unsafe names.deallocate()
        unsafe controls.deallocate()
    }

    /// Messages that wait.
    var count: Int { runs.count }

    var isFull: Bool { count == Limits.messages }

    /// What message `index` carries.
    func run(_ index: Int) -> Outbox.Run { runs[index] }

    /// The bytes of message `index`.
    @_lifetime(borrow self)
    func bytes(_ index: Int) -> RawSpan {
        let base = unsafe UnsafeRawPointer(vectors[index].iov_base)
        let all = unsafe UnsafeRawBufferPointer(start: base, count: vectors[index].iov_len)
        return unsafe _overrideLifetime(RawSpan(_unsafeBytes: all), borrowing: self)
    }

    mutating func removeAll() { runs.removeAll(keepingCapacity: true) }

    /// Adds `run`, whose bytes are `bytes`; the memory must stay until the send. Not when full.
    mutating func append(_ run: Outbox.Run, bytes: RawSpan) {
        let index = count
        runs.append(run)
        let isIPv4 = run.remote.address.isIPv4
        let name = unsafe UnsafeMutableRawBufferPointer(start: names + index * 32, count: 32)
        let nameByteCount = unsafe SocketAddress.write(run.remote, to: name)
        let control = unsafe controls + index * Limits.controlByteCount
        let controlByteCount = unsafe ControlData.write(
            local: run.local,
            ecn: run.ecn,
            segmentByteCount: run.count > 1 ? run.segmentByteCount : 0,
            isIPv4: isIPv4,
            to: control
        )
        unsafe bytes.withUnsafeBytes { bytes in
            unsafe vectors[index].iov_base = UnsafeMutableRawPointer(mutating: bytes.baseAddress)
            unsafe vectors[index].iov_len = bytes.count
        }
        unsafe messages[index].header.msg_namelen = socklen_t(nameByteCount)
        unsafe messages[index].header.msg_control = controlByteCount > 0 ? control : nil
        unsafe messages[index].header.msg_controllen = controlByteCount
    }

    /// Sends messages from `first` on; returns how many went, or the error of the first.
    func send(from first: Int, on socket: Int32) -> Result<Int, SystemError> {
        while true {
            let sent = unsafe culvert_sendmmsg(socket, messages + first, UInt32(count - first))
            if sent > 0 { return .success(Int(sent)) }
            if sent == 0 { return .failure(SystemError(call: "sendmmsg", code: EAGAIN)) }
            if errno != EINTR { return .failure(SystemError("sendmmsg")) }
        }
    }
}
