internal import Control
internal import Foundation
internal import HTTPTypes
internal import Logging
internal import Policy

/// What a drain did, or its end.
struct DrainOutcome: Codable, Equatable, Sendable {
    let gateway: String
    let isDraining: Bool
    /// Clients that hold leases there now.
    let clients: Int
    /// What that means, and what to do next.
    let sentence: String
}

/// Several gateways of one site: which of them new flows take.
extension Switchboard {
    /// Bounds of a drain.
    enum DrainLimits {
        /// How long flows may go on at a gateway that drains, in seconds, where nobody says.
        static let seconds = 600.0
        /// The longest that somebody may say.
        static let longestSeconds = 7 * 86_400.0
    }

    /// A gateway reaches a resource no longer, or again. New flows go by another gateway that does,
    /// if there is one.
    func take(_ reach: FromRole.Reach, from id: GatewayID) {
        guard let gateway = gateways[id], directory.resources[reach.resource]?.site == gateway.site
        else { return }
        let now = Date.now
        guard !reach.isReached else {
            return self.reach.heal(id, reach.resource, at: WallTime(now))
        }
        metrics.count(.unreached)
        let sentence = reach.sentence.map { String($0.prefix(Limits.sentenceCount)) }
        let isNews = self.reach.fail(id, reach.resource, sentence, at: WallTime(now))
        if isNews {
            logger.notice(
                "a gateway does not reach a resource",
                metadata: [
                    "gateway": "\(directory.gateways[id]?.name ?? id.text)",
                    "resource": "\(directory.resources[reach.resource]?.name ?? "")",
                    "why": "\(sentence ?? "")",
                ]
            )
        }
        let words = "This gateway does not reach the resource; another one is taken."
        for lease in leases.leases(at: id) where lease.resource == reach.resource {
            move(lease, .unreached, words, at: now)
        }
    }

    /// Whether a gateway gets no new leases: an administrator said so, or it stops.
    func isDraining(_ id: GatewayID) -> Bool {
        gateways[id]?.isDraining == true || devices[id.text]?.drainEndsAt != nil
    }

    /// The gateways of a site that are connected, as candidates for a lease of `resource`.
    func options(at site: SiteID, for resource: ResourceID, at now: Date) -> [GatewayChoice.Option]
    {
        gateways.values.filter { $0.site == site }.map { gateway in
            GatewayChoice.Option(
                id: gateway.id,
                clientCount: leases.clientCount(at: gateway.id),
                isDraining: isDraining(gateway.id),
                speaksCurrent: gateway.version >= .current,
                region: gateway.region,
                isPassedOver: reach.isPassedOver(gateway.id, resource, at: WallTime(now))
            )
        }.sorted { $0.id < $1.id }
    }

    /// Asks the client of a lease to take another gateway for new flows; false when there is none.
    @discardableResult
    private func move(
        _ lease: LeaseRecord,
        _ code: Refusal.Code,
        _ sentence: String,
        at now: Date
    ) -> Bool {
        guard let site = gateways[lease.gateway]?.site ?? directory.gateways[lease.gateway]?.site
        else { return false }
        let isServed = options(at: site, for: lease.resource, at: now).contains {
            $0.id != lease.gateway && $0.canTakeOver
        }
        guard isServed else { return false }
        guard let client = clients[lease.client] else { return true }
        let message = ToClient.Move(
            resource: lease.resource,
            gateway: lease.gateway,
            code: code,
            sentence: sentence
        )
        send(.move(message), to: client)
        return true
    }
}

// MARK: - Flows

extension Switchboard {
    /// Flows that ended at a gateway: kept when there is room, and counted when not.
    func take(_ flows: FromRole.Flows, from id: GatewayID) {
        let now = Date.now
        let name = directory.gateways[id]?.name ?? id.text
        let missing = writeBehind.save(flows.flows.map { KeptFlow($0, at: now, gateway: name) })
        metrics.count(.flows, by: UInt64(flows.flows.count - missing))
        metrics.count(.missingFlows, by: UInt64(missing) &+ (flows.missing ?? 0))
    }
}

