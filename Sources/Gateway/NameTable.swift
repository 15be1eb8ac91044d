internal import DNS
internal import IP
internal import SansIO

/// The names that one client uses: which proxy addresses stand for which name, and what waits for
/// its real addresses.
///
/// A proxy address stands for one name; a name may belong to several resources, each of which may
/// resolve another name for it (alias). The table resolves nothing.
struct NameTable: Sendable {
    /// Bounds of one client's names.
    enum Limits {
        /// Names of one client.
        static var names: Int { 4_096 }
        /// Packets that wait for one name.
        static var held: Int { 128 }
        /// How long an address that did not work is passed over.
        static var avoidedFor: Duration { .seconds(60) }
        /// Addresses of one name that are passed over at a time.
        static var avoided: Int { 16 }
    }

    /// A resource that a name belongs to, and what to resolve for it.
    struct Claim: Sendable, Equatable {
        var resource: UInt32
        var realName: Name
    }

    /// A real address that did not work for a port of late.
    struct Avoided: Sendable, Equatable {
        var address: IPAddress
        var transport: FlowKey.Transport
        var port: UInt16
        var until: Instant
    }

    /// A packet that waits for the name's real address.
    struct Held: Sendable {
        /// The flow of a SYN, of which one copy is enough.
        var synKey: FlowKey?
        var bytes: [UInt8]
    }

    /// A names frame that waits for its answer.
    struct Asked: Sendable, Equatable {
        var epoch: UInt64
        var resource: UInt32
        var resourceID: String
        var name: String
    }

    /// One name.
    struct Entry: Sendable {
        let name: Name
        var proxies: [IPAddress] = []
        var claims: [Claim] = []
        /// The newest names or release frame about it; 0 before the first.
        var epoch: UInt64 = 0
        var held: [Held] = []
        var asked: [Asked] = []
        var avoided: [Avoided] = []
    }

    private(set) var entries: [Entry] = []
    private var places: [Name: Int] = [:]
    private var byProxy: [IPAddress: Name] = [:]

    /// How many names there are.
    var count: Int { entries.count }

    /// The name that `proxy` stands for.
    func name(of proxy: IPAddress) -> Name? { byProxy[proxy] }

    /// What is known of `name`.
    subscript(name: Name) -> Entry? { places[name].map { entries[$0] } }

    /// Changes what is known of `name`; nil when it is not there.
    mutating func change<Result>(_ name: Name, _ body: (inout Entry) -> Result) -> Result? {
        guard let place = places[name] else { return nil }
        return body(&entries[place])
    }

    private mutating func remove(_ name: Name) {
        guard let place = places.removeValue(forKey: name) else { return }
        for proxy in entries[place].proxies where byProxy[proxy] == name { byProxy[proxy] = nil }
        let last = entries.removeLast()
        guard place < entries.count else { return }
        entries[place] = last
        places[last.name] = place
    }
}

// MARK: - Binding

extension NameTable {
    /// Makes `proxies` stand for `name`, in this order, for one of its resources.
    ///
    /// - Parameters:
    ///   - name: The name as the client asked for it.
    ///   - claim: The resource that it belongs to.
    ///   - proxies: All of its proxy addresses.
    ///   - epoch: That of a names frame; nil for a grant.
    /// - Returns: Proxy addresses that stood for something else before: their flows are over.
    /// - Throws: ``GrantRefusal`` when the client has too many names.
    mutating func bind(
        _ name: Name,
        _ claim: Claim,
        proxies: [IPAddress],
        epoch: UInt64?
    ) throws(GrantRefusal) -> [IPAddress] {
        if places[name] == nil {
            guard entries.count < Limits.names else { throw .tooMany("names") }
            places[name] = entries.count
            entries.append(Entry(name: name))
        }
        let moved = move(proxies, to: name)
        _ = change(name) { entry in
            entry.claims.removeAll { $0.resource == claim.resource }
            entry.claims.append(claim)
            if let epoch { entry.epoch = epoch }
        }
        return moved
    }

