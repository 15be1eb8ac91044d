internal import Bytes
internal import Client
internal import Control
internal import DNS
internal import IP
internal import Policy
internal import SansIO

/// Asks the client's nameserver as a host does, and checks every answer against the records and
/// against what was answered before.
final class Queries {
    private final class Query: Applications.Listener {
        let name: Name
        let type: RecordType
        let id: UInt16
        let sentAt: Instant
        let isProtected: Bool
        /// Whether the client takes it for protected, which it may do a moment longer.
        let isKnown: Bool
        /// Who must answer, where the name is nobody's; nil: not known.
        let server: NameServer?
        /// What must come of a question for the site.
        let expectation: Expectation
        var port: UInt16 = 0
        var answers = 0
        /// What to do with addresses of a protected name.
        var onAddresses: ([IPAddress]) -> Void
        unowned let queries: Queries

        init(
            _ name: Name,
            _ type: RecordType,
            _ id: UInt16,
            at server: NameServer?,
            of queries: Queries,
            _ onAddresses: @escaping ([IPAddress]) -> Void
        ) {
            (self.name, self.type, self.id) = (name, type, id)
            (self.queries, self.onAddresses) = (queries, onAddresses)
            self.server = server
            expectation = queries.scene.model.siteExpectation(of: name)
            sentAt = queries.scene.world.now
            isProtected = queries.scene.model.isProtected(name)
            isKnown = queries.scene.client.knows(name)
        }

        func receive(_ packet: [UInt8], _ header: PacketHeader) {
            queries.answered(self, packet, header)
        }

        func receive(error: Applications.Told, about quoted: PacketHeader) {
            queries.scene.world.fail("a query is refused: \(error)")
        }
    }

    private struct Key: Hashable {
        var name: Name
        var family: IPFamily
    }

    /// How long a host waits for its nameserver.
    private let patience: Duration = .seconds(6)
    unowned let scene: Scene
    /// The proxy addresses of each name and family, as first answered.
    private var proxies: [Key: [IPAddress]] = [:]
    private var owners: [IPAddress: Name] = [:]
    private(set) var count = 0
    private(set) var strictCount = 0
    /// Answers of the site.
    private(set) var siteCount = 0

    init(_ scene: Scene) { self.scene = scene }

    private var world: World { scene.world }

    /// The proxy addresses that a host remembers; nil before the first answer.
    func known(_ name: Name, _ family: IPFamily) -> [IPAddress]? {
        proxies[Key(name: name, family: family)]
    }

    /// The nameservers that the stub resolver is to ask, in order: the admin's before the host's.
    var upstreams: [IPAddress] {
        let set = scene.portal.directory.dns.upstreams.compactMap { IPAddress($0) }
        return set.isEmpty ? scene.client.ownResolvers.map(\.address) : set
    }

    /// Asks a question.
    ///
    /// - Parameters:
    ///   - name: What is asked for.
    ///   - type: Which of its records.
    ///   - number: Which of the host's nameservers is asked; nil: any.
    ///   - onAddresses: Gets the addresses of a protected name.
    func ask(
        _ name: Name,
        _ type: RecordType,
        at number: Int? = nil,
        _ onAddresses: @escaping ([IPAddress]) -> Void = { _ in }
    ) {
        let sentinels = scene.client.configuration?.sentinels ?? []
        let place = number ?? Int.random(in: 0..<max(1, sentinels.count), using: &world.random)
        guard place < sentinels.count else {
            if scene.calm.disturbance(of: nil, since: world.now) == nil {
                world.fail("the client has told its host of no nameserver")
            }
            return
        }
        let sentinel = sentinels[place]
        checkSentinels(sentinels)
        let isKnown = upstreams.count == sentinels.count
        let server = isKnown ? scene.publicNames.first { $0.address == upstreams[place] } : nil
        count += 1
        let id = UInt16(truncatingIfNeeded: count)
        let query = Query(name, type, id, at: server, of: self, onAddresses)
        query.port = scene.applications.port(.udp, query)
        world.note("query \(count): \(name) \(type) at \(sentinel)")
        let message = Message(query: Question(name, type), id: query.id, edns: EDNS())
        let ip = IPHeader(from: scene.applications.address(sentinel.family), to: sentinel)
        let udp = UDPHeader(sourcePort: query.port, destinationPort: 53)
        world.after(patience) { [weak self] in self?.judge(query) }
        scene.client.send(ip.packet(udp, payload: message.wire()))
    }

    /// Each nameserver has a sentinel of its own, of its family.
    private func checkSentinels(_ sentinels: [IPAddress]) {
        guard scene.calm.disturbance(of: nil, since: world.now) == nil,
            sentinels.map(\.family) != upstreams.map(\.family)
        else { return }
        world.fail("the nameservers are \(upstreams), the host has \(sentinels)")
    }

    /// A question leaves for a nameserver outside: never for what the client knows as protected.
    func isAskedOutside(_ bytes: [UInt8]) {
        guard let question = (try? Message(bytes.rawSpan))?.questions.first else {
            return world.fail("a nameserver is asked what cannot be read")
        }
        guard scene.client.knows(question.name) else { return }
        world.fail("\(question.name), which is protected, is asked outside")
    }

    private func judge(_ query: Query) {
        scene.applications.close(.udp, query.port)
        guard isCalm(query) else { return }
        strictCount += 1
        // A dead nameserver makes its own sentinel silent.
        let isDead = query.server.map { $0.isDown || $0.backAt.map { $0 >= query.sentAt } ?? false }
        if query.answers == 0, query.isProtected || query.type == .ptr || isDead != true {
            world.fail("the query for \(query.name) \(query.type) is not answered")
        }
    }

