internal import Bytes
internal import IP

extension Message {
    /// The message in wire form, names compressed.
    ///
    /// - Parameter byteCountMax: Bytes at most; where it does not fit, only questions and OPT are
    ///   written, with TC set (RFC 2181 section 9).
    /// - Returns: The bytes.
    public func wire(byteCountMax: Int = Limits.byteCount) -> [UInt8] {
        var writer = MessageWriter()
        writer.write(self, isWhole: true)
        guard writer.bytes.count > byteCountMax else { return writer.bytes }
        writer = MessageWriter()
        writer.write(self, isWhole: false)
        return writer.bytes
    }
}

/// Writes messages front to back and remembers where names stand.
struct MessageWriter {
    /// Suffixes remembered at most; a search goes through all of them.
    private static let suffixCountMax = 256

    private(set) var bytes: [UInt8] = []
    /// Where a suffix of an earlier name begins, for pointers.
    private var suffixes: [Int] = []

    mutating func write(_ message: Message, isWhole: Bool) {
        var header = message.header
        header.isTruncated = header.isTruncated || !isWhole
        header.questionCount = UInt16(clamping: message.questions.count)
        header.answerCount = isWhole ? UInt16(clamping: message.answers.count) : 0
        header.authorityCount = isWhole ? UInt16(clamping: message.authorities.count) : 0
        let additionals = (isWhole ? message.additionals.count : 0) + (message.edns == nil ? 0 : 1)
        header.additionalCount = UInt16(clamping: additionals)
        header.write(to: &bytes)
        for question in message.questions {
            write(question.name)
            bytes.append(bigEndian: question.type.rawValue)
            bytes.append(bigEndian: question.recordClass.rawValue)
        }
        if isWhole {
            for record in message.answers { write(record) }
            for record in message.authorities { write(record) }
            for record in message.additionals { write(record) }
        }
        message.edns?.write(to: &bytes)
    }

    private mutating func write(_ record: Record) {
        write(record.name)
        bytes.append(bigEndian: record.type.rawValue)
        bytes.append(bigEndian: record.recordClass.rawValue)
        bytes.append(bigEndian: record.timeToLive)
        let lengthAt = bytes.count
        bytes.append(bigEndian: 0 as UInt16)
        write(record.data)
        let length = UInt16(truncatingIfNeeded: bytes.count - lengthAt - 2)
        bytes[lengthAt] = UInt8(length >> 8)
        bytes[lengthAt + 1] = UInt8(truncatingIfNeeded: length)
    }

    /// Only the names in types of RFC 1035 are compressed (RFC 3597 section 4).
    private mutating func write(_ data: RecordData) {
        switch data {
        case .a(let address), .aaaa(let address): bytes += address.bytes
        case .cname(let name), .ns(let name), .ptr(let name): write(name)
        case .mx(let preference, let name):
            bytes.append(bigEndian: preference)
            write(name)
        case .txt(let texts): for text in texts { write(text: text) }
        case .srv(let priority, let weight, let port, let name):
            for field in [priority, weight, port] { bytes.append(bigEndian: field) }
            bytes += name.wire
        case .soa(let soa):
            write(soa.server)
            write(soa.mailbox)
            for field in [soa.serial, soa.refresh, soa.retry, soa.expire, soa.minimum] {
                bytes.append(bigEndian: field)
            }
        case .caa(let flags, let tag, let value):
            bytes.append(flags)
            write(text: tag)
            bytes += value
        case .svcb(let priority, let target, let parameters),
            .https(let priority, let target, let parameters):
            bytes.append(bigEndian: priority)
            bytes += target.wire
            for parameter in parameters {
                bytes.append(bigEndian: parameter.key)
                bytes.append(bigEndian: UInt16(truncatingIfNeeded: parameter.value.count))
                bytes += parameter.value
            }
        case .hinfo(let processor, let system):
            write(text: processor)
            write(text: system)
        case .other(_, let data): bytes += data
        }
    }

    /// A text of at most 255 bytes; longer ones are cut.
    private mutating func write(text: [UInt8]) {
        let text = text.prefix(255)
        bytes.append(UInt8(text.count))
        bytes += text
    }

    /// Writes a name; its longest suffix that stands in the message already, in the same case,
    /// becomes a pointer.
    private mutating func write(_ name: Name) {
        let wire = name.wire
        var offset = 0
        var added: [Int] = []
        // Only whole names are pointed to.
        defer { if suffixes.count < Self.suffixCountMax { suffixes += added } }
        while wire[offset] != 0 {
            if let target = suffixes.first(where: { stands(wire[offset...], at: $0) }) {
                bytes.append(bigEndian: 0xc000 | UInt16(target))
                return
            }
            if bytes.count < 0x4000 { added.append(bytes.count) }
            let end = offset + 1 + Int(wire[offset])
            bytes += wire[offset..<end]
            offset = end
        }
        bytes.append(0)
    }

    /// Whether the name that was written at `position` is `suffix`.
    private func stands(_ suffix: ArraySlice<UInt8>, at position: Int) -> Bool {
        var (position, index) = (position, suffix.startIndex)
        while index < suffix.endIndex {
            while bytes[position] >= 0xc0 {
                position = Int(bytes[position] & 0x3f) << 8 | Int(bytes[position + 1])
            }
            let length = Int(suffix[index])
            guard Int(bytes[position]) == length else { return false }
            for step in 0..<length + 1 where bytes[position + step] != suffix[index + step] {
                return false
            }
            position += length + 1
            index += length + 1
        }
        return true
    }
}
