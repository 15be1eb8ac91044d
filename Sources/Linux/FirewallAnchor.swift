internal import Bytes
internal import CLinux
internal import Glibc

/// A second, small table that nobody else can flush: it belongs to our socket, and vanishes with
/// it.
///
/// Without any chain for translation the kernel stops to translate running connections at once;
/// their packets would meet the host's own stack, which answers with RST, before ``FirewallKeeper``
/// has its table back. This one has such a chain, without rules, and puts flows of the tunnel into
/// their zone. A kernel before 5.12 has no such tables: then there is none.
struct FirewallAnchor: ~Copyable, Sendable {
    /// Numbers of nfnetlink and nf_tables.
    private enum Number {
        static var subsystem: Int { 10 }
        static var batchBegin: Int { 0x10 }
        static var batchEnd: Int { 0x11 }
        static var newTable: Int { subsystem << 8 }
        static var newChain: Int { subsystem << 8 | 3 }
        static var newRule: Int { subsystem << 8 | 6 }
        static var inet: UInt8 { 1 }
        static var owner: UInt32 { 2 }
        static var prerouting: UInt32 { 0 }
        static var postrouting: UInt32 { 4 }
        static var register: UInt32 { 1 }
        static var interfaceName: UInt32 { 6 }
        static var zone: UInt32 { 17 }
        static var appends: Int32 { 0x800 }
        static var nameByteCount: Int { 16 }
    }

    private let socket: FileDescriptor

    /// - Parameters:
    ///   - name: The table's, in family inet; no other process may have one of that name.
    ///   - interface: The tunnel device.
    ///   - zone: The conntrack zone of flows that begin there.
    /// - Throws: ``SystemError`` when the kernel has no such tables.
    init(name: String, interface: String, zone: Int) throws(SystemError) {
        let socket = try FileDescriptor(
            socket: AF_NETLINK,
            type: Int32(SOCK_RAW.rawValue),
            protocol: NETLINK_NETFILTER
        )
        let steps = [
            Self.message(Number.batchBegin, family: 0, resource: Number.subsystem),
            Self.table(name), Self.chain(name, "nat", "nat", Number.postrouting, 100),
            Self.chain(name, "zones", "filter", Number.prerouting, -300),
            Self.zoneRule(name, interface, zone),
            Self.message(Number.batchEnd, family: 0, resource: Number.subsystem),
        ]
        var bytes: [UInt8] = []
        for (number, step) in steps.enumerated() { bytes += step.sealed(sequence: UInt32(number)) }
        try socket.writeAll(bytes)
        try Self.check(socket, answers: 4)
        self.socket = socket
    }

    /// Reads the kernel's answers to the steps within the batch.
    private static func check(_ socket: borrowing FileDescriptor, answers: Int) throws(SystemError)
    {
        var time = timeval(tv_sec: NetlinkSocket.Limits.seconds, tv_usec: 0)
        let byteCount = socklen_t(MemoryLayout<timeval>.size)
        _ = unsafe setsockopt(socket.raw, SOL_SOCKET, SO_RCVTIMEO, &time, byteCount)
        var buffer = [UInt8](repeating: 0, count: 16 << 10)
        var answered = 0
        while answered < answers {
            let raw = socket.raw
            let count = Int(
                try SystemError.check("make a table of our own") {
                    unsafe buffer.withUnsafeMutableBytes { bytes in
                        unsafe Int32(
                            truncatingIfNeeded: recv(raw, bytes.baseAddress, bytes.count, 0)
                        )
                    }
                }
            )
            var at = 0
            while at + 20 <= count {
                let length = Int(buffer.rawSpan.nativeUInt32(at: at))
                guard length >= 20, length <= count - at else { break }
                let code = -Int32(bitPattern: buffer.rawSpan.nativeUInt32(at: at + 16))
                guard code == 0 else {
                    throw SystemError(call: "make a table of our own", code: code)
                }
                answered += 1
                at += (length + 3) & ~3
            }
        }
    }

    /// A message with the head of nfnetlink (struct nfgenmsg).
    private static func message(
        _ type: Int,
        flags: Int32 = 0,
        family: UInt8 = Number.inet,
        resource: Int = 0
    ) -> NetlinkMessage {
        let head = [family, 0, UInt8(resource >> 8), UInt8(resource & 0xff)]
        return NetlinkMessage(type: type, flags: Int(flags), body: head)
    }

    private static func table(_ name: String) -> NetlinkMessage {
        var message = message(Number.newTable, flags: NLM_F_CREATE | NLM_F_EXCL | NLM_F_ACK)
        message.append(1, text: name)
        message.append(2, big: Number.owner)
        return message
    }

    private static func chain(
        _ table: String,
        _ name: String,
        _ type: String,
        _ hook: UInt32,
        _ priority: Int32
    ) -> NetlinkMessage {
        var message = message(Number.newChain, flags: NLM_F_CREATE | NLM_F_ACK)
        message.append(1, text: table)
        message.append(3, text: name)
        message.append(
            4,
            nested: { nested in
                nested.append(1, big: hook)
                nested.append(2, big: UInt32(bitPattern: priority))
            }
        )
        message.append(7, text: type)
        return message
    }

    /// `iifname INTERFACE ct original zone set ZONE`.
    private static func zoneRule(_ table: String, _ interface: String, _ zone: Int)
        -> NetlinkMessage
    {
        let name = Array(interface.utf8.prefix(Number.nameByteCount - 1))
        let padded = name + [UInt8](repeating: 0, count: Number.nameByteCount - name.count)
        var number: [UInt8] = []
        number.append(native: UInt16(clamping: zone))
        let flags = NLM_F_CREATE | Number.appends | NLM_F_ACK
        var message = message(Number.newRule, flags: flags)
        message.append(1, text: table)
        message.append(2, text: "zones")
        message.append(
            4,
            nested: { list in
                list.append(expression: "meta") { data in
                    data.append(1, big: Number.register)
                    data.append(2, big: Number.interfaceName)
                }
                list.append(expression: "cmp") { data in
                    data.append(1, big: Number.register)
                    data.append(2, big: 0)
                    data.append(3, nested: { $0.append(1, padded) })
                }
                list.append(expression: "immediate") { data in
                    data.append(1, big: Number.register)
                    data.append(2, nested: { $0.append(1, number) })
                }
                list.append(expression: "ct") { data in
                    data.append(2, big: Number.zone)
                    data.append(3, [0])
                    data.append(4, big: Number.register)
                }
            }
        )
        return message
    }
}

extension NetlinkMessage {
    fileprivate mutating func append(_ type: Int, text: String) {
        append(type, Array(text.utf8) + [0])
    }

    /// A number in network order, as nf_tables has them.
    fileprivate mutating func append(_ type: Int, big value: UInt32) {
        append(type, value.bigEndian)
    }

    /// One expression of a rule.
    fileprivate mutating func append(
        expression name: String,
        _ body: (inout NetlinkMessage) -> Void
    ) {
        append(
            1,
            nested: { element in
                element.append(1, text: name)
                element.append(2, nested: body)
            }
        )
    }
}
