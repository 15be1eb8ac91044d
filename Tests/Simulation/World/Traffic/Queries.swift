internal import Bytes
internal import Client
internal import Control
internal import DNS
internal import IP
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
        var port: UInt16 = 0
        var answers = 0
        /// What to do with addresses of a protected name.
        var onAddresses: ([IPAddress]) -> Void
        unowned let queries: Queries

        init(
            _ name: Name,
            _ type: RecordType,
            _ id: UInt16,
            of queries: Queries,
            _ onAddresses: @escaping ([IPAddress]) -> Void
        ) {
            (self.name, self.type, self.id) = (name, type, id)
            (self.queries, self.onAddresses) = (queries, onAddresses)
            sentAt = queries.scene.world.now
            isProtected = queries.scene.model.isProtected(name)
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

    init(_ scene: Scene) { self.scene = scene }

    private var world: World { scene.world }

    /// The proxy addresses that a host remembers; nil before the first answer.
    func known(_ name: Name, _ family: IPFamily) -> [IPAddress]? {
        proxies[Key(name: name, family: family)]
    }

    /// Asks a question; `onAddresses` gets the addresses of a protected name.
    func ask(
        _ name: Name,
        _ type: RecordType,
        _ onAddresses: @escaping ([IPAddress]) -> Void = { _ in }
    ) {
        guard let sentinel = scene.client.configuration?.sentinels.first else {
            if scene.calm.disturbance(of: nil, since: world.now) == nil {
                world.fail("the client has told its host of no nameserver")
            }
            return
        }
        count += 1
        let query = Query(name, type, UInt16(truncatingIfNeeded: count), of: self, onAddresses)
        query.port = scene.applications.port(.udp, query)
        world.note("query \(count): \(name) \(type)")
        let message = Message(query: Question(name, type), id: query.id)
        let ip = IPHeader(from: scene.applications.address(sentinel.family), to: sentinel)
        let udp = UDPHeader(sourcePort: query.port, destinationPort: 53)
        world.after(patience) { [weak self] in self?.judge(query) }
        scene.client.send(ip.packet(udp, payload: message.wire()))
    }

    /// A question came to the public nameserver: never for what is protected.
    func askedOutside(_ question: Question) {
        guard scene.model.isProtected(question.name),
            scene.calm.disturbance(of: nil, since: world.now) == nil
        else { return }
        let resource = Plan.resources.first { Plan.covers($0, question.name) }
        guard scene.calm.disturbance(of: resource, since: world.now) == nil else { return }
        world.fail("\(question.name), which is protected, is asked outside")
    }

    private func judge(_ query: Query) {
        scene.applications.close(.udp, query.port)
        guard isCalm(query) else { return }
        strictCount += 1
        if query.answers == 0 {
            world.fail("the query for \(query.name) \(query.type) is not answered")
        }
    }

    private func isCalm(_ query: Query) -> Bool {
        let resource = Plan.resources.first { Plan.covers($0, query.name) }
        return scene.calm.disturbance(of: resource, since: query.sentAt) == nil
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
        guard isCalm(query) else { return }
        if query.isProtected {
            checkProtected(query, answer, addresses)
        } else if query.type != .ptr {
            checkForwarded(query, answer)
        }
    }

    private func checkProtected(_ query: Query, _ answer: Message, _ addresses: [IPAddress]) {
        guard query.type == .a || query.type == .aaaa else {
            if query.type == .https, answer.responseCode != .noError || !answer.answers.isEmpty {
                world.fail("\(query.name) HTTPS is answered with \(answer.answers)")
            }
            return
        }
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
        let records = scene.publicNames[0][query.name]
        let expected: ResponseCode = records.isEmpty ? .nameError : .noError
        guard answer.responseCode == expected else {
            return world.fail("\(query.name) \(query.type) is answered \(answer.responseCode)")
        }
        let given = answer.answers.map(\.data)
        if given != records.filter({ $0.type == query.type }) {
            world.fail("\(query.name) \(query.type) is answered \(given)")
        }
    }
}
