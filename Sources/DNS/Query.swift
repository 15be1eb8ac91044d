internal import Bytes

/// A query that can be answered: one question, at most one OPT.
public struct Query: Hashable, Sendable {
    /// Its header.
    public let header: Header
    /// What it asks.
    public let question: Question
    /// The question as it came, the asker's case kept.
    public let questionBytes: [UInt8]
    /// Its OPT record; nil when there is none.
    public let edns: EDNS?
    /// Bytes that the answer may have.
    public let byteCountMax: Int

    /// What became of bytes that should be a query.
    public enum Reading: Sendable {
        /// This can be answered.
        case query(Query)
        /// This is the answer already.
        case answer([UInt8])
        /// Nothing may be answered.
        case ignore
    }

    /// Reads a query; what cannot be one gets its error where an ID can be read, never a response.
    ///
    /// - Parameters:
    ///   - bytes: What came.
    ///   - isStream: Whether it came by TCP, so that its answer may be large.
    /// - Returns: The query, or what to do instead.
    public static func read(_ bytes: RawSpan, isStream: Bool) -> Reading {
        guard bytes.byteCount >= 2 else { return .ignore }
        if bytes.byteCount > 2, bytes.byte(at: 2) & 0x80 != 0 { return .ignore }
        guard let header = try? Header(bytes) else {
            return .answer(error(.formatError, Header(id: bytes.uint16(at: 0))))
        }
        guard header.opcode == .query else { return .answer(error(.notImplemented, header)) }
        // RFC 9619: exactly one.
        guard header.questionCount == 1 else { return .answer(error(.formatError, header)) }
        guard let view = try? MessageView(bytes), let question = view.question,
            view.trailingByteCount == 0
        else { return .answer(error(.formatError, header)) }
        let range = Header.byteCount..<view.questionsEnd
        let query = Query(
            header: header,
            question: question,
            questionBytes: bytes.extracting(range).array,
            edns: view.edns,
            byteCountMax: isStream ? Message.Limits.byteCount : datagramByteCount(view.edns)
        )
        if let edns = view.edns, edns.version > 0 { return .answer(query.reply(.badVersion)) }
        if let code = refusal(question.type) { return .answer(query.reply(code)) }
        return .query(query)
    }

    /// RFC 6895 section 3.1: types that stand in messages only are nothing to ask for; zones are
    /// not transferred through here, which would need more than one answer (RFC 5936).
    private static func refusal(_ type: RecordType) -> ResponseCode? {
        switch type.rawValue {
        case 0, 41, 128...250: .formatError
        case 251...252: .refused
        default: nil
        }
    }

    /// RFC 6891 section 6.2.3: less than 512 means 512.
    private static func datagramByteCount(_ edns: EDNS?) -> Int {
        let asked = max(Int(edns?.udpByteCount ?? 0), Message.Limits.udpByteCount)
        return min(asked, Message.Limits.ednsByteCount)
    }

    /// An answer of twelve bytes to what has no question that could be echoed.
    private static func error(_ code: ResponseCode, _ query: Header) -> [UInt8] {
        Message(header: replyHeader(query, code)).wire()
    }

    /// RD and CD are copied (RFC 1035 section 4.1.1, RFC 4035 section 3.2.2).
    public static func replyHeader(_ query: Header, _ code: ResponseCode) -> Header {
        var header = Header(id: query.id, flags: query.flags & 0x7910 | 0x8080)
        header.responseCodeBits = UInt8(code.rawValue & 15)
        return header
    }
}

// MARK: - Answers

extension Query {
    /// An answer of our own; too large, it is cut to the question with TC.
    ///
    /// - Parameters:
    ///   - code: How the query ends.
    ///   - answers: Records that answer.
    ///   - authorities: Records about who is responsible.
    ///   - error: Why, for who sent EDNS.
    ///   - isAuthoritative: Whether it is a zone's own word (AA).
    /// - Returns: The bytes.
    public func reply(
        _ code: ResponseCode,
        answers: [Record] = [],
        authorities: [Record] = [],
        error: ExtendedError? = nil,
        isAuthoritative: Bool = false
    ) -> [UInt8] {
        var message = Message(
            header: Self.replyHeader(header, code),
            questions: [question],
            answers: answers,
            authorities: authorities,
            edns: replyEDNS(error)
        )
        message.header.isAuthoritative = isAuthoritative
        message.responseCode = code
        return message.wire(byteCountMax: byteCountMax)
    }

    /// OPT only if the query had one (RFC 6891 section 6.1.1), DO copied (RFC 3225 section 3).
    public func replyEDNS(_ error: ExtendedError?) -> EDNS? {
        edns.map {
            EDNS(isDNSSECWanted: $0.isDNSSECWanted, options: error.map { [$0.option] } ?? [])
        }
    }

    /// The header of an answer to this query, sent under `id`; nil where it is none.
    public func isAnswered(by answer: [UInt8], sentAs id: UInt16) -> Header? {
        guard let theirs = try? Header(answer.rawSpan), theirs.id == id, theirs.isResponse,
            theirs.opcode == .query
        else { return nil }
        if theirs.questionCount == 0 {
            // Some servers echo no question with an error.
            return theirs.responseCodeBits != 0 && theirs.answerCount == 0 ? theirs : nil
        }
        guard theirs.questionCount == 1,
            answer.count >= Header.byteCount + questionBytes.count,
            repeatsQuestion(answer)
                || (try? MessageView.onlyQuestion(of: answer.rawSpan)) == question
        else { return nil }
        return theirs
    }

    /// Whether an answer, which is long enough, repeats the question byte for byte, as most do.
    private func repeatsQuestion(_ answer: [UInt8]) -> Bool {
        for index in questionBytes.indices
        where answer[Header.byteCount + index] != questionBytes[index] { return false }
        return true
    }
}
