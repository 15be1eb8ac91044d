internal import Bytes
internal import STUN
internal import SansIO

/// What the check of a request's credentials came to.
enum Authentication {
    /// They are good.
    case proven(Proof)
    /// This is the answer, for lack of a key without integrity.
    case refused(STUNWriter)
}

// RFC 8489 9.2.4, in its order.
extension Relay {
    /// Offered in each 401 and 438, the best first.
    static let algorithms: [PasswordAlgorithm] = [.sha256, .md5]

    mutating func authenticate(
        _ message: borrowing STUNMessage,
        _ asker: Asker,
        at now: Instant
    ) -> Authentication {
        guard message.hasIntegrity else {
            counters.challenges += 1
            return .refused(challenge(.unauthenticated, message, asker, at: now))
        }
        guard let realm = message.text(.realm), let nonce = message.array(.nonce),
            message.has(.username) || message.has(.userHash)
        else { return refused(.badRequest, message) }
        let hasGoodNonce = nonces.isGood(nonce, for: asker.key.remote, at: now)
        // Only who receives what we send to it knows a nonce of its own.
        if hasGoodNonce { ledger.prove(asker.source) }
        guard let algorithm = message.algorithm(offered: Self.algorithms) else {
            return refused(.badRequest, message)
        }
        // Cheaper than the password, and as final: who has no good nonce comes again anyway.
        guard hasGoodNonce else {
            counters.staleNonces += 1
            return .refused(challenge(.staleNonce, message, asker, at: now))
        }
        guard let proof = proof(of: message, realm: realm, algorithm, at: now) else {
            counters.credentialsRefused += 1
            return .refused(challenge(.unauthenticated, message, asker, at: now))
        }
        return .proven(proof)
    }

    private mutating func refused(
        _ code: STUNErrorCode,
        _ message: borrowing STUNMessage
    ) -> Authentication {
        counters.failures += 1
        var answer = STUNWriter(answering: message, .failure)
        answer.append(bare: code)
        return .refused(answer)
    }

    /// 401 or 438 with all that a client needs to come again.
    private func challenge(
        _ code: STUNErrorCode,
        _ message: borrowing STUNMessage,
        _ asker: Asker,
        at now: Instant
    ) -> STUNWriter {
        var answer = STUNWriter(answering: message, .failure)
        answer.append(bare: code)
        answer.append(.realm, configuration.realm)
        answer.append(.nonce, nonces.nonce(for: asker.key.remote, at: now))
        answer.append(Self.algorithms)
        return answer
    }

    /// The name in the request and its key, if one of the secrets makes the password that the
    /// request was signed with, and the time in the name is not over.
    private func proof(
        of message: borrowing STUNMessage,
        realm: String,
        _ algorithm: PasswordAlgorithm,
        at now: Instant
    ) -> Proof? {
        guard realm == configuration.realm, let username = message.text(.username),
            let timed = TimeLimitedName(username),
            timed.expiry > configuration.wallClock.seconds(at: now)
        else { return nil }
        let kind: STUNIntegrity = message.hasIntegrity(.sha256) ? .sha256 : .sha1
        for secret in configuration.secrets.prefix(Limits.secrets) {
            let credentials = LongTermCredentials(
                username: username,
                password: SharedSecret(secret).password(for: username)
            )
            guard let key = credentials.key(realm: realm, algorithm),
                message.isAuthentic(kind, key: key.rawSpan)
            else { continue }
            let integrity: STUNIntegrity = message.has(.passwordAlgorithm) ? .sha256 : .sha1
            return Proof(name: timed.name, key: key, integrity: integrity)
        }
        return nil
    }
}
