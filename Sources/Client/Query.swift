internal import Bytes
internal import DNS
internal import IP

/// A query that can be answered: one question, at most one OPT.
struct Query {
    let header: Header
    let question: Question
    /// The question as it came, the asker's case kept.
    let questionBytes: [UInt8]
    let edns: EDNS?
    /// Bytes that the answer may have.
    let byteCountMax: Int

    /// What became of bytes that should be a query.
    enum Reading {
        case query(Query)
        /// This is the answer already.
        case answer([UInt8])
        /// Nothing may be answered.
        case ignore
    }

    /// Reads a query; what cannot be one gets its error where an ID can be read, never a response.
    static func read(_ bytes: RawSpan, isStream: Bool) -> Reading {
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
        return .query(query)
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
    static func replyHeader(_ query: Header, _ code: ResponseCode) -> Header {
        var header = Header(id: query.id, flags: query.flags & 0x7910 | 0x8080)
        header.responseCodeBits = UInt8(code.rawValue & 15)
        return header
    }
}

// MARK: - Answers

extension Query {
    /// An answer of our own; too large, it is cut to the question with TC.
    func reply(
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
    private func replyEDNS(_ error: ExtendedError?) -> EDNS? {
        edns.map {
            EDNS(isDNSSECWanted: $0.isDNSSECWanted, options: error.map { [$0.option] } ?? [])
        }
    }

    /// The answer that most queries for protected names get, written without detours: addresses of
    /// the question's name, beginning with number `first`.
    func reply(_ addresses: [IPAddress], first: Int, timeToLive: UInt32) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(32 + questionBytes.count + addresses.count * 28)
        bytes.append(bigEndian: header.id)
        bytes.append(bigEndian: Self.replyHeader(header, .noError).flags)
        bytes.append(bigEndian: 1 as UInt16)
        bytes.append(bigEndian: UInt16(addresses.count))
        bytes.append(bigEndian: edns == nil ? 0 : 1 as UInt32)
        bytes += questionBytes
        for index in addresses.indices {
            let address = addresses[(first + index) % addresses.count]
            bytes.append(bigEndian: 0xc000 | UInt16(Header.byteCount))
            bytes.append(bigEndian: question.type.rawValue)
            bytes.append(bigEndian: RecordClass.internet.rawValue)
            bytes.append(bigEndian: timeToLive)
            bytes.append(bigEndian: UInt16(address.family.bitCount / 8))
            if address.isIPv4 {
                bytes.append(bigEndian: address.ipv4)
            } else {
                bytes.append(bigEndian: address.high)
                bytes.append(bigEndian: address.low)
            }
        }
        guard let edns else { return bytes }
        let flags: UInt32 = edns.isDNSSECWanted ? 0x8000 : 0
        bytes.append(0)
        bytes.append(bigEndian: RecordType.opt.rawValue)
        bytes.append(bigEndian: UInt16(Message.Limits.ednsByteCount))
        bytes.append(bigEndian: flags)
        bytes.append(bigEndian: 0 as UInt16)
        return bytes
    }

    /// The answer of an upstream to this query, sent under `id`: with the asker's ID and case, cut
    /// to its size; nil where it is no answer to it.
    func relayed(_ answer: [UInt8], sentAs id: UInt16) -> [UInt8]? {
        guard let theirs = isAnswered(by: answer, sentAs: id) else { return nil }
        let end = Header.byteCount + questionBytes.count
        guard answer.count <= byteCountMax else { return cut(theirs) }
        var answer = answer
        answer[0] = UInt8(header.id >> 8)
        answer[1] = UInt8(truncatingIfNeeded: header.id)
        if theirs.questionCount == 1 {
            answer.replaceSubrange(Header.byteCount..<end, with: questionBytes)
        }
        return answer
    }

    /// The header of an answer to this query, sent under `id`; nil where it is none.
    func isAnswered(by answer: [UInt8], sentAs id: UInt16) -> Header? {
        guard let theirs = try? Header(answer.rawSpan), theirs.id == id, theirs.isResponse,
            theirs.opcode == .query
        else { return nil }
        if theirs.questionCount == 0 {
            // Some servers echo no question with an error.
            return theirs.responseCodeBits != 0 && theirs.answerCount == 0 ? theirs : nil
        }
        guard theirs.questionCount == 1,
            answer.count >= Header.byteCount + questionBytes.count,
            (try? MessageView.onlyQuestion(of: answer.rawSpan)) == question
        else { return nil }
        return theirs
    }

    /// An upstream's answer without its records, TC set.
    private func cut(_ theirs: Header) -> [UInt8] {
        var header = Header(id: self.header.id, flags: theirs.flags)
        header.isTruncated = true
        return Message(header: header, questions: [question], edns: replyEDNS(nil)).wire()
    }
}
