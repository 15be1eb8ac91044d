internal import Bytes
internal import DNS

/// An upstream's answer as it is kept: without what was meant for its first asker only.
struct ForwardedAnswer {
    /// The message without OPT, AA taken away; behind it, two bytes each, where its times to live
    /// stand: one piece of memory for all of it.
    private let bytes: [UInt8]
    /// Bytes of the message.
    let messageByteCount: Int
    /// The upstream's extended errors; its other options are about one exchange.
    let errors: [ExtendedError]
    /// Seconds that it may be kept.
    let lifetime: UInt32

    /// What may be kept of an answer, which was found to be one to the question; nil where nothing
    /// may be: it is cut, an error, has no lifetime, or says that something is absent without an
    /// SOA (RFC 2308 section 5).
    init?(_ answer: [UInt8], to question: Question) {
        guard answer.count <= ForwardCache.Limits.answerByteCount,
            let view = try? MessageView(answer.rawSpan), view.trailingByteCount == 0,
            view.header.questionCount == 1, !view.header.isTruncated
        else { return nil }
        let code = view.header.responseCode(with: view.edns)
        guard code == .noError || code == .nameError else { return nil }
        let frames = view.recordFrames()
        // Only behind all others can it be taken away without moving what pointers point to.
        let records = frames.last?.type == .opt ? frames.dropLast() : frames[...]
        guard !records.contains(where: { $0.type == .opt }) else { return nil }
        guard let lifetime = Self.lifetime(view, records, question), lifetime > 0 else {
            return nil
        }
        let end = records.last?.data.upperBound ?? view.questionsEnd
        var bytes: [UInt8] = []
        bytes.reserveCapacity(end + 2 * records.count)
        bytes += answer[..<end]
        bytes[2] &= ~4
        let additionalCount = records.count { $0.section == .additional }
        bytes[10] = UInt8(truncatingIfNeeded: additionalCount >> 8)
        bytes[11] = UInt8(truncatingIfNeeded: additionalCount)
        for record in records { bytes.append(bigEndian: UInt16(record.timeToLiveOffset)) }
        self.bytes = bytes
        messageByteCount = end
        errors = view.edns?.extendedErrors ?? []
        self.lifetime = lifetime
    }

    /// Bytes that it needs.
    var byteCount: Int { bytes.count + errors.reduce(0) { $0 + 32 + $1.text.utf8.count } }

    /// The message.
    var message: ArraySlice<UInt8> { bytes[..<messageByteCount] }

    /// Where the times to live stand.
    var timeToLiveOffsets: some Sequence<Int> {
        stride(from: messageByteCount, to: bytes.count, by: 2).lazy.map {
            Int(bytes.rawSpan.uint16(at: $0))
        }
    }

    /// The header of the message.
    var header: Header? { try? Header(bytes.rawSpan) }

    /// Whether it is an answer to `question`; what it repeats of it may differ in case.
    func answers(_ question: Question) -> Bool {
        let end = Header.byteCount + question.name.wire.count
        return end + 4 <= messageByteCount
            && bytes.rawSpan.uint16(at: end) == question.type.rawValue
            && bytes.rawSpan.uint16(at: end + 2) == question.recordClass.rawValue
            && question.name.isWritten(in: bytes.rawSpan, at: Header.byteCount)
    }

    /// The shortest time to live; of an absence not more than the SOA says (RFC 2308 section 5).
    private static func lifetime(
        _ view: borrowing MessageView,
        _ records: ArraySlice<RecordFrame>,
        _ question: Question
    ) -> UInt32? {
        var lifetime = ForwardCache.Limits.timeToLive
        var isAbsence = view.header.responseCodeBits != 0
        var hasAnswer = false
        var minimum: UInt32?
        for record in records {
            let timeToLive = seconds(view.bytes, record.timeToLiveOffset)
            lifetime = min(lifetime, timeToLive)
            switch record.section {
            case .answer:
                if record.type == question.type || question.type == .any { hasAnswer = true }
            case .authority:
                guard record.type == .soa, record.data.count >= 22 else { break }
                minimum = seconds(view.bytes, record.data.upperBound - 4)
            case .additional: break
            }
        }
        isAbsence = isAbsence || !hasAnswer
        guard isAbsence else { return lifetime }
        return minimum.map { min(lifetime, $0, ForwardCache.Limits.negativeTimeToLive) }
    }

    /// RFC 2181 section 8: with the top bit set it means 0.
    static func seconds(_ bytes: RawSpan, _ offset: Int) -> UInt32 {
        let value = bytes.uint32(at: offset)
        return value >> 31 == 0 ? value : 0
    }
}

extension Query {
    /// Whether its answer may be one that was kept, or be kept.
    ///
    /// Who does not want recursion asks what an upstream itself knows; who sends options other than
    /// those that mean nothing for the answer (keep-alive, padding, cookies) asks for itself alone.
    var isCacheable: Bool {
        // A record besides OPT may be a signature, which the answer must have too (RFC 8945).
        guard header.isRecursionDesired, !header.isTruncated,
            header.answerCount == 0, header.authorityCount == 0,
            header.additionalCount == (edns == nil ? 0 : 1)
        else { return false }
        guard let edns else { return true }
        return edns.options.allSatisfy { (10...12).contains($0.code) }
    }

    /// What its answer is kept under.
    func cacheKey(route: Int, seed: UInt64) -> ForwardCache.Key {
        var flags: UInt8 = edns?.isDNSSECWanted ?? false ? 1 : 0
        if header.isCheckingDisabled { flags |= 2 }
        if header.isAuthentic { flags |= 4 }
        return ForwardCache.Key(question: question, route: route, flags: flags, seed: seed)
    }

    /// An answer that was kept, as if it came now: with the asker's ID and case, times to live
    /// counted down, OPT only if the query had one, cut to the asker's size.
    func reply(_ kept: ForwardedAnswer, secondsAgo: UInt32) -> [UInt8] {
        let opt = edns.map { EDNS(isDNSSECWanted: $0.isDNSSECWanted, options: kept.options) }
        let byteCount = kept.messageByteCount + (opt?.byteCount ?? 0)
        guard byteCount <= byteCountMax else { return cut(kept.header ?? header) }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(byteCount)
        bytes += kept.message
        bytes[0] = UInt8(header.id >> 8)
        bytes[1] = UInt8(truncatingIfNeeded: header.id)
        for index in questionBytes.indices {
            bytes[Header.byteCount + index] = questionBytes[index]
        }
        for offset in kept.timeToLiveOffsets {
            let before = ForwardedAnswer.seconds(bytes.rawSpan, offset)
            let after = before > secondsAgo ? before - secondsAgo : 0
            bytes[offset] = UInt8(truncatingIfNeeded: after >> 24)
            bytes[offset + 1] = UInt8(truncatingIfNeeded: after >> 16)
            bytes[offset + 2] = UInt8(truncatingIfNeeded: after >> 8)
            bytes[offset + 3] = UInt8(truncatingIfNeeded: after)
        }
        guard let opt else { return bytes }
        opt.write(to: &bytes)
        let count = bytes.rawSpan.uint16(at: 10) + 1
        bytes[10] = UInt8(count >> 8)
        bytes[11] = UInt8(truncatingIfNeeded: count)
        return bytes
    }
}

extension ForwardedAnswer {
    fileprivate var options: [EDNS.Option] { errors.map(\.option) }
}
