/// What a rewrite of some words does to a checksum (RFC 1624, equation 3).
///
/// Collect every replaced word, then apply the change once to each field that covers the words.
/// Words stand at even positions of what the checksum covers; for a word at an odd one, replace its
/// byte-swapped values.
public struct ChecksumChange: Hashable, Sendable {
    /// Sum of `~old + new` in pieces of at most 33 bits.
    private var words: UInt64 = 0

    public init() {}

    /// A 16-bit word changed.
    public mutating func replace(_ old: UInt16, with new: UInt16) {
        words += UInt64(~old) + UInt64(new)
    }

    /// Two neighbouring 16-bit words changed.
    public mutating func replace(_ old: UInt32, with new: UInt32) {
        words += UInt64(~old) + UInt64(new)
    }

    /// An address changed; between the families too, as the words in which a mapped address differs
    /// from its IPv4 address sum to zero in ones' complement.
    public mutating func replace(_ old: IPAddress, with new: IPAddress) {
        guard !(old.isIPv4 && new.isIPv4) else { return replace(old.ipv4, with: new.ipv4) }
        replace(
            UInt32(truncatingIfNeeded: old.high >> 32),
            with: UInt32(truncatingIfNeeded: new.high >> 32)
        )
        replace(UInt32(truncatingIfNeeded: old.high), with: UInt32(truncatingIfNeeded: new.high))
        replace(
            UInt32(truncatingIfNeeded: old.low >> 32),
            with: UInt32(truncatingIfNeeded: new.low >> 32)
        )
        replace(UInt32(truncatingIfNeeded: old.low), with: UInt32(truncatingIfNeeded: new.low))
    }

    /// Everything that another change replaces.
    public mutating func add(_ other: ChecksumChange) { words += other.words }

    /// The new value of a checksum field.
    public func applied(to field: UInt16) -> UInt16 { ~Checksum.fold(UInt64(~field) + words) }

    /// The new value of a field that holds a sum, not its complement (partial checksum).
    public func applied(toPartial field: UInt16) -> UInt16 { Checksum.fold(UInt64(field) + words) }
}
