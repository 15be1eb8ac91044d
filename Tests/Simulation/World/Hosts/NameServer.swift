internal import Bytes
internal import DNS
internal import IP
internal import SansIO

/// A nameserver with a few records that can be changed.
final class NameServer {
    let address: IPAddress
    let delay: Duration
    /// Seconds that each record may be kept.
    let timeToLive: UInt32
    /// Whether it answers nothing.
    var isDown = false
    /// When it came back last.
    var backAt: Instant?
    private var records: [Name: [RecordData]] = [:]
    init(_ address: IPAddress, delay: Duration, timeToLive: UInt32) {
        (self.address, self.delay, self.timeToLive) = (address, delay, timeToLive)
    }

    var endpoint: Endpoint { Endpoint(address, port: 53) }

    /// The records of a name; empty: it does not exist.
    subscript(name: Name) -> [RecordData] {
        get { records[name] ?? [] }
        set { records[name] = newValue }
    }

    /// What says how long the absence of a record may be kept (RFC 2308).
    private var startOfAuthority: Record {
        let soa = StartOfAuthority(
            server: .root,
            mailbox: .root,
            serial: 1,
            refresh: 1,
            retry: 1,
            expire: 1,
            minimum: timeToLive
        )
        return Record(.root, timeToLive: timeToLive, .soa(soa))
    }

    /// The answer to a question; nil when there is none.
    func answer(_ bytes: [UInt8]) -> [UInt8]? {
        guard !isDown, let query = try? Message(bytes.rawSpan), let question = query.questions.first
        else { return nil }
        var answer = Message(header: query.header, questions: [question])
        answer.header.isResponse = true
        answer.header.isRecursionAvailable = true
        if query.edns != nil { answer.edns = EDNS() }
        let all = self[question.name]
        if all.isEmpty { answer.responseCode = .nameError }
        answer.answers = all.filter { $0.type == question.type }.map {
            Record(question.name, timeToLive: timeToLive, $0)
        }
        if answer.answers.isEmpty { answer.authorities = [startOfAuthority] }
        return answer.wire()
    }
}
