internal import Bytes

/// A message as a value, read whole and written again.
public struct Message: Hashable, Sendable {
    /// Bounds of a message.
    public enum Limits {
        /// Bytes over TCP, whose length field has 16 bits.
        public static var byteCount: Int { 65_535 }
        /// Bytes over UDP for who says nothing else (RFC 1035 section 2.3.4).
        public static var udpByteCount: Int { 512 }
        /// Bytes over UDP that pass without fragments everywhere; what we say and send at most.
        public static var ednsByteCount: Int { 1232 }
    }

    /// ID and flags; the counts are those of the lists when it is written.
    public var header: Header
    /// What is asked; in practice one (RFC 9619).
    public var questions: [Question]
    /// Records that answer.
    public var answers: [Record]
    /// Records about who is responsible.
    public var authorities: [Record]
    /// Records that may help, without OPT.
    public var additionals: [Record]
    /// The OPT record.
    public var edns: EDNS?

    public init(
        header: Header = Header(),
        questions: [Question] = [],
        answers: [Record] = [],
        authorities: [Record] = [],
        additionals: [Record] = [],
        edns: EDNS? = nil
    ) {
        (self.header, self.questions, self.answers) = (header, questions, answers)
        (self.authorities, self.additionals, self.edns) = (authorities, additionals, edns)
    }

    /// A query for recursion.
    public init(query question: Question, id: UInt16, edns: EDNS? = EDNS()) {
        var header = Header(id: id)
        header.isRecursionDesired = true
        self.init(header: header, questions: [question], edns: edns)
    }

    /// Reads everything; bytes behind the last record are passed over.
    public init(_ bytes: RawSpan) throws(MessageError) {
        self.init(header: try Header(bytes))
        var reader = MessageReader(bytes, at: Header.byteCount)
        for _ in 0..<header.questionCount { questions.append(try reader.question()) }
        for _ in 0..<header.answerCount { answers.append(try Self.record(&reader)) }
        for _ in 0..<header.authorityCount { authorities.append(try Self.record(&reader)) }
        for _ in 0..<header.additionalCount {
            let start = reader.offset
            let name = try reader.name()
            let type = RecordType(rawValue: try reader.uint16())
            if type != .opt {
                additionals.append(try Self.record(name, type, &reader))
            } else if name.isRoot, edns == nil {
                edns = try EDNS(&reader)
            } else {
                throw .badEDNS(offset: start)
            }
        }
    }

    private static func record(_ reader: inout MessageReader) throws(MessageError) -> Record {
        let start = reader.offset
        let name = try reader.name()
        let type = RecordType(rawValue: try reader.uint16())
        guard type != .opt else { throw .badEDNS(offset: start) }
        return try record(name, type, &reader)
    }

    private static func record(
        _ name: Name,
        _ type: RecordType,
        _ reader: inout MessageReader
    ) throws(MessageError) -> Record {
        let recordClass = RecordClass(rawValue: try reader.uint16())
        let timeToLive = try reader.uint32()
        let byteCount = Int(try reader.uint16())
        let data = try RecordData(type, byteCount, &reader)
        return Record(name, timeToLive: timeToLive, data, recordClass: recordClass)
    }

    /// How the query ended.
    public var responseCode: ResponseCode {
        get { header.responseCode(with: edns) }
        set {
            header.responseCodeBits = UInt8(newValue.rawValue & 15)
            edns?.extendedResponseCode = UInt8(truncatingIfNeeded: newValue.rawValue >> 4)
        }
    }

    /// The addresses that the answer gives for the first question's name, along its aliases, and
    /// the name where the aliases end. A chain that goes round ends.
    public func addresses() -> (name: Name, records: [Record])? {
        guard var name = questions.first?.name else { return nil }
        for _ in 0...answers.count {
            let here = answers.filter { $0.name == name && $0.data.address != nil }
            guard here.isEmpty else { return (name, here) }
            var next: Name?
            for record in answers where record.name == name {
                if case .cname(let target) = record.data { next = target }
            }
            guard let next else { return (name, []) }
            name = next
        }
        return (name, [])
    }
}
