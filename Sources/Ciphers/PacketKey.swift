internal import CCrypto

/// One direction's key of a session: ChaCha20-Poly1305 (RFC 8439) without additional data, whose
/// nonce is 32 zero bits and the packet's counter, little-endian (WireGuard paper, section 5.4.6).
///
/// Calls allocate nothing. A key belongs to one thread at a time; it may move to another, since
/// libipsec-mb's manager is the calling thread's own.
@safe public struct PacketKey: ~Copyable, @unchecked Sendable {
    /// Who does the work; the bytes are the same.
    public enum Engine: Sendable, CaseIterable {
        /// libcrypto: always there.
        case libcrypto
        /// libipsec-mb: where it is installed and the processor has AVX-512.
        case multiBuffer

        /// Whether it can be used here.
        public var isAvailable: Bool {
            switch self {
            case .libcrypto: true
            case .multiBuffer: culvert_multibuffer_available()
            }
        }

        /// The fastest one that can be used here.
        public static var fastest: Engine {
            Engine.multiBuffer.isAvailable ? .multiBuffer : .libcrypto
        }
    }

    /// Bytes by which sealed text is longer than plain text.
    public static var tagByteCount: Int { 16 }

    private let key: Secret
    /// Keeps the key scheduled; nil where libipsec-mb works.
    private let context: OpaquePointer?

    /// Takes the key over; `engine` must be available.
    public init(_ key: consuming Secret, engine: Engine = .fastest) {
        switch engine {
        case .multiBuffer: unsafe context = nil
        case .libcrypto: unsafe context = Self.makeContext(key)
        }
        self.key = key
    }

    deinit { unsafe EVP_CIPHER_CTX_free(context) }

    /// The key, lent: for the process that goes on with the session.
    public var bytes: RawSpan {
        @_lifetime(borrow self)
        get { key.bytes }
    }

    /// Seals all but the last 16 bytes of `text` where they lie, and writes the tag into those.
    @_lifetime(text: copy text)
    public borrowing func seal(_ text: inout MutableRawSpan, counter: UInt64) {
        precondition(text.byteCount >= Self.tagByteCount)
        unsafe text.withUnsafeMutableBytes { bytes in
            guard let base = bytes.baseAddress else { return }
            unsafe seal(base, base, bytes.count - Self.tagByteCount, counter)
        }
    }

    /// Seals `plain` into the start of `sealed`, which has room for 16 bytes more.
    @_lifetime(sealed: copy sealed)
    public borrowing func seal(
        _ plain: RawSpan,
        into sealed: inout MutableRawSpan,
        counter: UInt64
    ) {
        precondition(sealed.byteCount >= plain.byteCount + Self.tagByteCount)
        unsafe plain.withUnsafeBytes { from in
            unsafe sealed.withUnsafeMutableBytes { to in
                guard let target = to.baseAddress else { return }
                let source = unsafe from.baseAddress ?? UnsafeRawPointer(target)
                unsafe seal(source, target, from.count, counter)
            }
        }
    }

    /// Opens `text` where it lies: all but its last 16 bytes become plain.
    ///
    /// Refused bytes are zero afterwards.
    @_lifetime(text: copy text)
    public borrowing func open(
        _ text: inout MutableRawSpan,
        counter: UInt64
    ) throws(AuthenticationError) {
        guard text.byteCount >= Self.tagByteCount else { throw AuthenticationError() }
        let isAuthentic = unsafe text.withUnsafeMutableBytes { bytes in
            guard let base = bytes.baseAddress else { return false }
            return unsafe open(base, base, bytes.count - Self.tagByteCount, counter)
        }
        if !isAuthentic { throw AuthenticationError() }
    }

    /// Opens `sealed` into the start of `plain`, which has room for all but the tag's 16 bytes.
    ///
    /// Of refused bytes nothing is left in `plain`.
    @_lifetime(plain: copy plain)
    public borrowing func open(
        _ sealed: RawSpan,
        into plain: inout MutableRawSpan,
        counter: UInt64
    ) throws(AuthenticationError) {
        let byteCount = sealed.byteCount - Self.tagByteCount
        guard byteCount >= 0 else { throw AuthenticationError() }
        precondition(plain.byteCount >= byteCount)
        let isAuthentic = unsafe sealed.withUnsafeBytes { from in
            unsafe plain.withUnsafeMutableBytes { to in
                guard let source = from.baseAddress else { return false }
                guard let target = to.baseAddress else {
                    // Nothing but a tag, and no room for no plain text: nothing is written.
                    return unsafe open(
                        source,
                        UnsafeMutableRawPointer(mutating: source),
                        0,
                        counter
                    )
                }
                return unsafe open(source, target, byteCount, counter)
            }
        }
        if !isAuthentic { throw AuthenticationError() }
    }
}

