internal import Bytes
internal import Control
public import DNS
public import SansIO

// Questions for the other records of protected names, which their own site answers.
extension StubResolver {
    /// Makes a question for the site, and waits for its answer.
    mutating func askSite(
        _ query: Query,
        _ asker: Asker,
        _ resources: [ResourceID],
        at now: Instant
    ) -> Outcome {
        let id = UInt16(truncatingIfNeeded: random.next())
        let entry = InFlight(
            query: query,
            asker: asker,
            id: id,
            isStream: asker.isStream,
            wait: .site,
            sentAt: now,
            deadline: now.advanced(by: Limits.site),
            generation: generation
        )
        return .askSite(
            SiteQuestion(
                token: putInFlight(entry),
                resources: resources,
                name: query.question.name,
                bytes: query.forSite(id: id),
                isStream: asker.isStream
            )
        )
    }

    /// A question cannot be put to the site.
    ///
    /// - Parameters:
    ///   - token: The question's.
    ///   - error: Why not.
    ///   - now: The time.
    /// - Returns: SERVFAIL with the reason; nil when nobody waits any more.
    public mutating func refuse(
        _ token: UInt64,
        error: ExtendedError,
        at now: Instant
    ) -> Reply? {
        guard let entry = inFlight.remove(token) else { return nil }
        for follower in entry.followers {
            if let other = Self.failure(entry.following(follower), error) { replies.append(other) }
        }
        return Self.failure(entry, error)
    }
}

extension Query {
    /// Seconds that what a site says may be kept: not long after the permission is gone.
    private static var siteTimeToLiveMax: UInt32 { 30 }

    /// The query for a site: its question and its wishes, nothing about its asker.
    func forSite(id: UInt16) -> [UInt8] {
        let isDNSSECWanted = edns?.isDNSSECWanted ?? false
        var message = Message(
            query: question,
            id: id,
            edns: EDNS(isDNSSECWanted: isDNSSECWanted)
        )
        message.header.isRecursionDesired = header.isRecursionDesired
        message.header.isCheckingDisabled = header.isCheckingDisabled
        return message.wire()
    }

    /// What the site answered to this query, sent under `id`; nil where it is no answer to it.
    ///
    /// Nothing is said to be authentic, since no signature of the name reaches the asker's trust;
    /// additional records are left out, since addresses there would lead past the tunnel.
    func relayedFromSite(_ answer: [UInt8], sentAs id: UInt16) -> [UInt8]? {
        guard isAnswered(by: answer, sentAs: id) != nil,
            let theirs = try? Message(answer.rawSpan)
        else { return nil }
        let code = theirs.responseCode
        // Without OPT there is no room for the upper bits.
        guard edns != nil || code.rawValue < 16 else { return reply(.serverFailure) }
        var message = Message(
            header: Self.replyHeader(header, code),
            questions: [question],
            answers: theirs.answers.map(Self.capped),
            authorities: theirs.authorities.map(Self.capped),
            edns: edns.map { asked in
                let errors = theirs.edns?.extendedErrors ?? []
                return EDNS(
                    isDNSSECWanted: asked.isDNSSECWanted,
                    options: errors.map(\.option)
                )
            }
        )
        message.header.isTruncated = theirs.header.isTruncated
        message.responseCode = code
        return message.wire(byteCountMax: byteCountMax)
    }

    private static func capped(_ record: Record) -> Record {
        var record = record
        record.timeToLive = min(record.timeToLive, siteTimeToLiveMax)
        return record
    }
}
