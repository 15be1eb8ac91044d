internal import CCrypto

/// 32 secret bytes with one owner, at one place in memory; wiped when the owner lets go.
@safe public struct Secret: ~Copyable, @unchecked Sendable {
    /// How many bytes a secret has.
    public static var byteCount: Int { 32 }

    private let storage: UnsafeMutableRawBufferPointer

    /// Copies `bytes`, of which there must be 32.
    public init(copying bytes: RawSpan) {
        self.init()
        precondition(bytes.byteCount == Self.byteCount)
        unsafe bytes.withUnsafeBytes { unsafe storage.copyMemory(from: $0) }
    }

    /// Takes the bytes over from `bytes`, which is wiped.
    public init(moving bytes: inout Bytes32) {
        self.init(copying: bytes.rawSpan)
        bytes.wipe()
    }

    /// Draws 32 bytes from `generator`.
    public init(from generator: inout some RandomNumberGenerator) {
        self.init()
        for offset in stride(from: 0, to: Self.byteCount, by: 8) {
            let word = generator.next()
            unsafe storage.storeBytes(of: word.littleEndian, toByteOffset: offset, as: UInt64.self)
        }
    }

    /// All zero: Noise's stand-in for a preshared key that there is none of.
    public init() {
        unsafe storage = .allocate(byteCount: Self.byteCount, alignment: 16)
        unsafe storage.initializeMemory(as: UInt8.self, repeating: 0)
    }

    deinit {
        unsafe OPENSSL_cleanse(storage.baseAddress, storage.count)
        unsafe storage.deallocate()
    }

    /// The bytes, lent.
    public var bytes: RawSpan {
        @_lifetime(borrow self)
        get {
            let all = unsafe RawSpan(_unsafeBytes: storage)
            return unsafe _overrideLifetime(all, borrowing: self)
        }
    }

    /// The bytes, lent for writing.
    public var mutableBytes: MutableRawSpan {
        @_lifetime(&self)
        mutating get {
            let all = unsafe MutableRawSpan(_unsafeBytes: storage)
            return unsafe _overrideLifetime(all, mutating: &self)
        }
    }

    /// Another owner of the same bytes.
    public borrowing func copy() -> Secret { Secret(copying: bytes) }
}
