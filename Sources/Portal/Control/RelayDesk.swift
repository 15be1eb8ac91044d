internal import Bytes
internal import Control
internal import Foundation
internal import IP

/// A relay that can be dealt now: where it is and how passwords for it are made.
struct RelayFacts: Equatable, Sendable {
    /// What passwords are made with.
    enum Secret: Equatable, Sendable, CustomStringConvertible {
        /// Derived by the portal.
        case derived
        /// A stock server's own.
        case own(String)

        var description: String { "(secret)" }
    }

    let id: RelayID
    var udp: [Endpoint]
    var tcp: [Endpoint]
    var tls: [Endpoint]
    var tlsFingerprint: String?
    var tlsName: String?
    var region: String?
    var secret: Secret
}

/// Deals relays to clients and gateways, and remembers who has what: a value, which is told the
/// time and sends nothing.
struct RelayDesk {
    /// Times of passwords, in seconds.
    enum Limits {
        /// How long a password is good for.
        static let lifetime = 12 * 3_600.0
        /// The share of its life after which there is a new one.
        static let renewalShare = 0.5
        /// How long after its start the portal waits for relays to come back, before it tells
        /// somebody who was here before that they are gone.
        static let settling = 15.0
    }

    /// A relay in somebody's hand, with the password that it was given.
    private struct Card {
        let facts: RelayFacts
        let username: String
        let password: String
        let expiresAt: Date
    }

    private struct Hand {
        var region: String?
        var times: [RelayID: UInt32] = [:]
        /// What it was told; nil means that it keeps what another run of the portal said.
        var cards: [Card]?
        var isSeated = true
        /// Whether it was here before this run of the portal.
        var isReturning = false

        var expiresAt: Date { cards?.map(\.expiresAt).max() ?? .distantPast }
    }

    private let keys: RelayKeys
    private let lifetime: Double
    /// From then on, relays that have not come back are gone.
    let settledAt: Date
    private var online: [RelayID: RelayFacts] = [:]
    private var hands: [String: Hand] = [:]

    init(keys: RelayKeys, lifetime: Double = Limits.lifetime, startedAt: Date) {
        (self.keys, self.lifetime) = (keys, lifetime)
        settledAt = startedAt.addingTimeInterval(Limits.settling)
    }

    // MARK: - Relays

    /// Relays that can be dealt.
    var count: Int { online.count }

    subscript(id: RelayID) -> RelayFacts? { online[id] }

    /// A relay is there, or has other facts than before.
    mutating func set(_ facts: RelayFacts) { online[facts.id] = facts }

    /// A relay is gone.
    mutating func remove(_ id: RelayID) { online[id] = nil }

    /// Whether an address is one at which a relay stands.
    func isRelay(_ address: IPAddress) -> Bool {
        online.values.contains { facts in
            (facts.udp + facts.tcp + facts.tls).contains { $0.address == address }
        }
    }

    // MARK: - Clients and gateways

    /// Those who are connected, in order.
    var seated: [String] { hands.filter(\.value.isSeated).keys.sorted() }

    /// When a password is to be renewed next.
    var nextRenewal: Date {
        hands.values.lazy.filter(\.isSeated).map(renewAt).min() ?? .distantFuture
    }

    /// Somebody connected; `isReturning` says that it was here before this run of the portal, and
    /// may hold relays of that time.
    mutating func seat(_ role: String, region: String?, isReturning: Bool, at now: Date) {
        forgetExpired(at: now)
        let known = hands[role]
        var hand = known ?? Hand()
        (hand.region, hand.isSeated) = (region, true)
        hand.isReturning = isReturning && known == nil
        hands[role] = hand
    }

    /// Somebody left; what it was dealt is remembered for as long as it is good.
    mutating func rise(_ role: String) { hands[role]?.isSeated = false }

    /// What somebody measured; replaces what it said before.
    mutating func heard(_ times: [RelayTime], from role: String) {
        let known = times.filter { online[$0.relay] != nil }
        hands[role]?.times = Dictionary(known.map { ($0.relay, $0.milliseconds) }) { $1 }
    }

