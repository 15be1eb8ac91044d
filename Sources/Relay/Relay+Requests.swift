internal import Bytes
internal import IP
internal import STUN
internal import SansIO

/// Who sent a request, and how much.
struct Asker {
    /// The client as the main port sees it.
    var key: ClientKey
    /// Where it really is: not the bridge of a stream.
    var source: Endpoint
    /// Whether it came by a connection, which proves its address.
    var isStream: Bool
    var byteCount: Int
    /// Whether the request ended with FINGERPRINT, so that the answer shall too.
    var hasFingerprint: Bool

    /// Where answers go from.
    var local: Endpoint { Endpoint(high: key.localHigh, low: key.localLow, port: 0) }
}

/// What an error answer says besides its number.
enum Refusal: Error {
    case code(STUNErrorCode)
    /// 420 with the attributes that are not understood.
    case unknown([STUNAttributeType])
}

extension Relay {
    /// What stands in requests that this relay understands.
    static let understood: [STUNAttributeType] = [
        .username, .integrity, .integritySHA256, .channelNumber, .lifetime, .xorPeerAddress,
        .data, .realm, .nonce, .requestedAddressFamily, .evenPort, .requestedTransport,
        .passwordAlgorithm, .userHash, .reservationToken,
    ]
    /// What stands in a Binding request that anybody may send; credentials are overlooked.
    static let understoodInBinding: [STUNAttributeType] = [
        .username, .integrity, .integritySHA256, .realm, .nonce, .passwordAlgorithm, .userHash,
    ]

    /// One message of a client.
    mutating func receiveMessage(
        _ datagram: RawSpan,
        _ key: ClientKey,
        _ entry: Batch.Packet,
        at now: Instant,
        into outbox: inout Outbox
    ) {
        do {
            let message = try STUNMessage(datagram)
            switch message.messageClass {
            case .request:
                receiveRequest(message, key, at: now, into: &outbox)
            case .indication where message.method == .send:
                receiveSend(message, key, entry.ecn, at: now, into: &outbox)
            case .indication where message.method == .binding:
                // A keepalive without answer (RFC 8489 3).
                return
            case .indication, .success, .failure: counters.malformed += 1
            }
        } catch {
            counters.malformed += 1
        }
    }

    private mutating func receiveRequest(
        _ message: borrowing STUNMessage,
        _ key: ClientKey,
        at now: Instant,
        into outbox: inout Outbox
    ) {
        let stream = streamByBridge[key.remote]
        let asker = Asker(
            key: key,
            source: stream.map { streams[$0].client } ?? key.remote,
            isStream: stream != nil,
            byteCount: message.bytes.byteCount,
            hasFingerprint: message.endsWithFingerprint
        )
        // What claims to come from a lent port of ours could go round in circles.
        guard stream != nil || !isLent(key.remote) else { return counters.unanswerable += 1 }
        let limit = configuration.quotas.requestsPerSecond
        guard ledger.admits(asker.source, perSecond: limit, at: now) else {
            return counters.requestsLimited += 1
        }
        guard message.method != .binding else {
            return answerBinding(message, asker, at: now, into: &outbox)
        }
        // Nobody can be judged before the portal has dealt the secrets. Silence makes clients ask
        // again at once; a refusal would make them go away.
        guard !configuration.secrets.isEmpty else { return counters.unanswerable += 1 }
        switch authenticate(message, asker, at: now) {
        case .refused(let answer): answerStranger(answer, asker, at: now, into: &outbox)
        case .proven(let proof):
            ledger.prove(asker.source)
            serve(message, asker, proof, at: now, into: &outbox)
        }
    }

    private mutating func serve(
        _ message: borrowing STUNMessage,
        _ asker: Asker,
        _ proof: Proof,
        at now: Instant,
        into outbox: inout Outbox
    ) {
        var answer = STUNWriter(answering: message, .success)
        do throws(Refusal) {
            let unknown = message.unknownAttributes(besides: Self.understood)
            guard unknown.isEmpty else { throw .unknown(unknown) }
            switch message.method {
            case .allocate:
                // The answer waits for the port, or is there already.
                let request = try allocate(message, asker, proof, at: now)
                guard let request else { return }
                return send(request, asker, into: &outbox)
            case .refresh: try refresh(message, asker, proof, &answer, at: now)
            case .createPermission: try createPermission(message, asker, proof, at: now)
            case .channelBind: try bindChannel(message, asker, proof, at: now)
            default: throw .code(.badRequest)
            }
            counters.successes += 1
        } catch {
            counters.failures += 1
            answer = STUNWriter(answering: message, .failure)
            Self.append(error, to: &answer)
        }
        send(Self.sealed(answer, proof), asker, into: &outbox)
    }

