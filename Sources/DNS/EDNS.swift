/// The extension record OPT (RFC 6891), which every message holds at most once.
public struct EDNS: Hashable, Sendable {
    /// One option.
    public struct Option: Hashable, Sendable {
        /// Which one (IANA registry).
        public var code: UInt16
        /// Its value, as it travels.
        public var value: [UInt8]

        public init(code: UInt16, value: [UInt8]) { (self.code, self.value) = (code, value) }
    }

    /// Bytes of the largest UDP message that the sender takes; below 512 means 512.
    public var udpByteCount: UInt16
    /// The upper eight bits of the response code.
    public var extendedResponseCode: UInt8
    /// The version; there is only 0.
    public var version: UInt8
    /// DO: the sender wants DNSSEC's records (RFC 3225).
    public var isDNSSECWanted: Bool
    /// The options, in order.
    public var options: [Option]

    public init(
        udpByteCount: UInt16 = 1232,
        extendedResponseCode: UInt8 = 0,
        version: UInt8 = 0,
        isDNSSECWanted: Bool = false,
        options: [Option] = []
    ) {
        self.udpByteCount = udpByteCount
        self.extendedResponseCode = extendedResponseCode
        self.version = version
        self.isDNSSECWanted = isDNSSECWanted
        self.options = options
    }

    /// The extended errors among the options (RFC 8914).
    public var extendedErrors: [ExtendedError] {
        options.compactMap { option in
            guard option.code == ExtendedError.optionCode, option.value.count >= 2 else {
                return nil
            }
            return ExtendedError(
                code: UInt16(option.value[0]) << 8 | UInt16(option.value[1]),
                text: String(decoding: option.value[2...], as: UTF8.self)
            )
        }
    }
}

/// Why an answer is what it is (RFC 8914).
public struct ExtendedError: Hashable, Sendable {
    /// The EDNS option that carries it.
    public static var optionCode: UInt16 { 15 }

    /// The reason, from the IANA registry.
    public var code: UInt16
    /// More about it for a person; may be empty.
    public var text: String

    public init(code: UInt16, text: String = "") { (self.code, self.text) = (code, text) }

    /// The operator of the server does not allow it.
    public static let prohibited = ExtendedError(code: 18)
    /// No server that is responsible could be reached.
    public static let noReachableAuthority = ExtendedError(code: 22)
    /// The network failed on the way to another server.
    public static let networkError = ExtendedError(code: 23)

    /// The error as an option.
    public var option: EDNS.Option {
        EDNS.Option(
            code: Self.optionCode,
            value: [UInt8(code >> 8), UInt8(truncatingIfNeeded: code)] + text.utf8
        )
    }
}
