internal import Bytes

/// A domain name in wire form, compared without regard to the case of ASCII letters (RFC 4343).
///
/// The case is kept: a name is written as it was read.
public struct Name: Sendable {
    /// Bounds of RFC 1035 section 2.3.4.
    public enum Limits {
        /// Bytes of one label.
        public static var labelByteCount: Int { 63 }
        /// Bytes of a name in wire form, with its lengths and the root.
        public static var byteCount: Int { 255 }
    }

    /// The name in wire form, uncompressed: each label after its length, then a zero.
    public let wire: [UInt8]

    /// The root.
    public static let root = Name(unchecked: [0])

    /// - Parameter wire: Surely a name in wire form.
    init(unchecked wire: [UInt8]) { self.wire = wire }

    /// A name in uncompressed wire form that fills `wire`.
    public init(wire: [UInt8]) throws(NameError) {
        guard wire.count <= Limits.byteCount else { throw .tooLong(byteCount: wire.count) }
        var offset = 0
        while true {
            guard offset < wire.count else { throw .truncated(offset: offset) }
            let length = Int(wire[offset])
            if length == 0 { break }
            guard length <= Limits.labelByteCount else { throw .badLabelType(offset: offset) }
            offset += 1 + length
        }
        guard offset + 1 == wire.count else { throw .trailingBytes(offset: offset + 1) }
        self.wire = wire
    }

    /// A name of labels, leftmost first.
    public init(labels: [[UInt8]]) throws(NameError) {
        var wire: [UInt8] = []
        for label in labels {
            guard !label.isEmpty else { throw .emptyLabel(offset: wire.count) }
            guard label.count <= Limits.labelByteCount else {
                throw .labelTooLong(offset: wire.count)
            }
            wire.append(UInt8(label.count))
            wire += label
        }
        wire.append(0)
        guard wire.count <= Limits.byteCount else { throw .tooLong(byteCount: wire.count) }
        self.wire = wire
    }
}

/// Why something is not a domain name.
public enum NameError: Error, Equatable {
    /// The bytes end inside the name.
    case truncated(offset: Int)
    /// A length byte of 64 or more that is not a pointer (RFC 6891 section 5).
    case badLabelType(offset: Int)
    /// A pointer that does not point backwards.
    case badPointer(offset: Int)
    /// More than 255 bytes.
    case tooLong(byteCount: Int)
    /// A label of more than 63 bytes.
    case labelTooLong(offset: Int)
    /// Two dots in a row, or a dot at the start.
    case emptyLabel(offset: Int)
    /// A backslash with neither three digits up to 255 nor a character behind it.
    case badEscape(offset: Int)
    /// A character outside ASCII; such names are written as A-labels (RFC 5890).
    case notASCII(offset: Int)
    /// Bytes behind the root.
    case trailingBytes(offset: Int)
}

// MARK: - Labels

extension Name {
    /// How many labels, without the root.
    public var labelCount: Int {
        var (count, offset) = (0, 0)
        while wire[offset] != 0 {
            offset += 1 + Int(wire[offset])
            count += 1
        }
        return count
    }

    /// Whether it is the root.
    public var isRoot: Bool { wire.count == 1 }

    /// The labels, leftmost first.
    public var labels: [[UInt8]] {
        var all: [[UInt8]] = []
        var offset = 0
        while wire[offset] != 0 {
            let end = offset + 1 + Int(wire[offset])
            all.append(Array(wire[offset + 1..<end]))
            offset = end
        }
        return all
    }

    /// The name without its leftmost label; nil for the root.
    public var parent: Name? {
        isRoot ? nil : Name(unchecked: Array(wire[(1 + Int(wire[0]))...]))
    }

    /// Whether it is `other`, or lies below it.
    public func isAtOrBelow(_ other: Name) -> Bool {
        guard other.wire.count <= wire.count else { return false }
        let start = wire.count - other.wire.count
        var offset = 0
        while offset < start { offset += 1 + Int(wire[offset]) }
        guard offset == start else { return false }
        for index in other.wire.indices where wire[start + index].folded != other.wire[index].folded
        {
            return false
        }
        return true
    }
}

extension UInt8 {
    /// An ASCII letter in lower case; any other byte as it is. Length bytes never change, so whole
    /// wire forms can be folded.
    @inlinable var folded: UInt8 { self &- 65 < 26 ? self | 0x20 : self }
}

