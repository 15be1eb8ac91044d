internal import Bytes
public import Control
internal import DNS
internal import IP
internal import Peering
public import SansIO

extension Client {
    /// Why something does or does not work, link by link.
    public struct Explanation: Hashable, Sendable, Codable {
        /// What it comes to.
        public enum Verdict: String, Hashable, Sendable, Codable {
            /// Packets flow.
            case works
            /// The next packet gets it going.
            case ready
            /// The portal, or a filter, says no.
            case denied
            /// It is permitted, and not reached at the moment.
            case unreachable
            /// It is none of ours: the host's own network carries it.
            case notProtected
            /// The question cannot be read.
            case unreadable
        }

        public var verdict: Verdict
        /// The links of the chain, in order.
        public var sentences: [String]
        /// The resource that it is about; nil for none.
        public var resource: ResourceID?
    }

    /// Explains a name, an address, or either with a port: `git.example.com:443`, `10.1.2.3`,
    /// `[2001:db8::1]:22`. Asks nobody and changes nothing.
    public func explain(_ text: String, at now: Instant) -> Explanation {
        var chain = Chain()
        guard let identity else {
            chain.add("This client is not signed in: the portal has not told it anything yet.")
            return chain.end(.unreachable)
        }
        chain.add(
            "Signed in as \(identity.actor) on \(identity.name); the portal is "
                + (isPortalConnected ? "connected." : "not connected.")
        )
        guard let target = Target(text) else {
            chain.add("“\(text)” is neither a name nor an address; write git.example.com:443.")
            return chain.end(.unreadable)
        }
        switch target.host {
        case .name(let name): explain(name, target, &chain, at: now)
        case .address(let address): explain(address, target, &chain, at: now)
        }
        return chain.explanation
    }

    /// What was asked about.
    private struct Target {
        enum Host {
            case name(Name)
            case address(IPAddress)
        }

        var host: Host
        var port: UInt16?

        init?(_ text: String) {
            if let address = IPAddress(text) {
                host = .address(address)
            } else if let endpoint = Endpoint(text) {
                (host, port) = (.address(endpoint.address), endpoint.port)
            } else {
                let parts = text.split(separator: ":", omittingEmptySubsequences: false)
                guard parts.count <= 2, let name = Name(String(parts[0])), !name.isRoot else {
                    return nil
                }
                host = .name(name)
                guard parts.count == 2 else { return }
                guard let number = UInt16(parts[1]) else { return nil }
                port = number
            }
        }
    }

    /// The sentences so far.
    private struct Chain {
        var explanation = Explanation(verdict: .ready, sentences: [])

        mutating func add(_ sentence: String) { explanation.sentences.append(sentence) }

        @discardableResult
        mutating func end(_ verdict: Explanation.Verdict) -> Explanation {
            explanation.verdict = verdict
            return explanation
        }
    }

    private func explain(
        _ name: Name,
        _ target: Target,
        _ chain: inout Chain,
        at now: Instant
    ) {
        let (matching, slot): ([ResourceID], Int?) =
            switch stub {
            case .some(let stub): (stub.resources(of: name), stub.proxies.slot(of: name))
            case .none: ([], nil)
            }
        guard !matching.isEmpty else {
            chain.add(
                "No resource's pattern matches \(name): its queries go on to "
                    + (upstreams.first?.description ?? "no nameserver, as none is known")
                    + ", and its packets are not touched."
            )
            chain.end(.notProtected)
            return
        }
        if let slot {
            let addresses = proxies(of: slot).map(\.description).joined(separator: ", ")
            chain.add("\(name) is answered with the proxy addresses \(addresses).")
        } else {
            chain.add("Nobody has asked for \(name) yet; its first query gets proxy addresses.")
        }
        explain(matching, target.port, slot, &chain, at: now)
    }

    private func explain(
        _ address: IPAddress,
        _ target: Target,
        _ chain: inout Chain,
        at now: Instant
    ) {
        switch stub {
        case .some(let stub):
            if let upstream = stub.sentinels.upstream(of: address) {
                chain.add("\(address) is a nameserver of this client; it stands for \(upstream).")
                chain.end(.works)
                return
            }
            if stub.proxies.covers(address) {
                guard let place = stub.proxies.place(of: address) else {
                    chain.add("\(address) is a proxy address that stands for no name now.")
                    chain.end(.unreachable)
                    return
                }
                chain.add("\(address) is a proxy address of \(place.name).")
                let matching = stub.resources(of: place.name)
                explain(matching, target.port, place.slot, &chain, at: now)
                return
            }
        case .none: break
        }
        let covering = router.covering(address)
        guard !covering.isEmpty, !plan.all.contains(where: { $0.contains(address) }) else {
            chain.add("No resource covers \(address): the host's own network carries its packets.")
            chain.end(.notProtected)
            return
        }
        explain(covering, target.port, nil, &chain, at: now)
    }

