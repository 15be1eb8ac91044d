internal import Control
internal import DNS
public import IP
public import SansIO

extension Client {
    /// How the cache of nameservers' answers does; nil before the portal's first welcome.
    public var cacheStatus: CacheStatus? {
        switch stub {
        case .some(let stub): stub.cacheStatus
        case .none: nil
        }
    }

    /// Queries that waited for the answer to one like them, since the start.
    public var joinedQueries: UInt64 {
        switch stub {
        case .some(let stub): stub.joinedCount
        case .none: 0
        }
    }

    /// Explains what a question meets: which rule decides, and why. Asks nobody and changes
    /// nothing.
    ///
    /// - Parameters:
    ///   - name: The name asked for, as people write it: A-labels, the last dot optional.
    ///   - type: A type's mnemonic, `A`, or its number, `TYPE65280`.
    ///   - sentinel: The sentinel that is asked; nil for the first one.
    ///   - now: The time.
    /// - Returns: The explanation; nil where name or type cannot be read, or before the portal's
    ///   first welcome.
    public func explainQuery(
        _ name: String,
        type: String = "A",
        from sentinel: IPAddress? = nil,
        at now: Instant
    ) -> QueryExplanation? {
        guard let name = Name(name), let type = RecordType(type) else { return nil }
        switch stub {
        case .some(let stub):
            var explanation = stub.explain(name, type, from: sentinel, at: now)
            explanation.sentences = sentences(for: explanation)
            return explanation
        case .none: return nil
        }
    }

    private func sentences(for explanation: QueryExplanation) -> [String] {
        let name = explanation.name
        var sentences: [String] = []
        switch explanation.rule {
        case .refused:
            sentences.append("\(explanation.type) is nothing to ask a resolver for: refused.")
        case .special:
            sentences.append("\(name) has the same answer for everybody, which is given here.")
        case .ownAddress:
            sentences.append("The address is this client's own; its name is told here.")
        case .privateReverse:
            sentences.append(
                "The address is private: no nameserver of the Internet knows its name, and no zone "
                    + "of yours has it."
            )
        case .protected, .site: sentences += resourceSentences(for: explanation)
        case .withheld:
            sentences.append("\(name) is protected, and not for you: the first packet says why.")
        case .zone:
            let zone = explanation.zone ?? name
            sentences.append("\(name) lies in the zone \(zone), which has nameservers of its own.")
        case .link:
            let zone = explanation.zone ?? name
            sentences.append("A link of this host has nameservers of its own for \(zone).")
        case .unserved:
            sentences.append("No nameserver has \(name): such names are left to others, as mDNS.")
        case .upstream:
            sentences.append("No resource and no zone has \(name): it is asked of a nameserver.")
        case .nobody:
            sentences.append("No nameserver is known, so nobody answers; look at culvert status.")
        }
        for server in explanation.nameservers {
            let way = server.isInTunnel ? "through the tunnel" : "around the tunnel"
            let state = server.isDown ? "; it kept silent lately and is asked last" : ""
            sentences.append("\(server.upstream) is asked, \(way)\(state).")
        }
        if let seconds = explanation.keptSeconds {
            sentences.append("An answer is kept for another \(seconds) s and given meanwhile.")
        }
        if !explanation.proxies.isEmpty {
            let addresses = explanation.proxies.map(\.description).joined(separator: ", ")
            sentences.append("Its proxy addresses are \(addresses).")
        }
        return sentences
    }

    private func resourceSentences(for explanation: QueryExplanation) -> [String] {
        guard let id = explanation.resources.first, let resource = router[id] else { return [] }
        let pattern = explanation.pattern ?? resource.address.text
        var sentences = [
            "\(explanation.name) belongs to the resource \(resource.name) (\(pattern)) in "
                + "\(resource.site.name)."
        ]
        let others = explanation.resources.dropFirst().compactMap { router[$0]?.name }
        if !others.isEmpty {
            sentences.append("Less specific: \(others.joined(separator: ", ")).")
        }
        if explanation.rule == .site {
            sentences.append("Its \(explanation.type) records are asked of the site.")
        } else if explanation.proxies.isEmpty {
            sentences.append("The first query for its addresses gets proxy addresses.")
        }
        return sentences
    }
}
