internal import Control
internal import Crypto
internal import Foundation

/// The preshared key of each pair of client and gateway, derived and never stored, so that every
/// lease and every portal gives the same one.
struct PresharedKeys: Sendable {
    private let secret: SymmetricKey
    private let account: String

    init(secret: [UInt8], account: String) {
        self.secret = SymmetricKey(data: secret)
        self.account = account
    }

    /// The key of the account's withheld names.
    var withheldSalt: KeyText {
        var mac = HMAC<SHA256>(key: secret)
        mac.update(data: Array("culvert withheld names\u{0}\(account)".utf8))
        guard let key = KeyText(bytes: Array(mac.finalize())) else {
            preconditionFailure("a SHA-256 code has 32 bytes")
        }
        return key
    }

    /// HMAC-SHA256 over a label, the account and both public keys.
    func key(client: KeyText, gateway: KeyText) -> PresharedKeyText {
        var mac = HMAC<SHA256>(key: secret)
        mac.update(data: Array("culvert preshared key\u{0}\(account)\u{0}".utf8))
        mac.update(data: client.bytes)
        mac.update(data: gateway.bytes)
        guard let key = PresharedKeyText(bytes: Array(mac.finalize())) else {
            preconditionFailure("a SHA-256 code has 32 bytes")
        }
        return key
    }
}
