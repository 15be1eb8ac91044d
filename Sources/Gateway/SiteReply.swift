internal import Bytes
internal import DNS

/// What a nameserver's message means for a look-up.
enum SiteReply {
    /// It belongs to another question.
    case unrelated
    /// It says what there is, or that there is nothing.
    case answer(DNS.Message)
    /// There is no such name.
    case noSuchName(DNS.Message)
    /// It did not fit: ask again over TCP.
    case truncated
    /// The server does not understand EDNS.
    case withoutEDNS(DNS.Message)
    /// This server will not help: the next one.
    case useless(DNS.Message)

    /// Reads what came back for `question` with `id`.
    init(_ bytes: [UInt8], to question: Question, id: UInt16) {
        // Some servers echo no question with an error.
        guard let message = try? DNS.Message(bytes.rawSpan), message.header.isResponse,
            message.header.id == id,
            message.questions == [question]
                || message.questions.isEmpty && message.header.responseCodeBits != 0
                    && message.answers.isEmpty && message.responseCode != .nameError
        else {
            self = .unrelated
            return
        }
        guard !message.header.isTruncated else {
            self = .truncated
            return
        }
        switch message.responseCode {
        case .noError: self = .answer(message)
        case .nameError: self = .noSuchName(message)
        case .formatError, .notImplemented: self = .withoutEDNS(message)
        default: self = .useless(message)
        }
    }
}
