internal import Bytes

extension EDNS {
    /// Reads what follows the root name and the type of an OPT record.
    init(_ reader: inout MessageReader) throws(MessageError) {
        let size = try reader.uint16()
        let extended = try reader.uint8()
        let version = try reader.uint8()
        let flags = try reader.uint16()
        let byteCount = Int(try reader.uint16())
        let start = reader.offset
        guard byteCount <= reader.remaining else {
            throw .truncated(offset: reader.bytes.byteCount)
        }
        var options: [Option] = []
        while reader.offset < start + byteCount {
            guard start + byteCount - reader.offset >= 4 else { throw .badEDNS(offset: start) }
            let code = try reader.uint16()
            let length = Int(try reader.uint16())
            guard length <= start + byteCount - reader.offset else { throw .badEDNS(offset: start) }
            options.append(Option(code: code, value: try reader.array(length)))
        }
        self.init(
            udpByteCount: size,
            extendedResponseCode: extended,
            version: version,
            isDNSSECWanted: flags & 0x8000 != 0,
            options: options
        )
    }

    /// Bytes of the whole record.
    public var byteCount: Int { options.reduce(11) { $0 + 4 + $1.value.count } }

    /// Appends the whole record.
    public func write(to bytes: inout [UInt8]) {
        bytes.append(0)
        bytes.append(bigEndian: RecordType.opt.rawValue)
        bytes.append(bigEndian: udpByteCount)
        bytes.append(extendedResponseCode)
        bytes.append(version)
        bytes.append(bigEndian: isDNSSECWanted ? 0x8000 as UInt16 : 0)
        bytes.append(bigEndian: UInt16(truncatingIfNeeded: byteCount - 11))
        for option in options {
            bytes.append(bigEndian: option.code)
            bytes.append(bigEndian: UInt16(truncatingIfNeeded: option.value.count))
            bytes += option.value
        }
    }
}