// MARK: - The two engines

extension PacketKey {
    private typealias Nonce = InlineArray<12, UInt8>

    private static func makeContext(_ key: borrowing Secret) -> OpaquePointer {
        guard let context = unsafe EVP_CIPHER_CTX_new() else { preconditionFailure("no memory") }
        let isReady = unsafe key.bytes.withUnsafeBytes { key in
            unsafe EVP_CipherInit_ex(
                context,
                EVP_chacha20_poly1305(),
                nil,
                key.baseAddress?.assumingMemoryBound(to: UInt8.self),
                nil,
                1
            ) == 1
        }
        precondition(isReady, "libcrypto has no ChaCha20-Poly1305")
        return unsafe context
    }

    @inline(__always)
    private static func nonce(_ counter: UInt64) -> Nonce {
        var nonce = Nonce(repeating: 0)
        for index in 0..<8 {
            nonce[4 + index] = UInt8(truncatingIfNeeded: counter >> UInt64(8 * index))
        }
        return nonce
    }

    /// The tag goes behind the sealed text.
    private func seal(
        _ source: UnsafeRawPointer,
        _ target: UnsafeMutableRawPointer,
        _ byteCount: Int,
        _ counter: UInt64
    ) {
        let nonce = Self.nonce(counter)
        let from = unsafe source.assumingMemoryBound(to: UInt8.self)
        let to = unsafe target.assumingMemoryBound(to: UInt8.self)
        guard let context = unsafe context else {
            return unsafe work(true, nonce, from, to, byteCount, tag: to + byteCount)
        }
        unsafe nonce.span.withUnsafeBufferPointer { nonce in
            var written: Int32 = 0
            let isDone =
                unsafe EVP_CipherInit_ex(context, nil, nil, nil, nonce.baseAddress, 1) == 1
                && EVP_CipherUpdate(context, to, &written, from, Int32(byteCount)) == 1
                && EVP_CipherFinal_ex(context, to + byteCount, &written) == 1
                && EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, 16, to + byteCount) == 1
            precondition(isDone, "libcrypto refused to seal")
        }
    }

    /// The tag lies behind the sealed text.
    private func open(
        _ source: UnsafeRawPointer,
        _ target: UnsafeMutableRawPointer,
        _ byteCount: Int,
        _ counter: UInt64
    ) -> Bool {
        let nonce = Self.nonce(counter)
        let from = unsafe source.assumingMemoryBound(to: UInt8.self)
        let to = unsafe target.assumingMemoryBound(to: UInt8.self)
        let isAuthentic: Bool
        if let context = unsafe context {
            isAuthentic = unsafe nonce.span.withUnsafeBufferPointer { nonce in
                var written: Int32 = 0
                let tag = unsafe UnsafeMutablePointer(mutating: from + byteCount)
                var rest: UInt8 = 0
                return unsafe EVP_CipherInit_ex(context, nil, nil, nil, nonce.baseAddress, 0) == 1
                    && EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, 16, tag) == 1
                    && EVP_CipherUpdate(context, to, &written, from, Int32(byteCount)) == 1
                    && EVP_CipherFinal_ex(context, &rest, &written) == 1
            }
        } else {
            var tag = InlineArray<16, UInt8>(repeating: 0)
            var tagBytes = tag.mutableSpan
            isAuthentic = unsafe tagBytes.withUnsafeMutableBufferPointer { tag in
                guard let made = tag.baseAddress else { return false }
                unsafe work(false, nonce, from, to, byteCount, tag: made)
                return unsafe CRYPTO_memcmp(made, from + byteCount, 16) == 0
            }
        }
        if !isAuthentic {
            unsafe target.initializeMemory(as: UInt8.self, repeating: 0, count: byteCount)
        }
        return isAuthentic
    }

    /// libipsec-mb's part of both.
    private func work(
        _ seals: Bool,
        _ nonce: Nonce,
        _ from: UnsafePointer<UInt8>,
        _ to: UnsafeMutablePointer<UInt8>,
        _ byteCount: Int,
        tag: UnsafeMutablePointer<UInt8>
    ) {
        let isDone = unsafe key.bytes.withUnsafeBytes { key in
            unsafe nonce.span.withUnsafeBufferPointer { nonce in
                unsafe culvert_multibuffer_chacha20poly1305(
                    seals,
                    key.baseAddress?.assumingMemoryBound(to: UInt8.self),
                    nonce.baseAddress,
                    from,
                    to,
                    byteCount,
                    tag
                )
            }
        }
        precondition(isDone, "no memory for libipsec-mb on this thread")
    }
}
