internal import Crypto
internal import CryptoExtras
internal import Foundation

/// Random secrets, and what is kept of them.
enum Secrets {
    /// Bounds of secrets and passwords.
    enum Limits {
        /// Bytes of a token's secret, a session's and a link's: 256 bits, out of reach for
        /// guessing.
        static let secretByteCount = 32
        /// Characters that a password must have.
        static let passwordLengthMin = 12
        /// Characters that a password may have.
        static let passwordLengthMax = 1_024
        /// scrypt's N, r and p: 32 MiB and about 0.1 s for each try.
        static let scrypt = (rounds: 32_768, blockSize: 8, parallelism: 1)
    }

    /// `count` bytes of the system's generator.
    static func random(_ count: Int = Limits.secretByteCount) -> [UInt8] {
        var generator = SystemRandomNumberGenerator()
        return (0..<count).map { _ in UInt8.random(in: 0...255, using: &generator) }
    }

    /// Random bytes as URL-safe text without padding.
    static func randomText(_ count: Int = Limits.secretByteCount) -> String {
        Data(random(count)).base64EncodedString()
            .replacing("+", with: "-").replacing("/", with: "_").replacing("=", with: "")
    }

    /// What is stored instead of a secret of high entropy: SHA-256, nothing slower is needed.
    static func hash(_ secret: some Sequence<UInt8>) -> Data {
        Data(SHA256.hash(data: Array(secret)))
    }

    /// What is stored instead of a password: scrypt with a salt of its own, and its parameters.
    static func hash(password: String) throws -> String {
        let salt = random(16)
        let key = try derive(password, salt, Limits.scrypt.rounds)
        return [
            "scrypt", "\(Limits.scrypt.rounds)", Data(salt).base64EncodedString(),
            Data(key).base64EncodedString(),
        ].joined(separator: "$")
    }

    /// Whether `password` is the one that `stored` was made of.
    static func verify(password: String, against stored: String) -> Bool {
        let parts = stored.split(separator: "$").map(String.init)
        guard parts.count == 4, parts[0] == "scrypt", let rounds = Int(parts[1]),
            let salt = Data(base64Encoded: parts[2]), let key = Data(base64Encoded: parts[3]),
            let candidate = try? derive(password, Array(salt), rounds)
        else { return false }
        return areEqual(candidate, Array(key))
    }

    /// Compares in a time that depends on the lengths only.
    static func areEqual(_ one: [UInt8], _ other: [UInt8]) -> Bool {
        guard one.count == other.count else { return false }
        return zip(one, other).reduce(UInt8(0)) { $0 | ($1.0 ^ $1.1) } == 0
    }

    private static func derive(_ password: String, _ salt: [UInt8], _ rounds: Int) throws -> [UInt8]
    {
        let key = try KDF.Scrypt.deriveKey(
            from: Array(password.utf8),
            salt: salt,
            outputByteCount: 32,
            rounds: rounds,
            blockSize: Limits.scrypt.blockSize,
            parallelism: Limits.scrypt.parallelism,
            maxMemory: 1 << 27
        )
        return Array(HMAC<SHA256>.authenticationCode(for: salt, using: key))
    }
}
