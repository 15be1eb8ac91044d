internal import Bytes
internal import DNS
internal import IP
internal import SansIO

/// What a nameserver of the script says to a question: nothing, anything, or an answer with its
/// addresses, so that what comes after it is reached too.
enum NameserverAnswer {
    static func make(to query: [UInt8], _ script: inout Script) -> [UInt8]? {
        switch script.byte() & 7 {
        case 0: return nil
        case 1: return script.chunk()
        // The right ID before anything.
        case 2: return Array(query.prefix(2)) + script.chunk()
        // The question, other flags, and anything behind it.
        case 3:
            var bytes = query
            for index in 2..<min(12, bytes.count) { bytes[index] ^= script.byte() }
            return bytes + script.chunk()
        default: return answer(to: query, &script)
        }
    }

    private static func answer(to query: [UInt8], _ script: inout Script) -> [UInt8]? {
        guard var message = try? Message(query.rawSpan),
            let question = message.questions.first
        else { return nil }
        let flags = script.byte()
        message.header.isResponse = true
        message.header.isTruncated = flags & 1 != 0
        if flags & 2 != 0 { message.responseCode = flags & 4 != 0 ? .nameError : .serverFailure }
        var owner = question.name
        if flags & 8 != 0, let other = Name(script.text()) {
            message.answers.append(Record(owner, timeToLive: 60, .cname(other)))
            owner = other
        }
        let seconds = UInt32(script.byte())
        for address in script.addresses() {
            let data: RecordData = address.isIPv4 ? .a(address) : .aaaa(address)
            message.answers.append(Record(owner, timeToLive: seconds, data))
        }
        return message.wire()
    }
}
