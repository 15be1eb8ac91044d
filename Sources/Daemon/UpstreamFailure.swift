internal import NIOCore
internal import NIOPosix
internal import NIOSSL

/// Why a nameserver gave no answer.
enum UpstreamFailure: Error, Equatable {
    /// Its name stands for no address, by what the host's servers say.
    case noAddress
    /// No connection came about; the system's or the library's word.
    case unreachable(String)
    /// It is not the server that it should be, or its certificate cannot be believed.
    case certificate(String)
    /// The handshake failed for another reason than the certificate.
    case handshake(String)
    /// It speaks another protocol behind TLS than the one that was asked for.
    case noHTTP2
    /// It hung up before the answer; on a kept connection that is its right.
    case closed(hasAnswered: Bool)
    /// Nothing came in time.
    case silent
    /// Too much is under way already.
    case busy
    /// What came is no answer.
    case garbled
    /// HTTP said no.
    case status(Int)
    /// HTTP's answer is no DNS message by its own word.
    case contentType(String)
    /// The answer is longer than a DNS message can be.
    case tooLong

    /// A stable word for counters.
    var label: String {
        switch self {
        case .noAddress: "no-address"
        case .unreachable: "unreachable"
        case .certificate: "certificate"
        case .handshake: "handshake"
        case .noHTTP2: "no-http2"
        case .closed: "closed"
        case .silent: "silent"
        case .busy: "busy"
        case .garbled: "garbled"
        case .status: "http-status"
        case .contentType: "content-type"
        case .tooLong: "too-long"
        }
    }

    /// What a person reads of nameserver `name`.
    func sentence(of name: String) -> String {
        switch self {
        case .noAddress: "\(name) has no address that the host's own name servers know."
        case .unreachable(let word): "\(name) cannot be reached: \(word)."
        case .certificate(let why): "The certificate of \(name) is not valid: \(why)."
        case .handshake(let word): "\(name) makes no TLS connection: \(word)."
        case .noHTTP2: "\(name) does not speak HTTP/2."
        case .closed: "\(name) hangs up without an answer."
        case .silent: "\(name) does not answer in time."
        case .busy: "\(name) has too many queries to answer already."
        case .garbled: "\(name) answers with something that is no answer."
        case .status(let code): "\(name) answers HTTP \(code); check the address, also its path."
        case .contentType(let type):
            "\(name) answers with \(type), not application/dns-message; check the address, also "
                + "its path."
        case .tooLong: "\(name) answers with more than 65,535 bytes."
        }
    }
}

extension UpstreamFailure {
    /// What a connection's error means.
    init(connecting error: any Error) {
        switch error {
        case let error as UpstreamFailure: self = error
        case let error as NIOConnectionError:
            let first = error.connectionErrors.first?.error
            if let first {
                self.init(connecting: first)
            } else {
                self = .noAddress
            }
        case let error as IOError: self = .unreachable(Sentence.word(for: error.errnoCode))
        case ChannelError.connectTimeout: self = .silent
        case let error as NIOSSLError: self = .handshake("\(error)")
        case let error as BoringSSLError: self = .handshake("\(error)")
        default: self = .unreachable("\(error)")
        }
    }
}
