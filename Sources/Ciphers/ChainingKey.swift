internal import Bytes

/// HMAC with BLAKE2s-256 (RFC 2104), as Noise uses it.
public enum HMACBLAKE2s {
    /// The code of `first` followed by `second`; `key` has at most 64 bytes.
    public static func code(
        of first: RawSpan,
        _ second: RawSpan = RawSpan(),
        key: RawSpan
    ) -> Bytes32 {
        precondition(key.byteCount <= 64)
        var pad = InlineArray<64, UInt8>(repeating: 0x36)
        for index in 0..<key.byteCount { pad[index] ^= key.byte(at: index) }
        var inner = BLAKE2s()
        inner.update(pad.rawSpan)
        inner.update(first)
        inner.update(second)
        let digest = inner.finish()
        for index in 0..<64 { pad[index] ^= 0x36 ^ 0x5c }
        let code = BLAKE2s.hash(pad.rawSpan, digest.rawSpan)
        pad.wipe()
        return code
    }
}

/// A Noise handshake's chaining key, with the key derivations KDF1, KDF2 and KDF3 (WireGuard paper,
/// section 5.4) as what they are used for: the first output replaces the chaining key.
public struct ChainingKey: ~Copyable {
    private var key: Secret

    public init(_ initial: Bytes32) { key = Secret(copying: initial.rawSpan) }

    /// The key itself, lent.
    public var bytes: RawSpan {
        @_lifetime(borrow self)
        get { key.bytes }
    }

    /// Another owner of the same key.
    public borrowing func copy() -> ChainingKey { ChainingKey(copying: key) }

    private init(copying key: borrowing Secret) { self.key = key.copy() }

    /// KDF1.
    public mutating func mix(_ input: RawSpan) {
        let root = extract(input)
        key = expand(root, RawSpan(), 1)
    }

    /// KDF2; returns the second output.
    public mutating func derive(_ input: RawSpan) -> Secret {
        let root = extract(input)
        key = expand(root, RawSpan(), 1)
        return expand(root, key.bytes, 2)
    }

    /// KDF3; the second output goes into `middle`, the third is returned.
    public mutating func derive(_ input: RawSpan, middle: inout Secret) -> Secret {
        let root = extract(input)
        key = expand(root, RawSpan(), 1)
        middle = expand(root, key.bytes, 2)
        return expand(root, middle.bytes, 3)
    }

    private func extract(_ input: RawSpan) -> Secret {
        var code = HMACBLAKE2s.code(of: input, key: key.bytes)
        return Secret(moving: &code)
    }

    private func expand(_ root: borrowing Secret, _ previous: RawSpan, _ number: UInt8) -> Secret {
        let suffix: InlineArray<1, UInt8> = [number]
        var code = HMACBLAKE2s.code(of: previous, suffix.rawSpan, key: root.bytes)
        return Secret(moving: &code)
    }
}
