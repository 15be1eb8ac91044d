internal import CLinux
internal import Glibc

/// One message over a Unix socket with descriptors beside it (SCM_RIGHTS).
enum DescriptorMessage {
    enum Limits {
        /// Bytes of the text.
        static var textByteCount: Int { 4_096 }
    }

    /// Header of struct cmsghdr: length, level, type.
    private static var headerByteCount: Int { 16 }

    /// Sends `text` and copies of `descriptors`; waits while the other side is behind.
    static func send(
        _ text: String,
        _ descriptors: [Int32],
        over socket: borrowing FileDescriptor
    ) throws(SystemError) {
        var text = Array(text.utf8)
        let length = headerByteCount + descriptors.count * 4
        var control = [UInt8](repeating: 0, count: length + 7 & ~7)
        unsafe control.withUnsafeMutableBytes { bytes in
            unsafe bytes.storeBytes(of: length, as: Int.self)
            unsafe bytes.storeBytes(of: SOL_SOCKET, toByteOffset: 8, as: Int32.self)
            let type = Int32(SCM_RIGHTS)
            unsafe bytes.storeBytes(of: type, toByteOffset: 12, as: Int32.self)
            for (index, descriptor) in descriptors.enumerated() {
                let offset = headerByteCount + index * 4
                unsafe bytes.storeBytes(of: descriptor, toByteOffset: offset, as: Int32.self)
            }
        }
        let raw = socket.raw
        try SystemError.check("sendmsg") {
            unsafe with(&text, &control) { message in
                unsafe message.msg_controllen = descriptors.isEmpty ? 0 : message.msg_controllen
                return unsafe Int32(clamping: sendmsg(raw, &message, Int32(MSG_NOSIGNAL)))
            }
        }
    }

    /// Receives one message; waits for it.
    ///
    /// - Returns: Its text, and the descriptors, which are the caller's; nil at the end.
    static func receive(
        from socket: borrowing FileDescriptor
    ) throws(SystemError) -> (text: String, descriptors: [Int32])? {
        var text = [UInt8](repeating: 0, count: Limits.textByteCount)
        let room = headerByteCount + DescriptorSet.Limits.descriptors * 4
        var control = [UInt8](repeating: 0, count: room)
        var controlByteCount = 0
        let raw = socket.raw
        let count = try SystemError.check("recvmsg") {
            unsafe with(&text, &control) { message in
                let flags = Int32(MSG_CMSG_CLOEXEC)
                let count = unsafe recvmsg(raw, &message, flags)
                controlByteCount = unsafe Int(message.msg_controllen)
                return Int32(clamping: count)
            }
        }
        let descriptors = descriptors(in: control, controlByteCount)
        guard count > 0 else { return nil }
        return (String(decoding: text[..<Int(count)], as: UTF8.self), descriptors)
    }

    private static func descriptors(in control: [UInt8], _ byteCount: Int) -> [Int32] {
        unsafe control.withUnsafeBytes { bytes in
            guard byteCount >= headerByteCount else { return [] }
            let length = unsafe min(bytes.loadUnaligned(as: Int.self), byteCount)
            let type = unsafe bytes.loadUnaligned(fromByteOffset: 12, as: Int32.self)
            guard length >= headerByteCount, type == Int32(SCM_RIGHTS) else { return [] }
            return stride(from: headerByteCount, to: length - 3, by: 4).map {
                unsafe bytes.loadUnaligned(fromByteOffset: $0, as: Int32.self)
            }
        }
    }

    /// Lends a message header over both buffers.
    private static func with(
        _ text: inout [UInt8],
        _ control: inout [UInt8],
        _ body: (inout msghdr) -> Int32
    ) -> Int32 {
        unsafe text.withUnsafeMutableBytes { text in
            unsafe control.withUnsafeMutableBytes { control in
                var vector = unsafe iovec(iov_base: text.baseAddress, iov_len: text.count)
                return unsafe withUnsafeMutablePointer(to: &vector) { vector in
                    var message = unsafe msghdr()
                    unsafe message.msg_iov = vector
                    unsafe message.msg_iovlen = 1
                    unsafe message.msg_control = control.baseAddress
                    unsafe message.msg_controllen = control.count
                    return unsafe body(&message)
                }
            }
        }
    }
}

extension DescriptorSet {
    /// Sends all, with their names as the text.
    ///
    /// - Parameter socket: A connected Unix socket that keeps messages apart.
    /// - Throws: ``SystemError`` when the other side is gone.
    public borrowing func send(over socket: borrowing FileDescriptor) throws(SystemError) {
        let text = names.joined(separator: ":")
        try DescriptorMessage.send(text, entries.map(\.raw), over: socket)
    }

    /// Receives what ``send(over:)`` sent.
    ///
    /// - Parameter socket: The other end.
    /// - Returns: nil when the other side ended without sending.
    /// - Throws: ``SystemError`` when the socket fails.
    public static func receive(
        from socket: borrowing FileDescriptor
    ) throws(SystemError) -> DescriptorSet? {
        guard let message = try DescriptorMessage.receive(from: socket) else { return nil }
        return DescriptorSet(message.descriptors, names: message.text)
    }

    /// Takes descriptors over, with names between colons; one without a name is called so.
    init(_ descriptors: [Int32], names: String) {
        self.init()
        let names = names.split(separator: ":", omittingEmptySubsequences: false).map(String.init)
        for (index, raw) in descriptors.enumerated() {
            add(FileDescriptor(taking: raw), as: index < names.count ? names[index] : "unknown")
        }
    }
}
