internal import Bytes

/// The Internet checksum (RFC 1071): a ones'-complement sum of 16-bit words in network order.
///
/// Pieces are added one after the other; a piece after an odd number of bytes is summed as if its
/// words were swapped (RFC 1071 2.B). Complexity: linear in the bytes added.
public struct Checksum: Hashable, Sendable {
    /// The words so far, not folded: each piece adds at most 33 bits.
    private var words: UInt64 = 0
    /// Whether the next byte is the lower half of a word.
    private var isOdd = false

    public init() {}

    /// A sum that starts from a folded one, such as the partial checksum that a kernel left.
    public init(partial: UInt16) { words = UInt64(partial) }

    /// Adds a 16-bit word; even position only.
    public mutating func add(_ word: UInt16) { words += UInt64(word) }

    /// Adds two 16-bit words; even position only.
    public mutating func add(_ word: UInt32) { words += UInt64(word) }

    /// Adds an address, 4 or 16 bytes; even position only.
    public mutating func add(_ address: IPAddress) {
        if address.isIPv4 {
            words += UInt64(address.ipv4)
        } else {
            words += address.high >> 32 + address.high & 0xffff_ffff
            words += address.low >> 32 + address.low & 0xffff_ffff
        }
    }

    /// Adds bytes, any number of them.
    public mutating func add(_ bytes: RawSpan) {
        let sum = Self.sum(bytes)
        words += UInt64(isOdd ? sum.byteSwapped : sum)
        if bytes.byteCount & 1 == 1 { isOdd.toggle() }
    }

    /// The sum in 16 bits: what a partial checksum field holds.
    public var folded: UInt16 { Self.fold(words) }

    /// The complement of the sum: what a checksum field holds.
    public var field: UInt16 { ~folded }

    /// As ``field``, but never zero, which would mean "no checksum" (RFC 768).
    public var fieldForUDP: UInt16 { Self.nonZero(field) }

    /// 0xFFFF in place of 0x0000: the same number in ones' complement.
    public static func nonZero(_ field: UInt16) -> UInt16 { field == 0 ? 0xffff : field }

    /// Carries added back in until 16 bits are left (end-around carry).
    @inlinable public static func fold(_ words: UInt64) -> UInt16 {
        var sum = words >> 32 + words & 0xffff_ffff
        sum = sum >> 32 + sum & 0xffff_ffff
        sum = sum >> 16 + sum & 0xffff
        sum = sum >> 16 + sum & 0xffff
        return UInt16(truncatingIfNeeded: sum)
    }
}

// MARK: - Pseudo header

extension Checksum {
    /// A sum that starts with the pseudo header (RFC 9293 3.1, RFC 768, RFC 8200 8.1);
    /// `byteCount` is that of transport header and payload.
    public init(
        pseudoHeaderOf transport: TransportProtocol,
        source: IPAddress,
        destination: IPAddress,
        byteCount: Int
    ) {
        add(source)
        add(destination)
        add(UInt16(transport.rawValue))
        add(UInt32(truncatingIfNeeded: byteCount))
    }
}

// MARK: - Many bytes

extension Checksum {
    /// The folded sum of `bytes`, which start at an even position; an odd last byte is padded.
    public static func sum(_ bytes: RawSpan) -> UInt16 {
        // Little-endian words sum to the same value with its bytes swapped (RFC 1071 2.B), so the
        // loop loads without swapping. Halves of 32 bits go to sums of their own: no carry to keep.
        // So plain a loop becomes vector instructions; unrolled by hand it is three times slower.
        var (lower, upper) = (UInt64(0), UInt64(0))
        let wordCount = bytes.byteCount / 8
        for index in 0..<wordCount {
            let word = bytes.littleEndianUInt64(at: index * 8)
            lower &+= word & 0xffff_ffff
            upper &+= word >> 32
        }
        var offset = wordCount * 8
        if bytes.byteCount - offset >= 4 {
            lower &+= UInt64(bytes.littleEndianUInt32(at: offset))
            offset += 4
        }
        if bytes.byteCount - offset >= 2 {
            lower &+= UInt64(bytes.uint16(at: offset).byteSwapped)
            offset += 2
        }
        if offset < bytes.byteCount { lower &+= UInt64(bytes.byte(at: offset)) }
        return fold(lower &+ upper).byteSwapped
    }
}