    /// The list for a welcome; nil where nothing is to be said yet.
    mutating func list(for role: String, at now: Date) -> [RelayForRole]? {
        guard let hand = hands[role], !isWaiting(hand, at: now) else { return nil }
        return deal(choice(for: role, hand), to: role, at: now)
    }

    /// The list, when it is another than was told or its passwords are to be renewed.
    mutating func news(for role: String, at now: Date) -> [RelayForRole]? {
        guard let hand = hands[role], hand.isSeated, !isWaiting(hand, at: now) else { return nil }
        let facts = choice(for: role, hand)
        guard facts != hand.cards?.map(\.facts) || now >= renewAt(hand) else { return nil }
        return deal(facts, to: role, at: now)
    }

    /// The middle of what those who have it measured, in milliseconds; nil when nobody did.
    func roundTrip(of id: RelayID) -> UInt32? {
        let times = hands.values.filter(\.isSeated).compactMap { $0.times[id] }.sorted()
        return times.isEmpty ? nil : times[times.count / 2]
    }

    /// How many have it now.
    func userCount(of id: RelayID) -> Int {
        hands.values.count { hand in
            hand.isSeated && hand.cards?.contains { $0.facts.id == id } == true
        }
    }

    /// Whether it keeps what it has, since relays may still come back to a portal that started.
    private func isWaiting(_ hand: Hand, at now: Date) -> Bool {
        hand.isReturning && hand.cards == nil && now < settledAt
    }

    private func choice(for role: String, _ hand: Hand) -> [RelayFacts] {
        let options = online.values.map { RelayChoice.Option(id: $0.id, region: $0.region) }
        return RelayChoice.choose(
            among: options,
            for: role,
            in: hand.region,
            times: hand.times,
            held: hand.cards?.map(\.facts.id) ?? []
        ).compactMap { online[$0] }
    }

    private mutating func deal(
        _ facts: [RelayFacts],
        to role: String,
        at now: Date
    ) -> [RelayForRole] {
        let held = hands[role]?.cards ?? []
        let cards = facts.map { facts in
            // An allocation is bound to the name that made it: it changes no sooner than it must.
            let known = held.first { card in
                card.facts.id == facts.id && card.facts.secret == facts.secret
                    && now < renewAt(card)
            }
            return card(facts, for: role, known, at: now)
        }
        hands[role]?.cards = cards
        return cards.map { card in
            RelayForRole(
                id: card.facts.id,
                udp: card.facts.udp,
                tcp: card.facts.tcp,
                tls: card.facts.tls,
                tlsFingerprint: card.facts.tlsFingerprint,
                tlsName: card.facts.tlsName,
                region: card.facts.region,
                username: card.username,
                password: card.password,
                lifetimeSeconds: UInt32(max(1, card.expiresAt.timeIntervalSince(now)))
            )
        }
    }

    private func card(
        _ facts: RelayFacts,
        for role: String,
        _ known: Card?,
        at now: Date
    ) -> Card {
        if let known {
            return Card(
                facts: facts,
                username: known.username,
                password: known.password,
                expiresAt: known.expiresAt
            )
        }
        let end = now.addingTimeInterval(lifetime)
        let secret =
            switch facts.secret {
            case .derived: keys.secret(of: facts.id, at: now)
            case .own(let text): text
            }
        let credentials = RelayKeys.credentials(of: role, until: end, secret: secret)
        return Card(
            facts: facts,
            username: credentials.username,
            password: credentials.password,
            expiresAt: end
        )
    }

    private func renewAt(_ card: Card) -> Date {
        card.expiresAt.addingTimeInterval(-lifetime * (1 - Limits.renewalShare))
    }

    private func renewAt(_ hand: Hand) -> Date {
        hand.cards?.map(renewAt).min() ?? .distantFuture
    }

    private mutating func forgetExpired(at now: Date) {
        hands = hands.filter { $0.value.isSeated || $0.value.expiresAt > now }
    }
}
