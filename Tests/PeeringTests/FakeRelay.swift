import Bytes
import Ciphers
import IP
import STUN
import SansIO

@testable import Peering

/// A TURN server without mercy for what is not asked for: no permission, no way.
final class FakeRelay {
    struct Sent {
        var bytes: [UInt8]
        var source: Endpoint
        var destination: Endpoint
    }

    /// A client's endpoint, and where it reaches the relay: allocations belong to both.
    struct Way: Hashable {
        var client: Endpoint
        var server: Endpoint
    }

    final class Allocation {
        let client: Endpoint
        /// Where the client reaches it.
        let server: Endpoint
        let username: String
        var lent: [Endpoint]
        var permissions: Set<IPAddress> = []
        var channels: [UInt16: Endpoint] = [:]

        init(client: Endpoint, server: Endpoint, username: String, lent: [Endpoint]) {
            (self.client, self.server) = (client, server)
            (self.username, self.lent) = (username, lent)
        }
    }

    let id: String
    let endpoint: Endpoint
    /// Addresses that it lends, at most one of a family.
    var lentAddresses: [IPAddress]
    var isDead = false
    /// Whether datagrams reach it; its bridges are reached always.
    var isDatagramBlocked = false
    /// The same for those of some addresses.
    var blockedSources: Set<IPAddress> = []
    /// The loopback ends of streams to it.
    var bridges: [Endpoint] = []
    /// Whether it refuses all credentials.
    var isStrict = false
    /// Whether it lends nothing more.
    var isQuotaReached = false
    var allocations: [Way: Allocation] = [:]
    /// Requests by method, for counting.
    var requests: [STUNMethod] = []
    /// Datagrams of data that came and were dropped for want of a permission.
    var refused = 0
    /// Data carried by channel, and by indication.
    var channelCount = 0
    var indicationCount = 0
    private var nextPort: UInt16 = 50_000

    init(_ id: String, _ address: IPAddress, lends: [IPAddress]? = nil) {
        self.id = id
        endpoint = Endpoint(address, port: 3478)
        lentAddresses = lends ?? [address]
    }

    /// What the portal deals.
    func server(for name: String, password: String = "secret") -> TURNServer {
        TURNServer(id: id, endpoints: [endpoint], username: name, password: password)
    }

    func owns(_ endpoint: Endpoint) -> Bool {
        endpoint == self.endpoint || bridges.contains(endpoint)
            || (lentAddresses.contains(endpoint.address) && endpoint.port >= 50_000)
    }

    func allocation(of username: String) -> Allocation? {
        allocations.values.first { $0.username == username }
    }

    /// It starts anew: all that it lent is forgotten.
    func restart() { allocations = [:] }

    func receive(_ bytes: [UInt8], from source: Endpoint, to destination: Endpoint) -> [Sent] {
        guard !isDead else { return [] }
        let isBlocked = isDatagramBlocked || blockedSources.contains(source.address)
        if isBlocked, destination == endpoint { return [] }
        guard destination == endpoint || bridges.contains(destination) else {
            return fromPeer(bytes, source, destination)
        }
        let (span, way) = (bytes.rawSpan, Way(client: source, server: destination))
        if ChannelData.isChannelData(span) {
            guard let data = try? ChannelData(span), let allocation = allocations[way],
                let peer = allocation.channels[data.number]
            else {
                refused += 1
                return []
            }
            channelCount += 1
            return toPeer(Array(bytes[data.range]), peer, allocation)
        }
        guard let message = try? STUNMessage(span) else { return [] }
        if message.messageClass == .indication {
            guard message.method == .send, let allocation = allocations[way],
                let peer = message.peerAddress, let range = message.dataRange
            else { return [] }
            indicationCount += 1
            return toPeer(Array(bytes[range]), peer, allocation)
        }
        guard message.messageClass == .request else { return [] }
        requests.append(message.method)
        let answer = self.answer(message, from: source, at: destination)
        return answer.isEmpty
            ? [] : [Sent(bytes: answer, source: destination, destination: source)]
    }
}

// MARK: - Requests

