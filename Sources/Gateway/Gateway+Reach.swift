internal import Bytes
internal import Control
internal import DNS
internal import IP
internal import Peering
internal import SansIO

// What the portal is told when a resource is not reached from here, and when it is again.
extension Gateway {
    /// A flow got its first answer, whatever it says.
    mutating func noteReached(_ flow: NATFlow, _ slot: Int, at now: Instant) {
        guard let resource = clients[slot]?.grants.resource(flow.resource)?.resource.id else {
            return
        }
        tell(reach.succeed(resource, port: flow.inside.destinationPort, at: now))
    }

    /// The SYN of a flow is repeated: nothing answered it.
    mutating func noteUnanswered(_ flow: NATFlow, _ slot: Int, at now: Instant) {
        noteFailure(flow.resource, .connection, flow, since: flow.opened, slot, at: now)
    }

    /// An ICMP error about a flow that was never answered: no way there, or it is forbidden. That a
    /// port is closed is an answer of the resource itself.
    ///
    /// - Returns: Whether the portal was told just now, and may send the connection elsewhere.
    mutating func noteUnreachable(
        _ header: PacketHeader,
        _ flow: NATFlow,
        _ slot: Int,
        at now: Instant
    ) -> Bool {
        guard header.icmpCode != (header.family == .ipv4 ? 3 : 4) else { return false }
        let isTold = noteFailure(
            flow.resource,
            .connection,
            flow,
            since: flow.opened,
            slot,
            at: now
        )
        return isTold && flow.stage == .opening
    }

    /// A name that a client waits for is resolved, or cannot be.
    mutating func noteResolved(
        _ known: ResolvedName,
        _ number: UInt32,
        _ slot: Int,
        at now: Instant
    ) {
        switch known.status {
        case .active:
            guard let id = clients[slot]?.grants.resource(number)?.resource.id else { return }
            tell(reach.resolve(id))
        case .unresolved: noteFailure(number, .lookup, nil, since: now, slot, at: now)
        default:
            // One name without addresses says something about a resource that is just that name.
            guard clients[slot]?.grants.resource(number)?.isOneName == true else { return }
            noteFailure(number, .lookup, nil, since: now, slot, at: now)
        }
    }

    /// A client waits for a name.
    mutating func expectLookup(of name: Name, _ realName: Name, _ slot: Int, at now: Instant) {
        guard let client = clients[slot]?.id else { return }
        reach.expect(Waiter(client: client, name: name), realName, at: now)
    }

    /// Look-ups whose nameservers do not answer.
    mutating func advanceReach(to now: Instant) {
        while let late = reach.popLate(at: now) {
            guard let slot = slotByClient[late.waiter.client],
                let claims = clients[slot]?.names[late.waiter.name]?.claims,
                let claim = claims.first(where: { $0.realName == late.realName })
            else { continue }
            let known = resolver.resolve(late.realName, isQuery: false, at: now, by: &site)
            guard !known.isComplete, known.families.isEmpty else { continue }
            noteFailure(claim.resource, .lookup, nil, since: late.since, slot, at: now)
        }
    }

    @discardableResult
    private mutating func noteFailure(
        _ number: UInt32,
        _ cause: Reach.Cause,
        _ flow: NATFlow?,
        since start: Instant,
        _ slot: Int,
        at now: Instant
    ) -> Bool {
        guard isPortalUp, let granted = clients[slot]?.grants.resource(number) else { return false }
        if case .internet = granted.target { return false }
        let addresses = flow.map { addressCount($0.inside.destination, granted, slot, at: now) }
        let report = reach.fail(
            granted.resource.id,
            cause,
            port: flow?.inside.destinationPort,
            since: start,
            needed: addresses.map { $0 == 1 ? 1 : 2 } ?? 1,
            at: now
        )
        tell(report)
        return report != nil
    }

    /// How many addresses a resource has, as far as is known: what one failure says depends on it.
    private mutating func addressCount(
        _ destination: IPAddress,
        _ granted: GrantedResource,
        _ slot: Int,
        at now: Instant
    ) -> Int {
        switch granted.target {
        case .internet: return .max
        case .prefix(let prefix):
            return prefix.bitCount == prefix.family.bitCount ? 1 : .max
        case .names:
            guard granted.isOneName, let name = clients[slot]?.names.name(of: destination),
                let claims = clients[slot]?.names[name]?.claims,
                let claim = claims.first(where: { $0.resource == granted.number })
            else { return .max }
            let known = resolver.resolve(claim.realName, isQuery: false, at: now, by: &site)
            return max(known.ipv4.addresses.count, known.ipv6.addresses.count)
        }
    }

    private mutating func tell(_ report: Reach.Report?) {
        guard let report else { return }
        let sentence = "Connections to it, or look-ups of its name, fail at this gateway."
        outputs.append(
            .toPortal(
                .reach(
                    FromRole.Reach(
                        resource: report.resource,
                        isReached: report.isReached,
                        sentence: report.isReached ? nil : sentence
                    )
                )
            )
        )
    }
}

extension GrantedResource {
    /// Whether it is one name, and not all names of a pattern.
    var isOneName: Bool {
        guard case .names = target, case .name(let text) = resource.address else { return false }
        return !text.contains("*") && !text.contains("?")
    }
}
