internal import Bytes

/// Where one record lies in a message, for who changes a message in place.
public struct RecordFrame: Hashable, Sendable {
    /// The part of a message that a record stands in.
    public enum Section: Hashable, Sendable {
        case answer
        case authority
        case additional
    }

    /// The part that it stands in.
    public let section: Section
    /// Where it begins.
    public let start: Int
    /// Its type.
    public let type: RecordType
    /// Where its time to live stands, four bytes; of OPT, the flags.
    public let timeToLiveOffset: Int
    /// Where its data lie.
    public let data: Range<Int>
}

extension MessageView {
    /// Where the records lie, in order.
    public func recordFrames() -> [RecordFrame] {
        var frames: [RecordFrame] = []
        var reader = MessageReader(bytes, at: questionsEnd)
        let authorities = Int(header.answerCount)
        let additionals = authorities + Int(header.authorityCount)
        let count = additionals + Int(header.additionalCount)
        // A record has eleven bytes at least.
        frames.reserveCapacity(min(count, bytes.byteCount / 11))
        for number in 0..<count {
            let section: RecordFrame.Section =
                number < authorities ? .answer : number < additionals ? .authority : .additional
            // The whole message was checked before.
            guard let frame = try? Self.frame(section, &reader) else { return frames }
            frames.append(frame)
        }
        return frames
    }

    private static func frame(
        _ section: RecordFrame.Section,
        _ reader: inout MessageReader
    ) throws(MessageError) -> RecordFrame {
        let start = reader.offset
        try reader.skipName()
        let type = RecordType(rawValue: try reader.uint16())
        try reader.skip(2)
        let timeToLiveOffset = reader.offset
        try reader.skip(4)
        let byteCount = Int(try reader.uint16())
        let data = reader.offset..<reader.offset + byteCount
        try reader.skip(byteCount)
        return RecordFrame(
            section: section,
            start: start,
            type: type,
            timeToLiveOffset: timeToLiveOffset,
            data: data
        )
    }
}