extension FakeRelay {
    private func answer(
        _ message: borrowing STUNMessage,
        from source: Endpoint,
        at server: Endpoint
    ) -> [UInt8] {
        if message.method == .binding {
            var writer = STUNWriter(answering: message, .success)
            writer.append(.xorMappedAddress, source)
            return writer.bytes
        }
        guard let username = message.text(.username), message.hasIntegrity, !isStrict else {
            var writer = STUNWriter(answering: message, .failure)
            writer.append(STUNErrorCode.unauthenticated)
            writer.append(.realm, "test")
            writer.append(.nonce, "nonce")
            return writer.bytes
        }
        let credentials = LongTermCredentials(username: username, password: "secret")
        guard let key = credentials.key(realm: "test", .md5) else { return [] }
        var writer = perform(message, username, from: source, at: server)
        writer.seal(.sha1, key: key.rawSpan)
        return writer.bytes
    }

    private func perform(
        _ message: borrowing STUNMessage,
        _ username: String,
        from source: Endpoint,
        at server: Endpoint
    ) -> STUNWriter {
        func failure(_ code: STUNErrorCode) -> STUNWriter {
            var writer = STUNWriter(answering: message, .failure)
            writer.append(code)
            return writer
        }
        var writer = STUNWriter(answering: message, .success)
        let way = Way(client: source, server: server)
        if message.method == .allocate {
            guard allocations[way] == nil else { return failure(.allocationMismatch) }
            guard !isQuotaReached else { return failure(.allocationQuotaReached) }
            return allocate(writer, username, source, server)
        }
        guard let allocation = allocations[way] else { return failure(.allocationMismatch) }
        switch message.method {
        case .refresh:
            if message.lifetime == 0 { allocations[way] = nil }
            writer.append(.lifetime, UInt32(message.lifetime == 0 ? 0 : 600))
        case .createPermission:
            for peer in message.peerAddresses { allocation.permissions.insert(peer.address) }
        case .channelBind:
            guard let number = message.channelNumber, let peer = message.peerAddress else {
                return failure(.badRequest)
            }
            allocation.channels[number] = peer
            allocation.permissions.insert(peer.address)
        default: return failure(.badRequest)
        }
        return writer
    }

    private func allocate(
        _ answer: STUNWriter,
        _ username: String,
        _ source: Endpoint,
        _ server: Endpoint
    ) -> STUNWriter {
        var writer = answer
        let lent = lentAddresses.map { Endpoint($0, port: nextPort) }
        nextPort += 1
        allocations[Way(client: source, server: server)] = Allocation(
            client: source,
            server: server,
            username: username,
            lent: lent
        )
        for endpoint in lent { writer.append(.xorRelayedAddress, endpoint) }
        writer.append(.xorMappedAddress, source)
        writer.append(.lifetime, UInt32(600))
        return writer
    }
}

// MARK: - Data

extension FakeRelay {
    private func toPeer(_ data: [UInt8], _ peer: Endpoint, _ allocation: Allocation) -> [Sent] {
        let lent = allocation.lent.first { $0.address.isIPv4 == peer.address.isIPv4 }
        guard allocation.permissions.contains(peer.address), let lent else {
            refused += 1
            return []
        }
        return [Sent(bytes: data, source: lent, destination: peer)]
    }

    private func fromPeer(_ data: [UInt8], _ peer: Endpoint, _ lent: Endpoint) -> [Sent] {
        let found = allocations.values.first { $0.lent.contains(lent) }
        guard let allocation = found, allocation.permissions.contains(peer.address) else {
            refused += 1
            return []
        }
        var bytes: [UInt8]
        if let channel = allocation.channels.first(where: { $0.value == peer }) {
            bytes = [UInt8(channel.key >> 8), UInt8(channel.key & 0xff)]
            bytes.append(bigEndian: UInt16(data.count))
            bytes += data
        } else {
            bytes = indication(data, from: peer)
        }
        return [Sent(bytes: bytes, source: allocation.server, destination: allocation.client)]
    }

    private func indication(_ data: [UInt8], from peer: Endpoint) -> [UInt8] {
        let start = DataIndication.headerByteCount(peer)
        let byteCount = DataIndication.byteCount(peer, data: data.count)
        var block = Block(byteCount: byteCount)
        var span = block.mutableBytes(0..<byteCount)
        span.write(data.rawSpan, at: start)
        DataIndication.write(
            .data,
            TransactionID(high: 1, low: 2),
            peer: peer,
            dataByteCount: data.count,
            into: &span
        )
        return block.bytes(0..<byteCount).array
    }
}