    /// From the resources that match to the gateway.
    private func explain(
        _ matching: [ResourceID],
        _ port: UInt16?,
        _ slot: Int?,
        _ chain: inout Chain,
        at now: Instant
    ) {
        let permitting = matching.first { id in
            guard let port, let filters = router[id]?.filters else { return true }
            return filters.permit(.tcp, port: port) || filters.permit(.udp, port: port)
        }
        guard let id = permitting ?? matching.first else {
            chain.add("The resource that it belonged to was removed.")
            chain.end(.notProtected)
            return
        }
        chain.explanation.resource = id
        if let resource = router[id] {
            chain.add(
                "It belongs to the resource \(resource.name) "
                    + "(\(resource.pattern ?? resource.address.text)) in \(resource.site.name)."
            )
        } else {
            chain.add("It is protected, and not for you.")
        }
        if let port, let filters = router[id]?.filters, !filters.isEmpty {
            let list = filters.map(\.description).joined(separator: ", ")
            guard permitting != nil else {
                chain.add("Port \(port) is refused: the resource permits \(list) only.")
                chain.end(.denied)
                return
            }
            chain.add("Port \(port) is among what it permits: \(list).")
        }
        explainLease(id, slot, &chain, at: now)
    }

    private func explainLease(
        _ id: ResourceID,
        _ slot: Int?,
        _ chain: inout Chain,
        at now: Instant
    ) {
        let authorization = authorizations[id]
        if let denial = authorization?.denial, denial.until > now {
            chain.add("The portal refused it: \(denial.refusal.sentence)")
            for condition in denial.failed { chain.add(condition.sentence) }
            chain.end(denial.refusal.code == .offline ? .unreachable : .denied)
            return
        }
        guard let lease = authorization?.lease, lease.endsAt > now else {
            if let last = authorization?.lastDenial {
                chain.add("It was refused before: \(last.refusal.sentence)")
            }
            guard isPortalConnected else {
                chain.add("There is no lease, and no portal to ask for one.")
                chain.end(.unreachable)
                return
            }
            chain.add(
                authorization?.request == nil
                    ? "There is no lease; the next packet asks the portal for one."
                    : "The portal has been asked for a lease."
            )
            chain.end(.ready)
            return
        }
        let seconds = now.duration(to: lease.endsAt).components.seconds
        chain.add("A lease permits it for another \(seconds) s, through \(lease.gateway).")
        explainGateway(lease.gateway, slot, &chain, at: now)
    }

    private func explainGateway(
        _ id: GatewayID,
        _ slot: Int?,
        _ chain: inout Chain,
        at now: Instant
    ) {
        guard let gateway = gateways.first(where: { $0.id == id }) else {
            chain.add("The gateway is not known any more; the next packet asks for another one.")
            chain.end(.ready)
            return
        }
        let status = status(of: gateway, at: now)
        let place = status.remote.map { " at \($0)" } ?? ""
        let trip = status.roundTripMicroseconds.map {
            ", \($0 / 1000).\($0 % 1000 / 100) ms away"
        }
        switch status.state {
        case .connecting:
            chain.add("The gateway \(gateway.name) has not answered yet.")
            chain.end(.unreachable)
            return
        case .distress, .lost:
            chain.add("The gateway \(gateway.name)\(place) is silent; another one is asked for.")
            chain.end(.unreachable)
            return
        case .connected:
            chain.add(
                "The gateway \(gateway.name) is connected\(place) (\(status.path)\(trip ?? ""))."
            )
        }
        guard let slot else {
            chain.end(.works)
            return
        }
        explainName(names[NameKey(peer: gateway.peer, slot: slot)], &chain)
    }

    private func explainName(_ known: NameOnGateway?, _ chain: inout Chain) {
        switch known?.state {
        case .active?:
            chain.add("The gateway serves the name.")
            chain.end(.works)
        case .unanswered(let isGranted)?:
            chain.add("The gateway was told of the name and has not answered yet.")
            chain.end(isGranted ? .works : .ready)
        case .inactive(let status, _)?:
            chain.add(Self.sentence(for: status))
            chain.end(status == .nameMismatch ? .denied : .unreachable)
        case nil:
            chain.add("The gateway is told of the name with the next packet.")
            chain.end(.ready)
        }
    }

    private static func sentence(for status: ControlFrame.Status) -> String {
        switch status {
        case .active: "The gateway serves the name."
        case .notAuthorized: "The gateway says that it has no lease for it."
        case .nameMismatch: "The gateway says that the name is not part of the resource."
        case .noAddresses: "The gateway says that the name has no addresses in its site."
        case .unresolved: "The gateway's resolver did not answer."
        case .other(let code): "The gateway does not serve the name (reason \(code))."
        }
    }
}