// MARK: - Drains

extension Switchboard {
    /// Takes a gateway out of service gently, or back.
    ///
    /// - Parameters:
    ///   - word: Its name or id.
    ///   - seconds: How long running flows may go on; nil takes it back into service.
    ///   - who: Whom the record of changes names.
    /// - Returns: What that means now.
    /// - Throws: ``APIError`` when there is no such gateway; ``StoreError``.
    func drain(_ word: String, within seconds: Double?, by who: String) async throws -> DrainOutcome
    {
        let entry = directory.gateways[GatewayID(word)] ?? directory.gateways[named: word]
        guard let entry, var device = devices[entry.id.text] else {
            throw APIError.notFound("There is no gateway “\(word)”.")
        }
        let now = Date.now
        device.drainEndsAt = seconds.map {
            now.addingTimeInterval(min(max(0, $0), DrainLimits.longestSeconds))
        }
        let words = seconds == nil ? "took gateway \(entry.name) back" : "drains \(entry.name)"
        let saved = device
        try await note(words, by: who) { try Store.write(saved, $0) }
        setDrain(saved.drainEndsAt, of: entry.id)
        logger.notice("\(words)", metadata: ["by": "\(who)"])
        var isAlone = false
        if seconds != nil { isAlone = !moveClients(of: entry.id, at: now) }
        return DrainOutcome(
            gateway: entry.name,
            isDraining: seconds != nil,
            clients: leases.clientCount(at: entry.id),
            sentence: sentence(of: entry.name, isDraining: seconds != nil, isAlone: isAlone)
        )
    }

    /// What was written may have been overtaken by what the device said meanwhile.
    private func setDrain(_ end: Date?, of id: GatewayID) {
        guard var device = devices[id.text] else { return }
        device.drainEndsAt = end
        devices.upsert(device)
        writeBehind.save(device)
        if let end { scheduleSweep(at: end) }
        if let site = directory.gateways[id]?.site { showSite(site) }
    }

    private func sentence(of name: String, isDraining: Bool, isAlone: Bool) -> String {
        if !isDraining { return "\(name) takes new clients again." }
        if isAlone {
            return "\(name) takes nobody new, but no other gateway of its site can take over: its "
                + "clients stay until one is there."
        }
        return "\(name) takes nobody new; its clients move as their connections end."
    }

    /// Asks all clients of a gateway to take another one.
    ///
    /// - Returns: Whether all of them can.
    @discardableResult
    private func moveClients(of id: GatewayID, at now: Date) -> Bool {
        let words = "This gateway is being taken out of service; another one is taken."
        var canAll = true
        for lease in leases.leases(at: id) where lease.isStandBy != true {
            if !move(lease, .draining, words, at: now) { canAll = false }
        }
        return canAll
    }

    /// A gateway of a site came: clients of those that drain may go there.
    func moveDraining(at site: SiteID) {
        let now = Date.now
        for gateway in directory.gateways where gateway.site == site {
            if isDraining(gateway.id) { moveClients(of: gateway.id, at: now) }
        }
    }

    /// Ends what still goes on at gateways whose drain has lasted long enough, where somebody else
    /// can serve it.
    ///
    /// - Returns: When to look again; nil when nothing drains.
    func endDrains(at now: Date) -> Date? {
        var next: Date?
        for gateway in directory.gateways {
            guard let end = devices[gateway.id.text]?.drainEndsAt else { continue }
            guard end <= now else {
                next = min(next ?? end, end)
                continue
            }
            let words = "Its gateway was taken out of service; ask again."
            let held = leases.leases(at: gateway.id)
            for lease in held where move(lease, .draining, words, at: now) {
                self.end(lease, .draining, words)
            }
            if leases.clientCount(at: gateway.id) > 0 {
                next = min(next ?? .distantFuture, now.addingTimeInterval(Limits.sweepSeconds))
            }
        }
        return next
    }
}
