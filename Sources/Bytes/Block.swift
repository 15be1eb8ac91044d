/// One block of memory with one owner, 64-byte aligned and zeroed, so that stale bytes never leak.
@safe public struct Block: ~Copyable {
    @usableFromInline let storage: UnsafeMutableRawBufferPointer
    /// The size, in bytes; fixed.
    public let byteCount: Int

    public init(byteCount: Int) {
        self.byteCount = byteCount
        unsafe storage = .allocate(byteCount: byteCount, alignment: 64)
        unsafe storage.initializeMemory(as: UInt8.self, repeating: 0)
    }

    deinit { unsafe storage.deallocate() }

    /// The bytes of `range`, lent; traps outside the block.
    @inlinable @_lifetime(borrow self)
    public func bytes(_ range: Range<Int>) -> RawSpan {
        let all = unsafe RawSpan(_unsafeBytes: storage)
        return unsafe _overrideLifetime(all.extracting(range), borrowing: self)
    }

    /// The bytes of `range`, lent for writing; traps outside the block.
    @inlinable @_lifetime(&self)
    public mutating func mutableBytes(_ range: Range<Int>) -> MutableRawSpan {
        var all = unsafe MutableRawSpan(_unsafeBytes: storage)
        return unsafe _overrideLifetime(all._mutatingExtracting(range), mutating: &self)
    }

    /// The memory itself, for system calls; the block outlives the call.
    @unsafe public mutating func withUnsafeMutableBytes<R, E: Error>(
        _ body: (UnsafeMutableRawBufferPointer) throws(E) -> R
    ) throws(E) -> R {
        try unsafe body(storage)
    }

    /// The memory itself, for system calls; the block outlives the call.
    @unsafe public func withUnsafeBytes<R, E: Error>(
        _ body: (UnsafeRawBufferPointer) throws(E) -> R
    ) throws(E) -> R {
        try unsafe body(UnsafeRawBufferPointer(storage))
    }
}