    private func isCalm(_ query: Query) -> Bool {
        let resources = Plan.resources.filter { Plan.covers($0, query.name) }
        guard !resources.isEmpty else {
            return scene.calm.disturbance(of: nil, since: query.sentAt) == nil
        }
        return resources.allSatisfy {
            scene.calm.disturbance(of: $0, since: query.sentAt) == nil
        }
    }
}

// MARK: - Answers

extension Queries {
    private func answered(_ query: Query, _ packet: [UInt8], _ header: PacketHeader) {
        query.answers += 1
        if query.answers > 1 { return world.fail("a query is answered twice") }
        let bytes = Array(packet[header.payloadOffset...])
        guard let answer = try? Message(bytes.rawSpan), answer.header.isResponse,
            answer.header.id == query.id, answer.questions == [Question(query.name, query.type)]
        else { return world.fail("the answer for \(query.name) \(query.type) is none") }
        let addresses = answer.answers.compactMap(\.data.address)
        world.note("query for \(query.name) \(query.type): \(answer.responseCode) \(addresses)")
        if !query.isProtected, !query.isKnown, answer.responseCode == .serverFailure {
            return world.fail("\(query.name) \(query.type) is answered SERVFAIL")
        }
        guard isCalm(query) else { return }
        if query.isProtected {
            checkProtected(query, answer, addresses)
        } else if query.type != .ptr {
            checkForwarded(query, answer)
        }
    }

    private func checkProtected(_ query: Query, _ answer: Message, _ addresses: [IPAddress]) {
        guard query.type == .a || query.type == .aaaa else { return checkOther(query, answer) }
        guard answer.responseCode == .noError else {
            return world.fail("\(query.name) \(query.type) is answered \(answer.responseCode)")
        }
        let family: IPFamily = query.type == .a ? .ipv4 : .ipv6
        if addresses.isEmpty {
            // A family that the name is known to lack.
            let hasFamily = scene.siteNames[query.name].contains { $0.type == query.type }
            let isStale = scene.model.hasChanged(query.name, within: .seconds(3_600))
            if hasFamily, !isStale {
                world.fail("\(query.name) \(query.type) is answered without addresses")
            }
            return
        }
        checkProxies(query.name, family, addresses)
        query.onAddresses(addresses)
    }

    /// The same name has the same four addresses, and nobody else has them.
    private func checkProxies(_ name: Name, _ family: IPFamily, _ addresses: [IPAddress]) {
        let sorted = addresses.sorted()
        let key = Key(name: name, family: family)
        if let before = proxies[key] {
            if before != sorted { world.fail("\(name) has other addresses than before: \(sorted)") }
            return
        }
        let plan = AddressPlan.standard
        guard sorted.count == 4, Set(sorted).count == 4 else {
            return world.fail("\(name) has the addresses \(sorted)")
        }
        for address in sorted {
            guard address.family == family, owners[address] == nil,
                plan.proxies.contains(where: { $0.contains(address) }),
                !plan.sentinels.contains(where: { $0.contains(address) })
            else { return world.fail("\(name) must not have the address \(address)") }
            owners[address] = name
        }
        proxies[key] = sorted
    }

    private func checkForwarded(_ query: Query, _ answer: Message) {
        guard let server = query.server else { return }
        let records = server[query.name]
        let expected: ResponseCode = records.isEmpty ? .nameError : .noError
        guard answer.responseCode == expected else {
            return world.fail("\(query.name) \(query.type) is answered \(answer.responseCode)")
        }
        let given = answer.answers.map(\.data)
        if given != records.filter({ $0.type == query.type }) {
            world.fail("\(query.name) \(query.type) is answered \(given) by \(server.address)")
        }
    }
}

// MARK: - Other records of protected names

extension Queries {
    private func checkOther(_ query: Query, _ answer: Message) {
        let given = answer.answers.map(\.data)
        switch query.type {
        case .https, .svcb:
            if answer.responseCode != .noError || !given.isEmpty {
                world.fail("\(query.name) \(query.type) is answered with \(given)")
            }
        case .any:
            // RFC 8482 section 4.2.
            if given != [.hinfo(processor: Array("RFC8482".utf8), system: [])] {
                world.fail("\(query.name) ANY is answered with \(given)")
            }
        default: checkSite(query, answer, given)
        }
    }

    /// The site's own answer, or why there is none.
    private func checkSite(_ query: Query, _ answer: Message, _ given: [RecordData]) {
        let words = "\(query.name) \(query.type) is answered \(answer.responseCode)"
        guard answer.responseCode != .serverFailure else {
            let reasons = answer.edns?.extendedErrors.map(\.code) ?? []
            if reasons.isEmpty { world.fail("\(words) without a reason") }
            if query.expectation.isDisjoint(with: .refusals), !scene.prober.isLossNear(query.sentAt)
            {
                world.fail("\(words) \(reasons), expected \(query.expectation.words)")
            }
            return
        }
        guard query.expectation.contains(.roundTrip) else {
            return world.fail("\(words), expected \(query.expectation.words)")
        }
        siteCount += 1
        let stale = Duration.seconds(scene.settings.timeToLive) + .seconds(30)
        guard !scene.model.hasChanged(query.name, within: stale) else { return }
        let records = scene.siteNames[query.name]
        let expected: ResponseCode = records.isEmpty ? .nameError : .noError
        if answer.responseCode != expected || given != records.filter({ $0.type == query.type }) {
            world.fail("\(words) with \(given)")
        }
    }
}
