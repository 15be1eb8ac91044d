internal import Bytes
internal import IP

/// What the header of an ICMP error becomes in the other family (RFC 7915 4.2 and 5.2).
struct ErrorMapping: Equatable {
    var type: UInt8
    var code: UInt8
    /// The second word, but for the length of the quotation.
    var word: UInt32 = 0
    /// Whether the second word has a place for the length of the quotation, and extensions may
    /// follow (RFC 4884 4).
    var hasLength = false

    /// What an error says besides type and code.
    struct Message {
        let type: UInt8
        let code: UInt8
        let word: UInt32
        /// The total length that the quoted packet says it has, in bytes.
        let quotedByteCount: Int
        /// Whether the quoted packet is a piece of a datagram, so that one of the other family has
        /// a fragment header.
        let isQuotedFragment: Bool
        let limits: PathLimits
    }
}

// MARK: - ICMPv4 to ICMPv6

extension ErrorMapping {
    /// RFC 7915 4.2.
    init(toIPv6 message: Message) throws(TranslationError) {
        let untranslatable = TranslationError.untranslatableMessage(
            type: message.type,
            code: message.code
        )
        switch (message.type, message.code) {
        case (3, 2): self.init(type: 4, code: 1, word: 6)
        case (3, 4): self.init(type: 2, code: 0, word: Self.sizeForIPv6(message))
        case (3, let code):
            guard let new = Self.unreachableForIPv6(code) else { throw untranslatable }
            self.init(type: 1, code: new, hasLength: true)
        case (11, let code): self.init(type: 3, code: code, hasLength: true)
        case (12, 0), (12, 2):
            let pointer = message.word >> 24
            guard let new = Self.pointerForIPv6(pointer) else {
                throw .untranslatablePointer(pointer)
            }
            self.init(type: 4, code: 0, word: new)
        default: throw untranslatable
        }
    }

    /// Codes of destination unreachable.
    private static func unreachableForIPv6(_ code: UInt8) -> UInt8? {
        switch code {
        case 0, 1, 5, 6, 7, 8, 11, 12: 0
        case 3: 4
        case 9, 10, 13, 15: 1
        default: nil
        }
    }

    /// The offset in an IPv6 header of what lies at `pointer` in an IPv4 header.
    private static func pointerForIPv6(_ pointer: UInt32) -> UInt32? {
        switch pointer {
        case 0, 1: pointer
        case 2, 3: 4
        case 8: 7
        case 9: 6
        case 12...15: 8
        case 16...19: 24
        default: nil
        }
    }

    /// The size that a fragmentation-needed message becomes; a router that knows none is helped by
    /// the plateaus of RFC 1191 7.1. Never below what every IPv6 link carries (RFC 7915 6).
    private static func sizeForIPv6(_ message: Message) -> UInt32 {
        var size = Int(message.word & 0xffff)
        if size == 0 { size = plateau(below: message.quotedByteCount) }
        size = min(
            size + (message.isQuotedFragment ? 28 : 20),
            message.limits.ipv6,
            message.limits.ipv4 + 20
        )
        return UInt32(clamping: max(size, Translator.Limits.ipv6MinimumByteCount))
    }

    /// RFC 1191 7.1, table 7-1; what is below 1,280 matters not.
    private static func plateau(below byteCount: Int) -> Int {
        switch byteCount {
        case 32_001...: 32_000
        case 17_915...: 17_914
        case 8_167...: 8_166
        case 4_353...: 4_352
        case 2_003...: 2_002
        case 1_493...: 1_492
        default: 1_006
        }
    }
}

// MARK: - ICMPv6 to ICMPv4

extension ErrorMapping {
    /// RFC 7915 5.2.
    init(toIPv4 message: Message) throws(TranslationError) {
        let untranslatable = TranslationError.untranslatableMessage(
            type: message.type,
            code: message.code
        )
        switch (message.type, message.code) {
        case (1, let code):
            guard let new = Self.unreachableForIPv4(code) else { throw untranslatable }
            self.init(type: 3, code: new, hasLength: true)
        case (2, _): self.init(type: 3, code: 4, word: Self.sizeForIPv4(message))
        case (3, let code): self.init(type: 11, code: code, hasLength: true)
        case (4, 0):
            guard let new = Self.pointerForIPv4(message.word) else {
                throw .untranslatablePointer(message.word)
            }
            self.init(type: 12, code: 0, word: new << 24)
        case (4, 1): self.init(type: 3, code: 2)
        default: throw untranslatable
        }
    }

    /// Codes of destination unreachable.
    private static func unreachableForIPv4(_ code: UInt8) -> UInt8? {
        switch code {
        case 0, 2, 3: 1
        case 1: 10
        case 4: 3
        default: nil
        }
    }

    /// The offset in an IPv4 header of what lies at `pointer` in an IPv6 header.
    private static func pointerForIPv4(_ pointer: UInt32) -> UInt32? {
        switch pointer {
        case 0, 1: pointer
        case 4, 5: 2
        case 6: 9
        case 7: 8
        case 8...23: 12
        case 24...39: 16
        default: nil
        }
    }

    /// The size that a packet-too-big message becomes.
    private static func sizeForIPv4(_ message: Message) -> UInt32 {
        let headers = message.isQuotedFragment ? 28 : 20
        let size = min(
            Int(message.word) - headers,
            message.limits.ipv4,
            message.limits.ipv6 - 20
        )
        // No IPv4 link carries less than 68 bytes (RFC 791 3.2).
        return UInt32(clamping: min(max(size, 68), 0xffff))
    }
}
