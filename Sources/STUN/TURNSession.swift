internal import Bytes
internal import IP

/// How requests to one relay are signed: credentials, and what the relay said of realm and nonce
/// (RFC 8489 9.2).
struct TURNSession: Sendable {
    /// What a request was signed with, and what its answer must be signed with.
    struct Proof: Sendable, Equatable {
        let integrity: STUNIntegrity
        let key: [UInt8]
        let nonce: [UInt8]
        let credentials: LongTermCredentials

        func covers(_ message: borrowing STUNMessage) -> Bool {
            message.isAuthentic(integrity, key: key.rawSpan)
        }
    }

    private(set) var credentials: LongTermCredentials
    private var challenge: Challenge?
    /// What requests are signed with; nil before the first challenge.
    private(set) var proof: Proof?

    init(_ credentials: LongTermCredentials) { self.credentials = credentials }

    /// Other credentials, under the same realm and nonce.
    mutating func use(_ credentials: LongTermCredentials) {
        guard credentials != self.credentials else { return }
        self.credentials = credentials
        proof = challenge.flatMap { Self.proof(credentials, $0) }
    }

    /// Takes up what a 401 or 438 says; false: nothing that can be used, or less than the nonce
    /// says that the relay offers, so that somebody on the way took it out (RFC 8489 9.2.5).
    mutating func accept(_ message: borrowing STUNMessage) -> Bool {
        guard let challenge = Challenge(message), let proof = Self.proof(credentials, challenge)
        else { return false }
        (self.challenge, self.proof) = (challenge, proof)
        return true
    }

    /// Signs a request; not at all before the first challenge.
    func sign(_ writer: inout STUNWriter) {
        guard let challenge, let proof else { return }
        if challenge.isAnonymous {
            let hash = LongTermCredentials.userHash(credentials.username, realm: challenge.realm)
            writer.append(.userHash, hash)
        } else {
            writer.append(.username, credentials.username)
        }
        writer.append(.realm, challenge.realm)
        writer.append(.nonce, challenge.nonce)
        if let offered = challenge.offered {
            writer.append(.passwordAlgorithms, offered)
            writer.append(challenge.algorithm)
        }
        writer.seal(proof.integrity, key: proof.key.rawSpan)
    }

    private static func proof(
        _ credentials: LongTermCredentials,
        _ challenge: Challenge
    ) -> Proof? {
        credentials.key(realm: challenge.realm, challenge.algorithm).map { key in
            Proof(
                integrity: challenge.offered == nil ? .sha1 : .sha256,
                key: key,
                nonce: challenge.nonce,
                credentials: credentials
            )
        }
    }
}

/// What a relay asks to be answered with.
private struct Challenge: Sendable {
    let realm: String
    let nonce: [UInt8]
    /// PASSWORD-ALGORITHMS, to be sent back as it came; nil: none.
    let offered: [UInt8]?
    let algorithm: PasswordAlgorithm
    /// USERHASH is wanted in place of USERNAME.
    let isAnonymous: Bool

    init?(_ message: borrowing STUNMessage) {
        guard let realm = message.text(.realm), let nonce = message.array(.nonce), !nonce.isEmpty
        else { return nil }
        (self.realm, self.nonce) = (realm, nonce)
        let features = SecurityFeatures(nonce: nonce) ?? []
        isAnonymous = features.contains(.userAnonymity)
        guard features.contains(.passwordAlgorithms) else {
            (offered, algorithm) = (nil, .md5)
            return
        }
        guard let offered = message.array(.passwordAlgorithms),
            let algorithms = message.passwordAlgorithms,
            let algorithm = [.sha256, .md5].first(where: { algorithms.contains($0) })
        else { return nil }
        (self.offered, self.algorithm) = (offered, algorithm)
    }
}