extension UInt64 {
    /// Eight bytes, each as ``UInt8/folded``.
    fileprivate var folded: UInt64 {
        let (lower, top): (UInt64, UInt64) = (0x7f7f_7f7f_7f7f_7f7f, 0x8080_8080_8080_8080)
        let low = self & lower
        // The top bit of each byte says whether it is a letter: at least A, and not above Z.
        let isFromA = low &+ 0x3f3f_3f3f_3f3f_3f3f
        let isAboveZ = low &+ 0x2525_2525_2525_2525
        let isLetter = (isFromA ^ isAboveZ) & ~self & top
        return self | isLetter >> 2
    }
}

// MARK: - Comparison

extension Name: Hashable {
    public static func == (lhs: Name, rhs: Name) -> Bool {
        lhs.wire.count == rhs.wire.count && isSame(lhs.wire.rawSpan, rhs.wire.rawSpan)
    }

    /// Whether two spans of one length are the same but for the case of letters.
    fileprivate static func isSame(_ left: RawSpan, _ right: RawSpan) -> Bool {
        let count = left.byteCount
        var offset = 0
        while offset + 8 <= count {
            let (one, other) = (left.uint64(at: offset), right.uint64(at: offset))
            if one != other, one.folded != other.folded { return false }
            offset += 8
        }
        while offset < count {
            if left.byte(at: offset).folded != right.byte(at: offset).folded { return false }
            offset += 1
        }
        return true
    }

    public func hash(into hasher: inout Hasher) {
        let bytes = wire.rawSpan
        var offset = 0
        while offset + 8 <= wire.count {
            hasher.combine(bytes.uint64(at: offset).folded)
            offset += 8
        }
        var rest: UInt64 = 0
        while offset < wire.count {
            rest = rest << 8 | UInt64(bytes.byte(at: offset).folded)
            offset += 1
        }
        hasher.combine(rest)
    }
}

extension Name {
    /// A hash by a secret: who chooses names but does not know it cannot choose those that fall
    /// together. The same for names that are equal.
    public func hash(seed: UInt64) -> UInt64 {
        let bytes = wire.rawSpan
        var mixed = seed ^ UInt64(wire.count)
        var offset = 0
        while offset + 8 <= bytes.byteCount {
            mixed = Self.fold(bytes.uint64(at: offset).folded ^ seed, mixed)
            offset += 8
        }
        var rest: UInt64 = 0
        while offset < bytes.byteCount {
            rest = rest << 8 | UInt64(bytes.byte(at: offset).folded)
            offset += 1
        }
        return Self.fold(rest ^ ~seed, mixed)
    }

    private static func fold(_ one: UInt64, _ other: UInt64) -> UInt64 {
        let product = one.multipliedFullWidth(by: other ^ 0x9e37_79b9_7f4a_7c15)
        return product.high ^ product.low
    }

    /// Whether the name stands in `bytes` at `offset`, uncompressed, in any case of its letters.
    public func isWritten(in bytes: RawSpan, at offset: Int) -> Bool {
        guard offset >= 0, bytes.byteCount - offset >= wire.count else { return false }
        return Self.isSame(wire.rawSpan, bytes.extracting(offset..<offset + wire.count))
    }
}

extension Name: Comparable {
    /// The canonical order of RFC 4034 section 6.1: by labels from the right.
    public static func < (lhs: Name, rhs: Name) -> Bool {
        let (left, right) = (LabelRanges(of: lhs), LabelRanges(of: rhs))
        for index in 0..<min(left.count, right.count) {
            let (one, other) = (left[index], right[index])
            for (a, b) in zip(one, other) where lhs.wire[a].folded != rhs.wire[b].folded {
                return lhs.wire[a].folded < rhs.wire[b].folded
            }
            if one.count != other.count { return one.count < other.count }
        }
        return left.count < right.count
    }

    /// Bytes whose order is that of names by labels from the right, for sorting many: what lies
    /// below a name follows it at once.
    public var sortKey: [UInt8] {
        var key: [UInt8] = []
        key.reserveCapacity(wire.count)
        for label in labels.reversed() {
            key += label.map(\.folded)
            key.append(0)
        }
        return key
    }
}
