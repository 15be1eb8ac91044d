internal import Bytes

/// A message that was checked as a whole and is read in place: header, question and EDNS, which is
/// all that who forwards needs.
public struct MessageView: ~Escapable {
    /// The message.
    public let bytes: RawSpan
    /// Its header.
    public let header: Header
    /// The first question; nil when there is none.
    public let question: Question?
    /// Where the questions end.
    public let questionsEnd: Int
    /// The OPT record; nil when there is none.
    public let edns: EDNS?
    /// Bytes behind the last record.
    public let trailingByteCount: Int

    /// Checks every question and the frame of every record; the data of records are not read.
    @_lifetime(copy bytes)
    public init(_ bytes: RawSpan) throws(MessageError) {
        let header = try Header(bytes)
        var reader = MessageReader(bytes, at: Header.byteCount)
        var question: Question?
        for index in 0..<Int(header.questionCount) {
            let next = try reader.question()
            if index == 0 { question = next }
        }
        let questionsEnd = reader.offset
        for _ in 0..<Int(header.answerCount) + Int(header.authorityCount) {
            guard try Self.skipRecord(&reader) == nil else {
                throw .badEDNS(offset: reader.offset)
            }
        }
        var edns: EDNS?
        for _ in 0..<Int(header.additionalCount) {
            guard let found = try Self.skipRecord(&reader) else { continue }
            guard edns == nil else { throw .badEDNS(offset: reader.offset) }
            edns = found
        }
        (self.bytes, self.header, self.question, self.edns) = (bytes, header, question, edns)
        self.questionsEnd = questionsEnd
        trailingByteCount = reader.remaining
    }

    /// The question of a message whose header promises exactly one; for the answer to a message
    /// whose other parts cannot be read.
    public static func onlyQuestion(of bytes: RawSpan) throws(MessageError) -> Question? {
        guard try Header(bytes).questionCount == 1 else { return nil }
        var reader = MessageReader(bytes, at: Header.byteCount)
        return try reader.question()
    }

    /// Goes past one record.
    /// - Returns: The record, where it is OPT.
    private static func skipRecord(_ reader: inout MessageReader) throws(MessageError) -> EDNS? {
        let start = reader.offset
        try reader.skipName()
        let isRoot = reader.offset == start + 1
        guard RecordType(rawValue: try reader.uint16()) != .opt else {
            guard isRoot else { throw .badEDNS(offset: start) }
            return try EDNS(&reader)
        }
        try reader.skip(6)
        try reader.skip(Int(try reader.uint16()))
        return nil
    }
}

extension Header {
    /// The whole response code, with the upper bits from `edns`.
    public func responseCode(with edns: EDNS?) -> ResponseCode {
        ResponseCode(
            rawValue: UInt16(edns?.extendedResponseCode ?? 0) << 4 | UInt16(responseCodeBits)
        )
    }
}
