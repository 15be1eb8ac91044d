/// DNS messages in a stream of bytes, each after its 16-bit length (RFC 1035 section 4.2.2).
public struct StreamMessages: Sendable {
    /// Bytes of the length before each message.
    private static let lengthByteCount = 2

    private var received: [UInt8] = []
    private var start = 0

    public init() {}

    /// Bytes that came and are no whole message yet.
    public var byteCount: Int { received.count - start }

    /// Takes over what came; then ``next()`` gives the messages that are whole.
    public mutating func append(_ bytes: some Sequence<UInt8>) {
        // What was read goes, before the array grows; so it holds at most one message and a part.
        if start > 0 {
            received.removeFirst(start)
            start = 0
        }
        received.append(contentsOf: bytes)
    }

    /// The next whole message; nil until more came. It may be empty.
    public mutating func next() -> [UInt8]? {
        guard byteCount >= Self.lengthByteCount else { return nil }
        let count = Int(received[start]) << 8 | Int(received[start + 1])
        let first = start + Self.lengthByteCount
        guard received.count - first >= count else { return nil }
        start = first + count
        return Array(received[first..<start])
    }

    /// A message as it travels; nil when it is too long to.
    public static func frame(_ message: [UInt8]) -> [UInt8]? {
        guard let count = UInt16(exactly: message.count) else { return nil }
        return [UInt8(count >> 8), UInt8(truncatingIfNeeded: count)] + message
    }
}
