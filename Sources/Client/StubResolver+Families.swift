internal import DNS
internal import IP
internal import SansIO

extension StubResolver {
    /// A query for a family that the name lacks, until its sister comes or does not.
    struct Held {
        let query: Query
        let asker: Asker
        let slot: Int
        let family: IPFamily
        let deadline: Instant
    }

    /// Answers a question for the addresses of a protected name.
    ///
    /// A family that the name is known to lack is left out when the host asks for the other one
    /// too; alone it is served, and its packets are refused at the gateway.
    mutating func resolveAddresses(
        _ query: Query,
        _ asker: Asker,
        _ slot: Int,
        _ family: IPFamily,
        isOtherServed: Bool,
        at now: Instant
    ) -> Outcome {
        let other: IPFamily = family == .ipv4 ? .ipv6 : .ipv4
        proxies.noteAsked(family, at: slot, now)
        if proxies.isAbsent(other, at: slot) { answerSisters(of: slot, other) }
        guard isOtherServed, proxies.isAbsent(family, at: slot) else {
            return .answer(answerAddresses(query, slot, family))
        }
        if let asked = proxies.lastAsked(other, at: slot),
            asked.duration(to: now) <= Limits.sisterBefore
        {
            return .answer(query.reply(.noError))
        }
        guard held.count < Limits.held else { return .answer(answerAddresses(query, slot, family)) }
        let deadline = now.advanced(by: Limits.sister)
        held.append(
            Held(query: query, asker: asker, slot: slot, family: family, deadline: deadline)
        )
        return .wait
    }

    /// The sister of queries held back came: they are answered without records.
    private mutating func answerSisters(of slot: Int, _ family: IPFamily) {
        for _ in 0..<held.count {
            guard let first = held.popFirst() else { break }
            if first.slot == slot, first.family == family {
                replies.append(Reply(asker: first.asker, bytes: first.query.reply(.noError)))
            } else {
                held.append(first)
            }
        }
    }

    /// The four addresses, each first in its turn.
    mutating func answerAddresses(
        _ query: Query,
        _ slot: Int,
        _ family: IPFamily
    ) -> [UInt8] {
        guard let match = match(of: slot), !match.resources.isEmpty,
            proxies.name(of: slot) == query.question.name
        else { return query.reply(.serverFailure) }
        let addresses = proxies.addresses(of: slot, family)
        if match.isWithheld {
            return query.reply(Array(addresses.prefix(1)), first: 0, timeToLive: Limits.timeToLive)
        }
        let first = proxies.nextRotation(family, at: slot)
        return query.reply(addresses, first: first, timeToLive: Limits.timeToLive)
    }
}
