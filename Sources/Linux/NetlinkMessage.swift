internal import Bytes
internal import CLinux
internal import Glibc
internal import IP

/// One request to the kernel (struct nlmsghdr, a fixed body, attributes), in this machine's order.
struct NetlinkMessage {
    private(set) var bytes: [UInt8]

    /// A request without attributes; `body` is the fixed part that the type asks for.
    init(type: Int, flags: Int, body: [UInt8]) {
        bytes = []
        bytes.append(native: UInt32(0))
        bytes.append(native: UInt16(type))
        bytes.append(native: UInt16(flags | Int(NLM_F_REQUEST)))
        bytes.append(native: UInt32(0))
        bytes.append(native: UInt32(0))
        bytes += body
        pad()
    }

    mutating func append(_ type: Int, _ value: [UInt8]) {
        bytes.append(native: UInt16(4 + value.count))
        bytes.append(native: UInt16(type))
        bytes += value
        pad()
    }

    mutating func append(_ type: Int, _ value: UInt32) {
        var all: [UInt8] = []
        all.append(native: value)
        append(type, all)
    }

    mutating func append(_ type: Int, _ address: IPAddress) { append(type, address.bytes) }

    /// An attribute made of attributes.
    mutating func append(_ type: Int, nested body: (inout NetlinkMessage) -> Void) {
        let start = bytes.count
        append(type, [])
        body(&self)
        set(UInt16(bytes.count - start), at: start)
    }

    /// The message as sent, with its number.
    func sealed(sequence: UInt32) -> [UInt8] {
        var message = self
        message.set(UInt32(bytes.count), at: 0)
        message.set(sequence, at: 8)
        return message.bytes
    }

    private mutating func set(_ value: some FixedWidthInteger, at offset: Int) {
        var all: [UInt8] = []
        all.append(native: value)
        bytes.replaceSubrange(offset..<offset + all.count, with: all)
    }

    private mutating func pad() {
        while bytes.count % 4 != 0 { bytes.append(0) }
    }
}

/// Walks over the attributes (struct rtattr) of a message; stops at one that does not fit.
struct NetlinkAttributes: ~Escapable {
    private let bytes: RawSpan
    private var at = 0

    @_lifetime(copy bytes)
    init(_ bytes: RawSpan) { self.bytes = bytes }

    /// Type and place of the next attribute's value; nil at the end.
    mutating func next() -> (type: Int, value: Range<Int>)? {
        guard at + 4 <= bytes.byteCount else { return nil }
        let length = Int(bytes.nativeUInt16(at: at))
        // The two upper bits say "nested" and "network order".
        let type = Int(bytes.nativeUInt16(at: at + 2) & 0x3fff)
        guard length >= 4, length <= bytes.byteCount - at else { return nil }
        defer { at += (length + 3) & ~3 }
        return (type, at + 4..<at + length)
    }
}

extension RawSpan {
    /// The 32-bit value of an attribute; nil for another size.
    func attributeUInt32(_ range: Range<Int>) -> UInt32? {
        range.count == 4 ? nativeUInt32(at: range.lowerBound) : nil
    }

    /// The address in an attribute.
    func attributeAddress(_ range: Range<Int>) -> IPAddress? {
        IPAddress(bytes: extracting(range))
    }

    /// The text in an attribute, up to its zero byte.
    func attributeText(_ range: Range<Int>) -> String {
        String(decoding: extracting(range).array.prefix { $0 != 0 }, as: UTF8.self)
    }
}

extension Array where Element == UInt8 {
    /// Appends `value` in this machine's byte order.
    mutating func append(native value: some FixedWidthInteger) {
        unsafe Swift.withUnsafeBytes(of: value) { unsafe append(contentsOf: $0) }
    }
}
