internal import Bytes
internal import DNS
internal import IP

// The stub resolver's own answers, and those of others that it passes on.
extension Query {
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
        guard answer.count <= byteCountMax else { return cut(theirs) }
        var answer = answer
        answer[0] = UInt8(header.id >> 8)
        answer[1] = UInt8(truncatingIfNeeded: header.id)
        if theirs.questionCount == 1 {
            for index in questionBytes.indices {
                answer[Header.byteCount + index] = questionBytes[index]
            }
        }
        return answer
    }

    /// An upstream's answer without its records, TC set.
    func cut(_ theirs: Header) -> [UInt8] {
        var header = Header(id: self.header.id, flags: theirs.flags)
        header.isTruncated = true
        return Message(header: header, questions: [question], edns: replyEDNS(nil)).wire()
    }
}
