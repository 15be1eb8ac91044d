internal import Bytes
internal import CLinux
internal import Glibc

/// A connection to the kernel's routing tables (NETLINK_ROUTE), one request at a time.
///
/// Speaks to the network namespace that the calling thread was in when it was made. Waits for the
/// kernel, which answers at once.
struct NetlinkSocket: ~Copyable {
    enum Limits {
        /// A dump that changed while it was read is read anew so often.
        static var attempts: Int { 5 }
        /// Bytes of one read; the kernel sends 32 KiB at most.
        static var readByteCount: Int { 64 << 10 }
        /// Seconds to wait for an answer.
        static var seconds: Int { 5 }
    }

    private let descriptor: FileDescriptor
    private var sequence: UInt32 = 0
    private var buffer = [UInt8](repeating: 0, count: Limits.readByteCount)

    init() throws(NetlinkError) {
        do throws(SystemError) {
            descriptor = try FileDescriptor(
                socket: AF_NETLINK,
                type: Int32(SOCK_RAW.rawValue),
                protocol: NETLINK_ROUTE
            )
        } catch {
            throw NetlinkError(error)
        }
        _ = descriptor.trySetOption(culvert_SOL_NETLINK, NETLINK_EXT_ACK, 1)
        _ = descriptor.trySetOption(culvert_SOL_NETLINK, NETLINK_GET_STRICT_CHK, 1)
        var time = timeval(tv_sec: Limits.seconds, tv_usec: 0)
        _ = unsafe setsockopt(
            descriptor.raw,
            SOL_SOCKET,
            SO_RCVTIMEO,
            &time,
            socklen_t(MemoryLayout<timeval>.size)
        )
    }

    /// Asks for a change and waits until it is made.
    ///
    /// - Parameters:
    ///   - message: One that the kernel acknowledges.
    ///   - name: What is asked, for the error.
    /// - Throws: ``NetlinkError`` with the kernel's reason.
    mutating func request(_ message: NetlinkMessage, _ name: String) throws(NetlinkError) {
        try exchange(message, name) { _, _ in }
    }

    /// Asks for a table, and hands out its entries: message type and body.
    mutating func dump(
        _ message: NetlinkMessage,
        _ name: String,
        _ entry: (_ type: Int, _ body: RawSpan) -> Void,
        restart: () -> Void
    ) throws(NetlinkError) {
        for attempt in 1... {
            restart()
            do throws(NetlinkError) {
                try exchange(message, name, entry)
                return
            } catch  where error.code == EINTR && attempt < Limits.attempts {
                continue
            }
        }
    }

    private mutating func exchange(
        _ message: NetlinkMessage,
        _ name: String,
        _ entry: (_ type: Int, _ body: RawSpan) -> Void
    ) throws(NetlinkError) {
        sequence += 1
        var progress = Progress()
        do throws(SystemError) {
            try send(message.sealed(sequence: sequence), name)
            while !progress.isDone {
                let count = try receive(name)
                let answer = buffer.rawSpan.extracting(first: count)
                Self.read(answer, sequence: sequence, &progress, entry)
            }
        } catch {
            throw NetlinkError(error)
        }
        if progress.wasInterrupted { throw NetlinkError(request: name, code: EINTR) }
        if progress.code != 0 {
            throw NetlinkError(request: name, code: progress.code, detail: progress.detail)
        }
    }

    private func send(_ bytes: [UInt8], _ name: String) throws(SystemError) {
        try SystemError.check(name) {
            unsafe bytes.withUnsafeBytes { bytes in
                let count = unsafe Glibc.send(descriptor.raw, bytes.baseAddress, bytes.count, 0)
                return Int32(truncatingIfNeeded: count)
            }
        }
    }

    private mutating func receive(_ name: String) throws(SystemError) -> Int {
        let raw = descriptor.raw
        return Int(
            try SystemError.check(name) {
                unsafe buffer.withUnsafeMutableBytes { bytes in
                    unsafe Int32(truncatingIfNeeded: recv(raw, bytes.baseAddress, bytes.count, 0))
                }
            }
        )
    }

    private struct Progress {
        var isDone = false
        var wasInterrupted = false
        var code: Int32 = 0
        var detail = ""
    }

    /// Reads the messages of one datagram.
    private static func read(
        _ bytes: RawSpan,
        sequence: UInt32,
        _ progress: inout Progress,
        _ entry: (_ type: Int, _ body: RawSpan) -> Void
    ) {
        var at = 0
        while at + 16 <= bytes.byteCount {
            let length = Int(bytes.nativeUInt32(at: at))
            guard length >= 16, length <= bytes.byteCount - at else { return }
            let type = Int(bytes.nativeUInt16(at: at + 4))
            let flags = Int(bytes.nativeUInt16(at: at + 6))
            let body = bytes.extracting(at + 16..<at + length)
            if bytes.nativeUInt32(at: at + 8) == sequence {
                if flags & Int(NLM_F_DUMP_INTR) != 0 { progress.wasInterrupted = true }
                switch type {
                case Int(NLMSG_DONE), Int(NLMSG_ERROR):
                    progress.isDone = true
                    if body.byteCount >= 4 {
                        progress.code = -Int32(bitPattern: body.nativeUInt32(at: 0))
                    }
                    if type == Int(NLMSG_ERROR) { progress.detail = detail(body, flags: flags) }
                default: entry(type, body)
                }
            }
            at += (length + 3) & ~3
        }
    }

    /// The kernel's words in an error message (NLMSGERR_ATTR_MSG), which follow the request.
    private static func detail(_ body: RawSpan, flags: Int) -> String {
        guard flags & Int(NLM_F_ACK_TLVS) != 0, body.byteCount >= 20 else { return "" }
        let isCapped = flags & Int(NLM_F_CAPPED) != 0
        let start = 4 + (isCapped ? 16 : (Int(body.nativeUInt32(at: 4)) + 3) & ~3)
        guard start <= body.byteCount else { return "" }
        let rest = body.extracting(droppingFirst: start)
        var attributes = NetlinkAttributes(rest)
        while let (type, value) = attributes.next() {
            if type == Int(NLMSGERR_ATTR_MSG.rawValue) { return rest.attributeText(value) }
        }
        return ""
    }
}