    private mutating func move(_ proxies: [IPAddress], to name: Name) -> [IPAddress] {
        guard let old = self[name]?.proxies, old != proxies else { return [] }
        var moved = old.filter { !proxies.contains($0) }
        for proxy in moved { byProxy[proxy] = nil }
        for proxy in proxies {
            if let other = byProxy[proxy], other != name {
                _ = change(other) { $0.proxies.removeAll { $0 == proxy } }
                moved.append(proxy)
            }
            byProxy[proxy] = name
        }
        _ = change(name) { $0.proxies = proxies }
        return moved
    }

    /// The proxy addresses stand for nothing any more, unless a newer frame says otherwise.
    ///
    /// - Returns: Those that stood for `name`, and how many packets waited for it in vain.
    mutating func release(
        _ name: Name,
        proxies: [IPAddress],
        epoch: UInt64
    ) -> (released: [IPAddress], heldCount: Int) {
        guard let entry = self[name], epoch >= entry.epoch else { return ([], 0) }
        let released = proxies.filter { byProxy[$0] == name }
        for proxy in released { byProxy[proxy] = nil }
        let isEmpty = change(name) { entry in
            entry.proxies.removeAll { released.contains($0) }
            entry.epoch = epoch
            return entry.proxies.isEmpty
        }
        guard isEmpty == true else { return (released, 0) }
        remove(name)
        return (released, entry.held.count)
    }

    /// Resources are over: names that belong to no other go.
    ///
    /// - Returns: How many packets waited for them in vain.
    mutating func removeClaims(where isOver: (UInt32) -> Bool) -> Int {
        for place in entries.indices { entries[place].claims.removeAll { isOver($0.resource) } }
        let gone = entries.filter(\.claims.isEmpty)
        for entry in gone { remove(entry.name) }
        return gone.reduce(0) { $0 + $1.held.count }
    }

    /// How many packets wait.
    var heldCount: Int { entries.reduce(0) { $0 + $1.held.count } }

    /// The client started anew and counts its frames from the beginning.
    mutating func forgetEpochs() {
        for place in entries.indices { entries[place].epoch = 0 }
    }
}

// MARK: - Waiting packets

extension NameTable.Entry {
    /// Keeps a packet; a repeated SYN takes the place of its first copy, the oldest goes when there
    /// are too many.
    ///
    /// - Returns: How many more packets wait than before.
    mutating func hold(_ packet: NameTable.Held) -> Int {
        if let key = packet.synKey, let same = held.firstIndex(where: { $0.synKey == key }) {
            held[same] = packet
            return 0
        }
        held.append(packet)
        guard held.count > NameTable.Limits.held else { return 1 }
        held.removeFirst()
        return 0
    }
}

// MARK: - Real addresses

extension NameTable.Entry {
    /// The real address for packets to `key`'s proxy address: the i-th proxy of a family has the
    /// i-th real address, going round; one that did not work is passed over while another is left.
    func realAddress(
        for key: FlowKey,
        among addresses: [IPAddress],
        at now: Instant
    ) -> IPAddress? {
        let family = key.destination.family
        let own = proxies.filter { $0.family == family }
        guard let place = own.firstIndex(of: key.destination), !addresses.isEmpty else {
            return nil
        }
        for step in 0..<addresses.count {
            let address = addresses[(place + step) % addresses.count]
            if !isAvoided(address, key, at: now) { return address }
        }
        return addresses[place % addresses.count]
    }

    /// Whether `address` did not work of late for flows like `key`.
    func isAvoided(_ address: IPAddress, _ key: FlowKey, at now: Instant) -> Bool {
        avoided.contains {
            $0.address == address && $0.transport == key.transport
                && $0.port == key.destinationPort && $0.until > now
        }
    }

    /// An address refused, or did not answer.
    mutating func avoid(_ address: IPAddress, _ key: FlowKey, at now: Instant) {
        noteWorking(address, key)
        avoided.removeAll { $0.until <= now }
        if avoided.count >= NameTable.Limits.avoided { avoided.removeFirst() }
        avoided.append(
            NameTable.Avoided(
                address: address,
                transport: key.transport,
                port: key.destinationPort,
                until: now.advanced(by: NameTable.Limits.avoidedFor)
            )
        )
    }

    /// An address answered.
    mutating func noteWorking(_ address: IPAddress, _ key: FlowKey) {
        guard !avoided.isEmpty else { return }
        avoided.removeAll {
            $0.address == address && $0.transport == key.transport && $0.port == key.destinationPort
        }
    }
}
