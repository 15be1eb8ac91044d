internal import Bytes
internal import DNS

/// A query on its way to a nameserver: under an ID of the connection's own, and padded where the
/// way is encrypted.
struct OutgoingQuery: Sendable {
    /// Bounds of a query.
    enum Limits {
        /// Padded queries are multiples of so many bytes (RFC 8467 section 4.1).
        static var blockByteCount: Int { 128 }
    }

    /// EDNS's padding option (RFC 7830).
    private static let padding: UInt16 = 12
    private static let optionHeaderByteCount = 4

    private let bytes: [UInt8]
    private let identifier: UInt16
    private let question: Question
    private let edns: EDNS?
    private let additionalCount: UInt16
    /// Whether the asker pads its queries, and wants padded answers.
    private let isPadded: Bool

    /// - Parameter bytes: The query as its asker wrote it; nil when it is none with one question.
    init?(_ bytes: [UInt8]) {
        guard let view = try? MessageView(bytes.rawSpan), let question = view.question,
            view.header.questionCount == 1, !view.header.isResponse
        else { return nil }
        (self.bytes, identifier, self.question) = (bytes, view.header.id, question)
        (edns, additionalCount) = (view.edns, view.header.additionalCount)
        isPadded = view.edns?.options.contains { $0.code == Self.padding } ?? false
    }

    /// The query as it is sent.
    func wire(under identifier: UInt16, isPadded: Bool) -> [UInt8] {
        var wire = isPadded ? padded() : bytes
        wire[0] = UInt8(identifier >> 8)
        wire[1] = UInt8(truncatingIfNeeded: identifier)
        return wire
    }

    /// Whether `message` can be the answer to it, sent under `identifier`: the same ID and, unless
    /// the server echoes none with an error, the same question.
    func isAnswered(by message: [UInt8], under identifier: UInt16) -> Bool {
        guard let header = try? Header(message.rawSpan), header.id == identifier,
            header.isResponse, header.opcode == .query
        else { return false }
        guard header.questionCount > 0 else {
            return header.responseCodeBits != 0 && header.answerCount == 0
        }
        return (try? MessageView.onlyQuestion(of: message.rawSpan)) == question
    }

    /// The answer as the asker gets it: with its ID, and without what only the way needed.
    func answer(_ message: [UInt8]) -> [UInt8] {
        var answer = message
        if !isPadded, let view = try? MessageView(message.rawSpan), let theirs = view.edns,
            let start = Self.lastRecord(theirs, in: message)
        {
            if edns == nil {
                answer.removeSubrange(start...)
                Self.set(view.header.additionalCount &- 1, at: 10, in: &answer)
            } else if theirs.options.contains(where: { $0.code == Self.padding }) {
                answer.removeSubrange(start...)
                answer += Self.record(message[start..<start + 9], without(theirs))
            }
        }
        answer[0] = UInt8(identifier >> 8)
        answer[1] = UInt8(truncatingIfNeeded: identifier)
        return answer
    }

    /// The query with as many zeros as fill its last block; as it is where OPT cannot be last, as
    /// with a signature behind it.
    private func padded() -> [UInt8] {
        var wire: [UInt8]
        var options: [EDNS.Option] = []
        let head: ArraySlice<UInt8>
        if let edns {
            guard let start = Self.lastRecord(edns, in: bytes) else { return bytes }
            wire = Array(bytes[..<start])
            head = bytes[start..<start + 9]
            options = without(edns)
        } else {
            guard additionalCount == 0 else { return bytes }
            wire = bytes
            Self.set(1, at: 10, in: &wire)
            let size = UInt16(Message.Limits.ednsByteCount)
            head = [0, 0, 41, UInt8(size >> 8), UInt8(truncatingIfNeeded: size), 0, 0, 0, 0]
        }
        let used = wire.count + Self.record(head, options).count + Self.optionHeaderByteCount
        let block = Limits.blockByteCount
        let zeros = [UInt8](repeating: 0, count: (block - used % block) % block)
        options.append(EDNS.Option(code: Self.padding, value: zeros))
        wire += Self.record(head, options)
        return wire.count <= Message.Limits.byteCount ? wire : bytes
    }

    private func without(_ edns: EDNS) -> [EDNS.Option] {
        edns.options.filter { $0.code != Self.padding }
    }

    /// Where OPT begins; nil unless it is the message's last record.
    private static func lastRecord(_ edns: EDNS, in message: [UInt8]) -> Int? {
        let byteCount = edns.options.reduce(0) { $0 + optionHeaderByteCount + $1.value.count }
        let start = message.count - 11 - byteCount
        guard start >= Header.byteCount, message[start] == 0, message[start + 1] == 0,
            message[start + 2] == 41,
            Int(message[start + 9]) << 8 | Int(message[start + 10]) == byteCount
        else { return nil }
        return start
    }

    /// OPT, whose first nine bytes are `head`.
    private static func record(
        _ head: ArraySlice<UInt8>,
        _ options: [EDNS.Option]
    ) -> [UInt8] {
        var data: [UInt8] = []
        for option in options {
            data.append(bigEndian: option.code)
            data.append(bigEndian: UInt16(truncatingIfNeeded: option.value.count))
            data += option.value
        }
        return Array(head) + [UInt8(data.count >> 8), UInt8(truncatingIfNeeded: data.count)] + data
    }

    private static func set(_ value: UInt16, at offset: Int, in bytes: inout [UInt8]) {
        bytes[offset] = UInt8(value >> 8)
        bytes[offset + 1] = UInt8(truncatingIfNeeded: value)
    }
}
