// One of the few files of this module that spell `unsafe`: the loads are bounds-checked by the
// standard library and marked unsafe only because they reinterpret bytes as integers.

extension RawSpan {
    /// The byte at `offset`.
    @inlinable public func byte(at offset: Int) -> UInt8 {
        unsafe unsafeLoad(fromByteOffset: offset, as: UInt8.self)
    }

    /// The big-endian 16-bit integer that starts at `offset`.
    @inlinable public func uint16(at offset: Int) -> UInt16 {
        unsafe UInt16(bigEndian: unsafeLoadUnaligned(fromByteOffset: offset, as: UInt16.self))
    }

    /// The big-endian 32-bit integer that starts at `offset`.
    @inlinable public func uint32(at offset: Int) -> UInt32 {
        unsafe UInt32(bigEndian: unsafeLoadUnaligned(fromByteOffset: offset, as: UInt32.self))
    }

    /// The big-endian 64-bit integer that starts at `offset`.
    @inlinable public func uint64(at offset: Int) -> UInt64 {
        unsafe UInt64(bigEndian: unsafeLoadUnaligned(fromByteOffset: offset, as: UInt64.self))
    }

    /// The little-endian 32-bit integer that starts at `offset` (WireGuard's byte order).
    @inlinable public func littleEndianUInt32(at offset: Int) -> UInt32 {
        unsafe UInt32(littleEndian: unsafeLoadUnaligned(fromByteOffset: offset, as: UInt32.self))
    }

    /// The little-endian 64-bit integer that starts at `offset` (WireGuard's byte order).
    @inlinable public func littleEndianUInt64(at offset: Int) -> UInt64 {
        unsafe UInt64(littleEndian: unsafeLoadUnaligned(fromByteOffset: offset, as: UInt64.self))
    }

    /// A copy of the bytes, for the control side and for tests; never per packet.
    public var array: [UInt8] {
        unsafe withUnsafeBytes { unsafe [UInt8]($0) }
    }

    /// Whether both spans hold the same bytes. Not constant time: never for secrets.
    public func hasSameBytes(as other: RawSpan) -> Bool {
        guard byteCount == other.byteCount else { return false }
        for offset in 0..<byteCount where byte(at: offset) != other.byte(at: offset) {
            return false
        }
        return true
    }
}

extension MutableRawSpan {
    /// Stores `value` at `offset`.
    @inlinable @_lifetime(self: copy self)
    public mutating func store(_ value: UInt8, at offset: Int) {
        storeBytes(of: value, toByteOffset: offset, as: UInt8.self)
    }

    /// Stores `value` in network byte order at `offset`.
    @inlinable @_lifetime(self: copy self)
    public mutating func store(_ value: UInt16, at offset: Int) {
        storeBytes(of: value.bigEndian, toByteOffset: offset, as: UInt16.self)
    }

    /// Stores `value` in network byte order at `offset`.
    @inlinable @_lifetime(self: copy self)
    public mutating func store(_ value: UInt32, at offset: Int) {
        storeBytes(of: value.bigEndian, toByteOffset: offset, as: UInt32.self)
    }

    /// Stores `value` in network byte order at `offset`.
    @inlinable @_lifetime(self: copy self)
    public mutating func store(_ value: UInt64, at offset: Int) {
        storeBytes(of: value.bigEndian, toByteOffset: offset, as: UInt64.self)
    }

    /// Stores `value` in little-endian order at `offset` (WireGuard's byte order).
    @inlinable @_lifetime(self: copy self)
    public mutating func storeLittleEndian(_ value: UInt32, at offset: Int) {
        storeBytes(of: value.littleEndian, toByteOffset: offset, as: UInt32.self)
    }

    /// Stores `value` in little-endian order at `offset` (WireGuard's byte order).
    @inlinable @_lifetime(self: copy self)
    public mutating func storeLittleEndian(_ value: UInt64, at offset: Int) {
        storeBytes(of: value.littleEndian, toByteOffset: offset, as: UInt64.self)
    }

    /// Copies all of `source` to `offset`; traps when it does not fit.
    @inlinable @_lifetime(self: copy self)
    public mutating func write(_ source: RawSpan, at offset: Int) {
        precondition(offset >= 0 && source.byteCount <= byteCount - offset)
        unsafe withUnsafeMutableBytes { target in
            unsafe source.withUnsafeBytes { bytes in
                guard let from = bytes.baseAddress, let base = target.baseAddress else { return }
                unsafe (base + offset).copyMemory(from: from, byteCount: bytes.count)
            }
        }
    }

    /// Sets the bytes of `range` to zero.
    @inlinable @_lifetime(self: copy self)
    public mutating func zero(_ range: Range<Int>) {
        precondition(range.lowerBound >= 0 && range.upperBound <= byteCount)
        unsafe withUnsafeMutableBytes { target in
            guard let base = target.baseAddress, !range.isEmpty else { return }
            unsafe (base + range.lowerBound)
                .initializeMemory(as: UInt8.self, repeating: 0, count: range.count)
        }
    }

    /// Moves the bytes of `range` so that they start at `offset`; the two may overlap.
    @inlinable @_lifetime(self: copy self)
    public mutating func move(_ range: Range<Int>, to offset: Int) {
        precondition(range.lowerBound >= 0 && range.upperBound <= byteCount)
        precondition(offset >= 0 && range.count <= byteCount - offset)
        unsafe withUnsafeMutableBytes { target in
            guard let base = target.baseAddress else { return }
            unsafe (base + offset)
                .copyMemory(from: base + range.lowerBound, byteCount: range.count)
        }
    }
}

extension Array where Element == UInt8 {
    /// The array's bytes, lent.
    public var rawSpan: RawSpan {
        @_lifetime(borrow self)
        get { unsafe span.bytes }
    }
}
