internal import Bytes
internal import IP

extension RecordData {
    /// Reads the `byteCount` bytes of data of a record of `type`.
    init(_ type: RecordType, _ byteCount: Int, _ reader: inout MessageReader) throws(MessageError) {
        let start = reader.offset
        guard byteCount <= reader.remaining else {
            throw .truncated(offset: reader.bytes.byteCount)
        }
        // Names may point before the data, but no field may reach past them.
        var data = MessageReader(reader.bytes.extracting(first: start + byteCount), at: start)
        do {
            self = try Self.read(type, &data)
        } catch .badName(let error) {
            throw .badName(error)
        } catch {
            throw .badRecordData(type: type, offset: start)
        }
        guard data.remaining == 0 else { throw .badRecordData(type: type, offset: start) }
        try reader.skip(byteCount)
    }

    private static func read(
        _ type: RecordType,
        _ data: inout MessageReader
    ) throws(MessageError) -> RecordData {
        switch type {
        case .a: return .a(IPAddress(ipv4: try data.uint32()))
        case .aaaa: return .aaaa(try address(&data))
        case .cname: return .cname(try data.name())
        case .ns: return .ns(try data.name())
        case .ptr: return .ptr(try data.name())
        case .mx: return .mx(preference: try data.uint16(), try data.name())
        case .txt: return .txt(try texts(&data))
        case .srv:
            let (priority, weight, port) = (try data.uint16(), try data.uint16(), try data.uint16())
            return .srv(priority: priority, weight: weight, port: port, try data.name())
        case .soa: return .soa(try startOfAuthority(&data))
        case .caa:
            let flags = try data.uint8()
            let tag = try text(&data)
            return .caa(flags: flags, tag: tag, value: try data.array(data.remaining))
        case .svcb:
            return .svcb(
                priority: try data.uint16(),
                target: try data.name(),
                try parameters(&data)
            )
        case .https:
            return .https(
                priority: try data.uint16(),
                target: try data.name(),
                try parameters(&data)
            )
        case .hinfo: return .hinfo(processor: try text(&data), system: try text(&data))
        default: return .other(type, try decompressed(type, &data))
        }
    }

    private static func address(_ data: inout MessageReader) throws(MessageError) -> IPAddress {
        var words = (UInt64(0), UInt64(0))
        words.0 = UInt64(try data.uint32()) << 32
        words.0 |= UInt64(try data.uint32())
        words.1 = UInt64(try data.uint32()) << 32
        words.1 |= UInt64(try data.uint32())
        return IPAddress(high: words.0, low: words.1)
    }

    private static func text(_ data: inout MessageReader) throws(MessageError) -> [UInt8] {
        try data.array(Int(try data.uint8()))
    }

    private static func texts(_ data: inout MessageReader) throws(MessageError) -> [[UInt8]] {
        var all: [[UInt8]] = []
        while data.remaining > 0 { all.append(try text(&data)) }
        return all
    }

    private static func startOfAuthority(
        _ data: inout MessageReader
    ) throws(MessageError) -> StartOfAuthority {
        StartOfAuthority(
            server: try data.name(),
            mailbox: try data.name(),
            serial: try data.uint32(),
            refresh: try data.uint32(),
            retry: try data.uint32(),
            expire: try data.uint32(),
            minimum: try data.uint32()
        )
    }

    private static func parameters(
        _ data: inout MessageReader
    ) throws(MessageError) -> [ServiceParameter] {
        var all: [ServiceParameter] = []
        while data.remaining > 0 {
            let key = try data.uint16()
            all.append(ServiceParameter(key: key, value: try data.array(Int(try data.uint16()))))
        }
        return all
    }

    /// The data of an opaque type; the names in the types of RFC 1035 and of RFC 3597 section 4 are
    /// decompressed, since a pointer means nothing in another message.
    private static func decompressed(
        _ type: RecordType,
        _ data: inout MessageReader
    ) throws(MessageError) -> [UInt8] {
        var bytes: [UInt8] = []
        if data.remaining == 0 { return bytes }
        switch type.rawValue {
        case 3, 4, 7, 8, 9, 39:  // MD, MF, MB, MG, MR, DNAME
            bytes += try data.name().wire
        case 14, 17:  // MINFO, RP
            bytes += try data.name().wire
            bytes += try data.name().wire
        case 18, 21, 36:  // AFSDB, RT, KX
            bytes += try data.array(2)
            bytes += try data.name().wire
        case 26:  // PX
            bytes += try data.array(2)
            bytes += try data.name().wire
            bytes += try data.name().wire
        case 35:  // NAPTR
            bytes += try data.array(4)
            for _ in 0..<3 {
                let text = try text(&data)
                bytes.append(UInt8(text.count))
                bytes += text
            }
            bytes += try data.name().wire
        default: break
        }
        return bytes + (try data.array(data.remaining))
    }
}
