/// Why what one process has written down for the next cannot be read.
public enum StorageError: Error, Hashable, Sendable {
    /// Fewer bytes than the content says it has.
    case truncated
    /// Written by another version.
    case unknownVersion(UInt8)
    /// A field holds what no process writes.
    case malformed

    /// Whatever ended the reading.
    public init(_ error: any Error) {
        self = error as? StorageError ?? (error is TruncatedError ? .truncated : .malformed)
    }
}

// Fields besides numbers, for tables that outlive a process.
extension Array where Element == UInt8 {
    /// Appends one byte.
    public mutating func append(flag: Bool) { append(flag ? 1 : 0) }

    /// Appends as many bytes as a reader knows to expect.
    public mutating func append(fixed bytes: RawSpan) {
        for offset in bytes.byteOffsets { append(bytes.byte(at: offset)) }
    }

    /// Appends how many bytes there are, and the bytes.
    public mutating func append(counted bytes: [UInt8]) {
        append(bigEndian: UInt32(truncatingIfNeeded: bytes.count))
        append(contentsOf: bytes)
    }

    /// Appends how many bytes a text has, and the text.
    public mutating func append(text: String) { append(counted: Array(text.utf8)) }

    /// Appends whether there is a value, and the value by `write`.
    public mutating func append<Value>(
        optional value: Value?,
        _ write: (inout [UInt8], Value) -> Void
    ) {
        append(flag: value != nil)
        if let value { write(&self, value) }
    }

    /// Appends how many elements there are, and each by `write`.
    public mutating func append<Value>(
        list: [Value],
        _ write: (inout [UInt8], Value) -> Void
    ) {
        append(bigEndian: UInt32(truncatingIfNeeded: list.count))
        for value in list { write(&self, value) }
    }
}

extension ByteReader {
    /// Bounds of what is read back.
    public enum Limits {
        /// Bytes of one text.
        public static var text: Int { 1 << 20 }
    }

    /// One byte, 0 or 1.
    ///
    /// - Throws: ``StorageError`` for another byte, ``TruncatedError`` for none.
    public mutating func flag() throws -> Bool {
        switch try uint8() {
        case 0: false
        case 1: true
        default: throw StorageError.malformed
        }
    }

    /// Bytes after their count.
    ///
    /// - Parameter countMax: More are malformed.
    /// - Returns: The bytes.
    /// - Throws: ``StorageError`` for too many, ``TruncatedError`` for too few.
    public mutating func counted(max countMax: Int = Limits.text) throws -> [UInt8] {
        let count = Int(try uint32())
        guard count <= countMax else { throw StorageError.malformed }
        return try span(count).array
    }

    /// A text after its count of bytes.
    ///
    /// - Throws: ``StorageError`` when it is too long, ``TruncatedError`` for too few bytes.
    public mutating func text() throws -> String {
        String(decoding: try counted(), as: UTF8.self)
    }

    /// A value after whether there is one.
    ///
    /// - Parameter read: Reads the value.
    /// - Returns: nil when there is none.
    /// - Throws: What `read` throws, and what ``flag()`` does.
    public mutating func optional<Value>(
        _ read: (inout ByteReader) throws -> Value
    ) throws -> Value? {
        try flag() ? try read(&self) : nil
    }

    /// Elements after their count.
    ///
    /// - Parameters:
    ///   - countMax: More are malformed.
    ///   - read: Reads one.
    /// - Returns: The elements.
    /// - Throws: What `read` throws; ``StorageError`` for too many.
    public mutating func list<Value>(
        max countMax: Int,
        _ read: (inout ByteReader) throws -> Value
    ) throws -> [Value] {
        let count = Int(try uint32())
        guard count <= countMax else { throw StorageError.malformed }
        var list: [Value] = []
        for _ in 0..<count { list.append(try read(&self)) }
        return list
    }

    /// An address and port.
    ///
    /// - Throws: ``TruncatedError`` for too few bytes.
    public mutating func endpoint() throws -> Endpoint {
        Endpoint(high: try uint64(), low: try uint64(), port: try uint16())
    }
}

extension Array where Element == UInt8 {
    /// Appends an address and port.
    public mutating func append(_ endpoint: Endpoint) {
        append(bigEndian: endpoint.high)
        append(bigEndian: endpoint.low)
        append(bigEndian: endpoint.port)
    }
}
