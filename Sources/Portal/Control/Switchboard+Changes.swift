internal import Control
internal import Foundation
internal import GRDB
internal import Logging
internal import Policy

/// Changes of the configuration: checked, written down, applied, told to whom they touch.
extension Switchboard {
    /// Makes all of `changes` and what `also` writes, or nothing; the revision that they made.
    @discardableResult
    func commit(
        _ changes: [Change],
        by who: String,
        why: String,
        also: (@Sendable (Database) throws -> Void)? = nil
    ) async throws -> UInt64 {
        try await commit(by: who, why: why, also: also) { _ in changes }
    }

    /// Makes the changes that `plan` finds to be needed, with nobody else changing meanwhile.
    @discardableResult
    func commit(
        by who: String,
        why: String,
        also: (@Sendable (Database) throws -> Void)? = nil,
        _ plan: (Directory) throws -> [Change]
    ) async throws -> UInt64 {
        try await exclusively {
            let before = directory
            let changes = try plan(before)
            guard !changes.isEmpty else { return revision }
            var next = before
            let scope = try next.apply(contentsOf: changes)
            let entry = LoggedChange(
                revision: revision + 1,
                at: .now,
                who: who,
                why: why,
                changes: changes
            )
            let summary = ChangeSummary.text(changes, before: before, after: next)
            try await store.append(entry, summary: summary, also: also)
            (directory, revision) = (next, entry.revision)
            metrics.count(.changes)
            logger.info(
                "changed",
                metadata: ["revision": "\(revision)", "count": "\(changes.count)"]
            )
            publish(scope, before: before)
            saveSnapshotWhenDue()
            return revision
        }
    }

    /// Notes in the audit log what somebody did that is no change of the directory, such as making
    /// a token, together with what `also` writes.
    func note(
        _ summary: String,
        by who: String,
        also: (@Sendable (Database) throws -> Void)? = nil
    ) async throws {
        try await exclusively {
            let entry = LoggedChange(
                revision: revision + 1,
                at: .now,
                who: who,
                why: "",
                changes: []
            )
            try await store.append(entry, summary: summary, also: also)
            revision = entry.revision
        }
    }

    /// What a change touches, and nobody else, is told.
    private func publish(_ scope: Scope, before: Directory) {
        let fresh = WithheldIndex(salt: keys.withheldSalt, directory)
        let touchesAll = scope.hasNewDNS || scope.hasNewAddresses || !fresh.isSame(as: withheld)
        withheld = fresh
        if scope.hasNewRelays { changeStockRelays(before: before) }
        if scope.isEmpty && !touchesAll { return }
        forgetGone(before)
        tellGatewaysOfResources(before)
        review(leases.all { scope.touches($0.client, $0.resource) })
        for id in clients.keys.sorted() {
            if touchesAll || scope.touches(id) { tellDifferences(id) }
            for resource in (clients[id]?.denied ?? [:]).keys.sorted()
            where scope.touches(id, resource) {
                tellChanged(resource, to: id)
            }
        }
        for id in gateways.keys.sorted() where scope.hasNewAddresses || scope.gateways.contains(id)
        {
            moveOrWelcome(id)
        }
    }

    /// Ends what belongs to clients and gateways that were removed.
    private func forgetGone(_ before: Directory) {
        for client in before.clients where directory.clients[client.id] == nil {
            for lease in leases.leases(of: client.id) {
                end(lease, .revoked, "An administrator removed this client.")
            }
            for address in client.tunnel { addresses.release(address) }
            devices.remove(client.id.text)
            missed[client.id] = nil
            if let live = clients[client.id] {
                refuse(
                    live.connection,
                    Refusal(.notFound, .mend, "An administrator removed this client.")
                )
            }
        }
        for gateway in before.gateways where directory.gateways[gateway.id] == nil {
            for lease in leases.leases(at: gateway.id) {
                end(lease, .revoked, "The gateway was removed; another one is tried.")
            }
            for address in gateway.tunnel { addresses.release(address) }
            devices.remove(gateway.id.text)
            if let live = gateways[gateway.id] {
                refuse(
                    live.connection,
                    Refusal(.notFound, .mend, "An administrator removed this gateway.")
                )
            }
        }
    }

    /// Running flows obey a resource's new filters at once.
    private func tellGatewaysOfResources(_ before: Directory) {
        let changed = directory.resources.filter { resource in
            before.resources[resource.id].map { $0 != resource } ?? false
        }
        guard !changed.isEmpty else { return }
        for id in gateways.keys.sorted() {
            guard let gateway = gateways[id] else { continue }
            let leased = Set(leases.leases(at: id).map(\.resource))
            for resource in changed where leased.contains(resource.id) {
                let update = ToGateway.ResourceUpdate(resource: ResourceForGateway(resource))
                send(.resource(update), to: gateway)
            }
        }
    }

