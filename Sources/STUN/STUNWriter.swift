public import Bytes
internal import Ciphers
public import IP

/// Writes one message: the header, attributes one after the other, then integrity and fingerprint.
///
/// What is written can always be read: values longer than an attribute can carry are cut, and what
/// has no room in a message is left out.
public struct STUNWriter: Sendable {
    /// The message so far; whole at any time.
    public private(set) var bytes: [UInt8]
    /// The message's transaction.
    public let transaction: TransactionID

    public init(
        _ messageClass: STUNClass,
        _ method: STUNMethod,
        _ transaction: TransactionID
    ) {
        self.transaction = transaction
        bytes = []
        bytes.reserveCapacity(192)
        bytes.append(bigEndian: MessageTypeBits.join(messageClass, method))
        bytes.append(bigEndian: UInt16(0))
        bytes.append(bigEndian: STUNMessage.cookie)
        bytes.append(bigEndian: transaction.high)
        bytes.append(bigEndian: transaction.low)
    }

    /// An answer to `message`, of its method and transaction.
    public init(answering message: borrowing STUNMessage, _ messageClass: STUNClass) {
        self.init(messageClass, message.method, message.transaction)
    }

    /// Adds an attribute with any value.
    public mutating func append(_ type: STUNAttributeType, _ value: RawSpan) {
        append(type, value.extracting(first: maxByteCount).array)
    }

    /// Adds an attribute with any value.
    public mutating func append(_ type: STUNAttributeType, _ value: [UInt8]) {
        guard bytes.count + 4 <= Self.byteCountMax else { return }
        let value = value.prefix(maxByteCount)
        bytes.append(bigEndian: type.rawValue)
        bytes.append(bigEndian: UInt16(value.count))
        bytes += value
        bytes += repeatElement(0, count: (4 - value.count % 4) % 4)
        setLength()
    }

    /// Adds a text: USERNAME, REALM, NONCE, SOFTWARE.
    public mutating func append(_ type: STUNAttributeType, _ text: String) {
        let countMax =
            type == .username
            ? STUNAttributeType.usernameByteCountMax : STUNAttributeType.textByteCountMax
        append(type, Array(text.utf8.prefix(countMax)))
    }

    /// Adds a number of 32 bits: LIFETIME.
    public mutating func append(_ type: STUNAttributeType, _ value: UInt32) {
        var field: [UInt8] = []
        field.append(bigEndian: value)
        append(type, field)
    }

    /// Adds an address: hidden in attributes named XOR, plain in MAPPED-ADDRESS and
    /// ALTERNATE-SERVER.
    public mutating func append(_ type: STUNAttributeType, _ endpoint: Endpoint) {
        let isIPv4 = endpoint.address.isIPv4
        let isPlain = type == .mappedAddress || type == .alternateServer
        let shown = isPlain ? endpoint : XORAddress.flip(endpoint, isIPv4: isIPv4, transaction)
        var field: [UInt8] = [0, isIPv4 ? 1 : 2]
        field.append(bigEndian: shown.port)
        if isIPv4 {
            field.append(bigEndian: UInt32(truncatingIfNeeded: shown.low))
        } else {
            field.append(bigEndian: shown.high)
            field.append(bigEndian: shown.low)
        }
        append(type, field)
    }

    /// Adds CHANNEL-NUMBER.
    public mutating func append(channel number: UInt16) {
        append(.channelNumber, UInt32(number) << 16)
    }

    /// Adds REQUESTED-TRANSPORT: an IP protocol number, 17 for UDP.
    public mutating func append(requestedTransport number: UInt8) {
        append(.requestedTransport, UInt32(number) << 24)
    }

    /// Adds REQUESTED-ADDRESS-FAMILY or ADDITIONAL-ADDRESS-FAMILY.
    public mutating func append(_ type: STUNAttributeType, _ family: IPFamily) {
        append(type, UInt32(RequestedFamily(family).rawValue) << 24)
    }

    /// Adds ERROR-CODE with its usual words.
    public mutating func append(_ code: STUNErrorCode) {
        append(.errorCode, Self.field(of: code, first: 0))
    }

    /// Adds ADDRESS-ERROR-CODE (RFC 8656 18.12).
    public mutating func append(_ code: STUNErrorCode, for family: RequestedFamily) {
        append(.addressErrorCode, Self.field(of: code, first: family.rawValue))
    }

    /// Adds UNKNOWN-ATTRIBUTES.
    public mutating func append(unknown types: [STUNAttributeType]) {
        var field: [UInt8] = []
        for type in types { field.append(bigEndian: type.rawValue) }
        append(.unknownAttributes, field)
    }

    /// Adds the integrity of everything so far; only the other kind and the fingerprint may follow.
    public mutating func seal(_ integrity: STUNIntegrity, key: RawSpan) {
        let count = integrity.byteCount
        let code = integrity.code(
            of: bytes.rawSpan,
            upTo: bytes.count,
            valueByteCount: count,
            key: key
        )
        append(integrity.attribute, code.rawSpan.extracting(first: count))
    }

    /// Adds FINGERPRINT, the last attribute.
    public mutating func appendFingerprint() {
        // The checksum covers the header with the length that it will have.
        append(.fingerprint, 0)
        let end = bytes.count - 8
        let crc = CRC32.checksum(bytes.rawSpan.extracting(first: end))
        bytes.removeLast(4)
        bytes.append(bigEndian: crc ^ CRC32.fingerprintMask)
    }

    /// Bytes of a message at most: its length has 16 bits, of which two are zero.
    private static var byteCountMax: Int { 65_532 + STUNMessage.headerByteCount }

    /// Bytes that the next value may have.
    private var maxByteCount: Int { max(0, Self.byteCountMax - bytes.count - 4) }

    private mutating func setLength() {
        let length = bytes.count - STUNMessage.headerByteCount
        bytes[2] = UInt8(truncatingIfNeeded: length >> 8)
        bytes[3] = UInt8(truncatingIfNeeded: length)
    }

    private static func field(of code: STUNErrorCode, first: UInt8) -> [UInt8] {
        let number = min(max(code.rawValue, 300), 699)
        let head = [first, 0, UInt8(number / 100), UInt8(number % 100)]
        return head + Array(code.reason.utf8)
    }
}
