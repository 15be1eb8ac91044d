internal import Bytes
internal import IP
internal import SansIO

/// An input read as a script, front to back: what is not there any more reads as zero or empty.
struct Script {
    /// Bounds of a script.
    enum Limits {
        /// Steps that are played.
        static var steps: Int { 64 }
    }

    private let bytes: [UInt8]
    private var offset = 0

    init(_ bytes: [UInt8]) { self.bytes = bytes }

    /// Whether everything was read.
    var isAtEnd: Bool { offset >= bytes.count }

    mutating func byte() -> UInt8 {
        guard offset < bytes.count else { return 0 }
        defer { offset += 1 }
        return bytes[offset]
    }

    mutating func flag() -> Bool { byte() & 1 == 1 }

    mutating func uint16() -> UInt16 { UInt16(byte()) << 8 | UInt16(byte()) }

    mutating func uint32() -> UInt32 { UInt32(uint16()) << 16 | UInt32(uint16()) }

    /// One of `choices`; nil when there is none.
    mutating func choice<Element>(_ choices: [Element]) -> Element? {
        let index = Int(byte())
        return choices.isEmpty ? nil : choices[index % choices.count]
    }

    /// Bytes after their 16-bit length, or as many of them as there are.
    mutating func chunk() -> [UInt8] {
        let count = min(Int(uint16()), bytes.count - offset)
        defer { offset += count }
        return Array(bytes[offset..<offset + count])
    }

    mutating func text() -> String { String(decoding: chunk(), as: UTF8.self) }

    /// All that is left.
    mutating func rest() -> [UInt8] {
        defer { offset = bytes.count }
        return Array(bytes[min(offset, bytes.count)...])
    }

    /// From a microsecond to hours, and nothing at all.
    mutating func duration() -> Duration {
        let word = Int(byte())
        return word == 0 ? .zero : .microseconds((1 + word >> 5) << (word & 31))
    }

    mutating func offload() -> Offload {
        let word = byte()
        guard word != 0 else { return .none }
        return Offload(
            segmentation: Offload.Segmentation(rawValue: word & 3) ?? .none,
            needsChecksum: word & 4 != 0,
            checksumStart: Int(byte()),
            checksumOffset: Int(byte()),
            headerByteCount: Int(byte()),
            segmentByteCount: Int(uint16())
        )
    }

    /// An address of either family, sometimes one that means something.
    mutating func address() -> IPAddress {
        switch byte() & 3 {
        case 0: IPAddress(ipv4: 0xcb00_7100 | UInt32(byte()))
        case 1: IPAddress(ipv4: uint32())
        case 2: IPAddress(high: 0xfd00_2021_1111_0000 | UInt64(byte()), low: UInt64(uint16()))
        default:
            IPAddress(
                high: UInt64(uint32()) << 32 | UInt64(uint32()),
                low: UInt64(uint32()) << 32 | UInt64(uint32())
            )
        }
    }

    mutating func endpoint() -> Endpoint { Endpoint(address(), port: uint16()) }

    /// At most `countMax` addresses.
    mutating func addresses(countMax: Int = 7) -> [IPAddress] {
        (0..<Int(byte()) % (countMax + 1)).map { _ in address() }
    }
}

/// Writes what a ``Script`` reads.
struct ScriptWriter {
    private(set) var bytes: [UInt8] = []

    init(_ bytes: [UInt8] = []) { self.bytes = bytes }

    /// One step: what it is, and its small arguments.
    mutating func step(_ values: UInt8...) { bytes += values }

    /// A step that ends in bytes of any length.
    mutating func step(_ values: [UInt8], _ chunk: [UInt8]) {
        bytes += values
        bytes.append(bigEndian: UInt16(chunk.count))
        bytes += chunk
    }
}
