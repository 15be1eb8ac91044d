import Bytes
import IP
import STUN
import SansIO

@testable import Relay

/// A client of the relay in a test: writes requests, keeps realm and nonce, reads answers.
final class Visitor {
    let stage: Stage
    var endpoint: Endpoint
    var local: Endpoint
    var username: String
    var password: String
    var realm = ""
    var nonce: [UInt8] = []
    /// Algorithm and integrity; nil: as RFC 5389 knew it.
    var algorithm: PasswordAlgorithm?
    private var transactions: UInt64 = 0

    init(
        _ stage: Stage,
        at place: String = "203.0.113.9:5000",
        name: String = "ada",
        secret: String = Stage.secret,
        expiry: UInt64 = Stage.unixStart + 86_400
    ) {
        self.stage = stage
        endpoint = RelayTests.endpoint(place)
        local = endpoint.address.isIPv4 ? Stage.main : Stage.mainIPv6
        let credentials = SharedSecret(secret).credentials(for: name, until: expiry)
        (username, password) = (credentials.username, credentials.password)
    }

    func transaction() -> TransactionID {
        transactions += 1
        return TransactionID(high: UInt32(endpoint.port), low: transactions)
    }

    /// A request without credentials.
    func bare(
        _ method: STUNMethod,
        _ fill: (inout STUNWriter) -> Void = { _ in }
    ) -> STUNWriter {
        var writer = STUNWriter(.request, method, transaction())
        fill(&writer)
        return writer
    }

    /// The same with credentials.
    func signed(_ request: STUNWriter) -> [UInt8] {
        var writer = request
        writer.append(.username, username)
        writer.append(.realm, realm)
        writer.append(.nonce, nonce)
        if let algorithm {
            writer.append(Relay.algorithms)
            writer.append(algorithm)
        }
        let credentials = LongTermCredentials(username: username, password: password)
        let key = credentials.key(realm: realm, algorithm ?? .md5) ?? []
        writer.seal(algorithm == nil ? .sha1 : .sha256, key: key.rawSpan)
        return writer.bytes
    }

    @discardableResult
    func send(_ bytes: [UInt8]) -> [Stage.Sent] {
        stage.receive(bytes, from: endpoint, to: local)
    }

    /// A request with credentials, asking for a nonce first where there is none, and its answer.
    @discardableResult
    func ask(
        _ method: STUNMethod,
        _ fill: (inout STUNWriter) -> Void = { _ in }
    ) -> Answer? {
        if nonce.isEmpty { challenge() }
        return Answer(send(signed(bare(method, fill))).last)
    }

    /// Takes realm and nonce from a 401.
    func challenge() {
        let allocate = bare(.allocate) { $0.append(requestedTransport: 17) }
        learn(Answer(send(allocate.bytes).last))
    }

    func learn(_ answer: Answer?) {
        guard let answer else { return }
        (realm, nonce) = (answer.realm ?? realm, answer.nonce ?? nonce)
    }

    /// Allocates in IPv4, or as `fill` says.
    @discardableResult
    func allocate(_ fill: (inout STUNWriter) -> Void = { _ in }) -> Answer? {
        ask(.allocate) {
            $0.append(requestedTransport: 17)
            fill(&$0)
        }
    }

    @discardableResult
    func permit(_ peers: Endpoint...) -> Answer? {
        ask(.createPermission) { for peer in peers { $0.append(.xorPeerAddress, peer) } }
    }

    @discardableResult
    func bind(_ number: UInt16, _ peer: Endpoint) -> Answer? {
        ask(.channelBind) {
            $0.append(channel: number)
            $0.append(.xorPeerAddress, peer)
        }
    }

    @discardableResult
    func refresh(_ lifetime: UInt32? = nil, _ family: IPFamily? = nil) -> Answer? {
        ask(.refresh) {
            if let lifetime { $0.append(.lifetime, lifetime) }
            if let family { $0.append(.requestedAddressFamily, family) }
        }
    }

    /// Data by a Send indication.
    @discardableResult
    func indicate(_ data: [UInt8], to peer: Endpoint) -> [Stage.Sent] {
        var writer = STUNWriter(.indication, .send, transaction())
        writer.append(.xorPeerAddress, peer)
        writer.append(.data, data)
        return send(writer.bytes)
    }

    /// Data under a channel number.
    @discardableResult
    func channel(_ number: UInt16, _ data: [UInt8]) -> [Stage.Sent] {
        send(channelData(number, data))
    }
}

func channelData(_ number: UInt16, _ data: [UInt8]) -> [UInt8] {
    var bytes: [UInt8] = []
    bytes.append(bigEndian: number)
    bytes.append(bigEndian: UInt16(data.count))
    return bytes + data
}

/// An answer of the relay, read once.
struct Answer {
    let bytes: [UInt8]
    let messageClass: STUNClass
    let code: UInt16?
    let lifetime: UInt32?
    let relayed: [Endpoint]
    let mapped: Endpoint?
    let realm: String?
    let nonce: [UInt8]?
    let unknown: [UInt8]?
    let token: UInt64?
    let missing: RequestedFamily?
    let hasSHA1: Bool
    let hasSHA256: Bool

    init?(_ sent: Stage.Sent?) {
        guard let sent, let message = try? STUNMessage(sent.bytes.rawSpan) else { return nil }
        bytes = sent.bytes
        messageClass = message.messageClass
        code = message.errorCode?.rawValue
        lifetime = message.lifetime
        relayed = message.relayedAddresses
        mapped = message.mappedAddress
        realm = message.text(.realm)
        nonce = message.array(.nonce)
        unknown = message.array(.unknownAttributes)
        token = message.reservationToken
        missing = message.addressErrors.first?.family
        hasSHA1 = message.hasIntegrity(.sha1)
        hasSHA256 = message.hasIntegrity(.sha256)
    }

    var isSuccess: Bool { messageClass == .success }
}

/// A Data indication, read once.
struct Indication: Equatable {
    var peer: Endpoint
    var data: [UInt8]

    init(peer: Endpoint, data: [UInt8]) { (self.peer, self.data) = (peer, data) }

    init?(_ sent: Stage.Sent?) {
        guard let sent, let message = try? STUNMessage(sent.bytes.rawSpan),
            message.messageClass == .indication, message.method == .data,
            let peer = message.peerAddress, let data = message.array(.data)
        else { return nil }
        (self.peer, self.data) = (peer, data)
    }
}