    /// A gateway whose site is another one starts anew; else it hears its new settings.
    private func moveOrWelcome(_ id: GatewayID) {
        guard let gateway = gateways[id], let entry = directory.gateways[id] else { return }
        if entry.site == gateway.site {
            welcome(id)
        } else {
            refuse(
                gateway.connection,
                Refusal(.replaced, .retry, "The gateway belongs to another site now.")
            )
        }
    }

    /// Writes a snapshot when the portal stops, so that its next start is quick.
    func saveFinalSnapshot() async {
        guard revision > snapshotRevision else { return }
        try? await store.saveSnapshot(directory.snapshot, revision: revision)
    }

    private func saveSnapshotWhenDue() {
        guard revision - snapshotRevision >= Store.LogLimits.snapshotInterval else { return }
        snapshotRevision = revision
        let (store, logger) = (store, logger)
        let (changes, revision) = (directory.snapshot, revision)
        Task.detached {
            do {
                try await store.saveSnapshot(changes, revision: revision)
            } catch {
                logger.warning("cannot write a snapshot", metadata: ["why": "\(error)"])
            }
        }
    }
}

/// Changes in a few words, for the audit log.
enum ChangeSummary {
    /// Bounds of the text.
    enum Limits {
        /// Changes that are named one by one.
        static let named = 6
    }

    static func text(_ changes: [Change], before: Directory, after: Directory) -> String {
        let lines = changes.prefix(Limits.named).map { line($0, before, after) }
        let more = changes.count - lines.count
        return lines.joined(separator: "; ") + (more > 0 ? "; and \(more) more" : "")
    }

    private static func line(_ change: Change, _ before: Directory, _ after: Directory) -> String {
        func verb(_ isNew: Bool) -> String { isNew ? "added" : "changed" }
        func resource(_ id: ResourceID) -> String {
            (after.resources[id] ?? before.resources[id])?.name ?? id.text
        }
        func group(_ id: GroupID) -> String {
            (after.groups[id] ?? before.groups[id])?.name ?? id.text
        }
        func actor(_ id: ActorID) -> String {
            (after.actors[id] ?? before.actors[id])?.name ?? id.text
        }
        func policy(_ id: PolicyID) -> String {
            guard let policy = after.policies[id] ?? before.policies[id] else { return id.text }
            return "\(group(policy.group)) → \(resource(policy.resource))"
        }
        switch change {
        case .account(let name): return "named the account \(name)"
        case .upsertActor(let new): return "\(verb(before.actors[new.id] == nil)) \(new.name)"
        case .removeActor(let id): return "removed \(actor(id))"
        case .upsertGroup(let new):
            return "\(verb(before.groups[new.id] == nil)) group \(new.name)"
        case .removeGroup(let id): return "removed group \(group(id))"
        case .addMember(let id, let member): return "added \(actor(member)) to \(group(id))"
        case .removeMember(let id, let member): return "removed \(actor(member)) from \(group(id))"
        case .upsertSite(let new): return "\(verb(before.sites[new.id] == nil)) site \(new.name)"
        case .removeSite(let id): return "removed site \(before.sites[id]?.name ?? id.text)"
        case .upsertResource(let new):
            return "\(verb(before.resources[new.id] == nil)) resource \(new.name)"
        case .removeResource(let id): return "removed resource \(resource(id))"
        case .upsertPolicy(let new):
            return "\(verb(before.policies[new.id] == nil)) policy \(policy(new.id))"
        case .removePolicy(let id): return "removed policy \(policy(id))"
        case .upsertClient(let new):
            let old = before.clients[new.id]
            guard let old, old.device.isVerified != new.device.isVerified else {
                return "\(verb(old == nil)) client \(new.name) of \(actor(new.actor))"
            }
            return "\(new.device.isVerified ? "verified" : "no longer verified") client \(new.name)"
        case .removeClient(let id): return "removed client \(before.clients[id]?.name ?? id.text)"
        case .upsertGateway(let new):
            return "\(verb(before.gateways[new.id] == nil)) gateway \(new.name)"
        case .removeGateway(let id):
            return "removed gateway \(before.gateways[id]?.name ?? id.text)"
        case .upsertProvider(let new):
            return "\(verb(before.providers[new.id] == nil)) provider \(new.name)"
        case .removeProvider(let id):
            return "removed provider \(before.providers[id]?.name ?? id.text)"
        case .upsertRelay(let new):
            return "\(verb(before.relays[new.id] == nil)) relay \(new.name)"
        case .removeRelay(let id): return "removed relay \(before.relays[id]?.name ?? id.text)"
        case .dns: return "changed nameservers"
        case .addresses: return "changed address ranges"
        case .tests(let tests): return "set \(tests.count) policy tests"
        }
    }
}
