public import Ciphers
internal import Bytes

/// A public or preshared key: 32 bytes, compared in constant time and never printed.
public struct Key: Hashable, Sendable, CustomStringConvertible {
    /// How many bytes a key has.
    public static var byteCount: Int { 32 }

    private let storage: Bytes32

    public init(_ bytes: Bytes32) { storage = bytes }

    /// Copies `bytes`; nil unless there are 32.
    public init?(copying bytes: RawSpan) {
        guard bytes.byteCount == Self.byteCount else { return nil }
        storage = Bytes32(copying: bytes)
    }

    /// The bytes, lent.
    public var bytes: RawSpan {
        @_lifetime(borrow self)
        get { storage.rawSpan }
    }

    /// A copy of the bytes, for the control side.
    public var array: [UInt8] { bytes.array }

    public static func == (lhs: Key, rhs: Key) -> Bool {
        lhs.bytes.isEqualInConstantTime(to: rhs.bytes)
    }

    public func hash(into hasher: inout Hasher) {
        for offset in stride(from: 0, to: Self.byteCount, by: 8) {
            hasher.combine(bytes.littleEndianUInt64(at: offset))
        }
    }

    public var description: String { "Key" }
}