    /// Adds ERROR-CODE and what goes with it.
    static func append(_ refusal: Refusal, to answer: inout STUNWriter) {
        switch refusal {
        case .code(let code): answer.append(code)
        case .unknown(let types):
            answer.append(.unknownAttribute)
            answer.append(unknown: types)
        }
    }

    /// The whole answer to a request with credentials.
    static func sealed(_ answer: STUNWriter, _ proof: Proof) -> [UInt8] {
        var answer = answer
        answer.seal(proof.integrity, key: proof.key.rawSpan)
        answer.appendFingerprint()
        return answer.bytes
    }

    /// Sends an answer; without room it is lost, and asked for again.
    mutating func send(_ answer: [UInt8], _ asker: Asker, into outbox: inout Outbox) {
        send(answer, to: asker.key.remote, from: asker.local, into: &outbox)
    }

    mutating func send(
        _ answer: [UInt8],
        to remote: Endpoint,
        from local: Endpoint,
        into outbox: inout Outbox
    ) {
        var target = outbox.reserve(answer.count)
        guard target.byteCount == answer.count else { return counters.sizes += 1 }
        target.write(answer.rawSpan, at: 0)
        outbox.commit(to: remote, from: local)
    }

    // MARK: Strangers

    private mutating func answerBinding(
        _ message: borrowing STUNMessage,
        _ asker: Asker,
        at now: Instant,
        into outbox: inout Outbox
    ) {
        let unknown = message.unknownAttributes(besides: Self.understoodInBinding)
        guard unknown.isEmpty else {
            counters.failures += 1
            var answer = STUNWriter(answering: message, .failure)
            answer.append(bare: .unknownAttribute)
            answer.append(unknown: unknown)
            answerStranger(answer, asker, at: now, into: &outbox)
            return
        }
        var answer = STUNWriter(answering: message, .success)
        answer.append(.xorMappedAddress, asker.source)
        guard answerStranger(answer, asker, at: now, into: &outbox) else { return }
        counters.successes += 1
    }

    /// Answers who has not shown that his address is his own, as far as he has paid for it.
    @discardableResult
    private mutating func answerStranger(
        _ answer: STUNWriter,
        _ asker: Asker,
        at now: Instant,
        into outbox: inout Outbox
    ) -> Bool {
        var answer = answer
        if asker.hasFingerprint { answer.appendFingerprint() }
        // A connection proves its address, as an allocation did.
        let isKnown = asker.isStream || liveAllocation(of: asker.key, at: now) != nil
        guard
            isKnown
                || ledger.permits(
                    answerByteCount: answer.bytes.count,
                    to: asker.source,
                    for: asker.byteCount,
                    at: now
                )
        else {
            counters.answersLimited += 1
            return false
        }
        send(answer.bytes, asker, into: &outbox)
        return true
    }

    /// Whether an endpoint is a port that is lent to somebody.
    private func isLent(_ endpoint: Endpoint) -> Bool {
        configuration.publicAddress(endpoint.family) == endpoint.address
            && ports.owner(of: endpoint.port) != nil
    }
}

extension STUNMessage {
    /// Whether the last attribute is FINGERPRINT, which was checked already.
    fileprivate var endsWithFingerprint: Bool {
        let offset = bytes.byteCount - 8
        return offset >= Self.headerByteCount
            && bytes.uint16(at: offset) == STUNAttributeType.fingerprint.rawValue
            && bytes.uint16(at: offset + 2) == 4
    }
}

extension STUNWriter {
    /// Adds ERROR-CODE without words: answers to strangers are kept short.
    mutating func append(bare code: STUNErrorCode) {
        append(.errorCode, [0, 0, UInt8(code.rawValue / 100), UInt8(code.rawValue % 100)])
    }
}
