internal import Bytes
internal import DNS
internal import SansIO

/// A client's query for its site's own records.
struct SiteQuery: Sendable {
    /// How it came, and its answer goes back.
    enum Path: Sendable, Hashable {
        /// In a datagram from this endpoint of the client, to this one of ours.
        case datagram(client: Endpoint, gateway: Endpoint)
        /// On a connection, under this number.
        case stream(id: UInt64)

        var isStream: Bool {
            if case .stream = self { true } else { false }
        }
    }

    let path: Path
    let query: DNS.Query

    var question: DNS.Question { query.question }

    /// An answer of our own, and why.
    func reply(
        _ code: ResponseCode,
        answers: [Record] = [],
        error: ExtendedError? = nil
    ) -> [UInt8] {
        query.reply(code, answers: answers, error: error)
    }

    /// The site's answer about `name`, in the asker's words. Nothing was checked here, so that
    /// nothing is said to be authentic.
    func reply(_ answer: DNS.Message, about name: Name, _ alias: NameAlias) -> [UInt8] {
        let turned: (Name) -> Name = {
            $0 == name ? question.name : alias.askedName(of: $0) ?? $0
        }
        let edns = query.edns.map {
            EDNS(
                isDNSSECWanted: $0.isDNSSECWanted,
                options: answer.edns?.extendedErrors.map(\.option) ?? []
            )
        }
        var message = Message(
            header: DNS.Query.replyHeader(query.header, answer.responseCode),
            questions: [question],
            answers: answer.answers.map { $0.renamed(turned) },
            authorities: answer.authorities.map { $0.renamed(turned) },
            additionals: answer.additionals.map { $0.renamed(turned) },
            edns: edns
        )
        message.header.isAuthoritative = answer.header.isAuthoritative
        return message.wire(byteCountMax: query.byteCountMax)
    }
}

extension Record {
    /// The record with other names, where it stands and of hosts that it leads to; what is signed
    /// stays as it is.
    fileprivate func renamed(_ turned: (Name) -> Name) -> Record {
        var record = self
        record.name = turned(name)
        record.data =
            switch data {
            case .cname(let target): .cname(turned(target))
            case .ns(let target): .ns(turned(target))
            case .ptr(let target): .ptr(turned(target))
            case .mx(let preference, let target): .mx(preference: preference, turned(target))
            case .srv(let priority, let weight, let port, let target):
                .srv(priority: priority, weight: weight, port: port, turned(target))
            default: data
            }
        return record
    }
}
