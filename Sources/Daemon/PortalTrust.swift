public import Control
internal import Crypto
internal import Foundation
internal import NIOCore
public import NIOSSL
internal import SwiftASN1
internal import Synchronization
internal import X509

/// Decides whether the server that answered is the portal that the token names: its certificate
/// must lead to the authority whose fingerprint the token carries.
///
/// With a fingerprint the machine's own list of authorities plays no part, so a role starts from
/// its token alone.
public final class PortalTrust: Sendable {
    private let fingerprint: [UInt8]?
    private let host: String
    private let isAddress: Bool
    private let failure = Mutex<Sentence?>(nil)

    /// - Parameters:
    ///   - token: Carries the fingerprint of the authority: SHA-256 of its certificate (DER). One
    ///     without means a certificate of a public authority.
    ///   - url: Where the portal is reached.
    public init(token: Token, url: PortalURL) {
        fingerprint = token.fingerprint
        host = url.host
        isAddress = (try? SocketAddress(ipAddress: url.host, port: 0)) != nil
    }

    /// Why the last server was refused; nil when none was.
    public var lastFailure: Sentence? { failure.withLock { $0 } }

    /// A TLS handler that verifies by this trust.
    public func handler() throws -> NIOSSLClientHandler {
        let context = try NIOSSLContext(configuration: .makeClientConfiguration())
        let name = isAddress ? nil : host
        guard let fingerprint else {
            return try NIOSSLClientHandler(context: context, serverHostname: name)
        }
        return try NIOSSLClientHandler(
            context: context,
            serverHostname: name,
            customVerificationCallback: { [self] chain, promise in
                promise.completeWithTask {
                    do {
                        try await self.verify(chain, fingerprint)
                        self.failure.withLock { $0 = nil }
                        return .certificateVerified
                    } catch {
                        self.failure.withLock { $0 = error as? Sentence }
                        return .failed
                    }
                }
            }
        )
    }

    private func verify(
        _ chain: [NIOSSLCertificate],
        _ fingerprint: [UInt8]
    ) async throws {
        let encoded = try chain.map { try $0.toDERBytes() }
        guard let index = encoded.firstIndex(where: { Array(SHA256.hash(data: $0)) == fingerprint })
        else {
            throw Sentence(
                "The server at \(host) is not the portal that made this token: its certificate "
                    + "comes from another authority. If the portal was set up anew, make a new token."
            )
        }
        let certificates = try encoded.map { try Certificate(derEncoded: $0) }
        do {
            try await CertificateCheck.verify(certificates, for: host, [certificates[index]])
        } catch CertificateCheck.Fault.time(let from, let to, let now) {
            throw Sentence(
                "The portal's certificate is valid from \(from.formatted(.iso8601)) "
                    + "to \(to.formatted(.iso8601)), and this machine's clock says "
                    + "\(now.formatted(.iso8601)); set the clock."
            )
        } catch {
            throw Sentence(
                "The portal's certificate does not stand for \(host); start the portal with the "
                    + "--url that the token names."
            )
        }
    }
}
