internal import Bytes

/// Reads a message from front to back; names may point to what lies before them.
struct MessageReader: ~Escapable {
    let bytes: RawSpan
    private(set) var offset: Int

    @_lifetime(copy bytes)
    init(_ bytes: RawSpan, at offset: Int) { (self.bytes, self.offset) = (bytes, offset) }

    var remaining: Int { bytes.byteCount - offset }

    private mutating func take(_ count: Int) throws(MessageError) -> Int {
        guard count <= remaining else { throw .truncated(offset: bytes.byteCount) }
        defer { offset += count }
        return offset
    }

    mutating func uint8() throws(MessageError) -> UInt8 { bytes.byte(at: try take(1)) }
    mutating func uint16() throws(MessageError) -> UInt16 { bytes.uint16(at: try take(2)) }
    mutating func uint32() throws(MessageError) -> UInt32 { bytes.uint32(at: try take(4)) }

    mutating func array(_ count: Int) throws(MessageError) -> [UInt8] {
        let start = try take(count)
        return bytes.extracting(start..<start + count).array
    }

    mutating func skip(_ count: Int) throws(MessageError) { _ = try take(count) }

    /// The name here, decompressed (RFC 1035 section 4.1.4).
    mutating func name() throws(MessageError) -> Name {
        var wire: [UInt8] = []
        do {
            offset = try Self.walk(bytes, from: offset) { label in
                if wire.isEmpty { wire.reserveCapacity(label.count + 24) }
                for index in label { wire.append(bytes.byte(at: index)) }
            }
        } catch {
            throw .badName(error)
        }
        wire.append(0)
        return Name(unchecked: wire)
    }

    /// Goes past the name here, which is checked as in ``name()``.
    mutating func skipName() throws(MessageError) {
        do {
            offset = try Self.walk(bytes, from: offset) { _ in }
        } catch {
            throw .badName(error)
        }
    }

    /// Visits the labels of the name at `start`, each as the range of its length and bytes.
    ///
    /// A pointer must point before the part of the name that it ends, so that a walk goes back
    /// strictly and ends.
    /// - Returns: Where the name ends.
    private static func walk(
        _ bytes: borrowing RawSpan,
        from start: Int,
        _ visit: (Range<Int>) -> Void
    ) throws(NameError) -> Int {
        var (position, segment, end, total) = (start, start, -1, 1)
        while true {
            guard position < bytes.byteCount else { throw .truncated(offset: position) }
            let length = Int(bytes.byte(at: position))
            switch length {
            case 0: return end < 0 ? position + 1 : end
            case 1...Name.Limits.labelByteCount:
                total += 1 + length
                guard total <= Name.Limits.byteCount else { throw .tooLong(byteCount: total) }
                guard position + 1 + length <= bytes.byteCount else {
                    throw .truncated(offset: position)
                }
                visit(position..<position + 1 + length)
                position += 1 + length
            case 0xc0...:
                guard position + 2 <= bytes.byteCount else { throw .truncated(offset: position) }
                let target = Int(bytes.uint16(at: position) & 0x3fff)
                guard target < segment, target >= Header.byteCount else {
                    throw .badPointer(offset: position)
                }
                if end < 0 { end = position + 2 }
                (position, segment) = (target, target)
            default: throw .badLabelType(offset: position)
            }
        }
    }

    /// The question here.
    mutating func question() throws(MessageError) -> Question {
        let name = try name()
        let type = RecordType(rawValue: try uint16())
        return Question(name, type, RecordClass(rawValue: try uint16()))
    }
}
