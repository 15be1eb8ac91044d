internal import CCrypto

extension InlineArray where Element == UInt8 {
    /// The bytes, lent.
    public var rawSpan: RawSpan {
        @_lifetime(borrow self)
        get { unsafe span.bytes }
    }

    /// The bytes, lent for writing.
    public var mutableRawSpan: MutableRawSpan {
        @_lifetime(&self)
        mutating get {
            var elements = mutableSpan
            let bytes = unsafe elements.withUnsafeMutableBytes { unsafe $0 }
            return unsafe _overrideLifetime(MutableRawSpan(_unsafeBytes: bytes), mutating: &self)
        }
    }

    /// Sets all bytes to zero, in a way that the compiler does not leave out.
    public mutating func wipe() {
        let byteCount = count
        var elements = mutableSpan
        unsafe elements.withUnsafeMutableBufferPointer { bytes in
            unsafe OPENSSL_cleanse(bytes.baseAddress, byteCount)
        }
    }

    /// A copy of `bytes`, which must be as many as the array holds.
    public init(copying bytes: RawSpan) {
        precondition(bytes.byteCount == count)
        self.init { unsafe bytes.unsafeLoad(fromByteOffset: $0, as: UInt8.self) }
    }
}

extension RawSpan {
    /// Whether both hold the same bytes, in a time that depends only on how many there are.
    public func isEqualInConstantTime(to other: RawSpan) -> Bool {
        guard byteCount == other.byteCount else { return false }
        return unsafe withUnsafeBytes { mine in
            unsafe other.withUnsafeBytes { theirs in
                guard let mine = mine.baseAddress, let theirs = theirs.baseAddress else {
                    return true
                }
                return unsafe CRYPTO_memcmp(mine, theirs, byteCount) == 0
            }
        }
    }
}
