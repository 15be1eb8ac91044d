internal import Foundation
internal import NIOCore
internal import NIOSSL
internal import SwiftASN1
internal import X509

/// Whether a server's certificate stands for it: the one place where chains are judged.
enum CertificateCheck {
    /// What is wrong with a certificate.
    enum Fault: Error, Equatable {
        /// The server showed none, or one that cannot be read.
        case unreadable
        /// Outside of its time, by this machine's clock.
        case time(from: Date, to: Date, now: Date)
        /// It leads to no authority that counts.
        case authority
        /// It stands for other names or addresses.
        case name
    }

    /// - Parameters:
    ///   - chain: What the server sent, its own certificate first.
    ///   - host: The name or the address that the certificate must stand for (RFC 6125, RFC 8310).
    ///   - roots: The authorities that count.
    /// - Throws: ``Fault``.
    static func verify(
        _ chain: [Certificate],
        for host: String,
        _ roots: [Certificate]
    ) async throws {
        guard let leaf = chain.first else { throw Fault.unreadable }
        let now = Date.now
        guard leaf.notValidBefore <= now, now <= leaf.notValidAfter else {
            throw Fault.time(from: leaf.notValidBefore, to: leaf.notValidAfter, now: now)
        }
        let isAddress = (try? SocketAddress(ipAddress: host, port: 0)) != nil
        var verifier = Verifier(rootCertificates: CertificateStore(roots)) {
            RFC5280Policy()
            ServerIdentityPolicy(
                serverHostname: isAddress ? nil : host,
                serverIP: isAddress ? host : nil
            )
        }
        if await isValid(chain, &verifier) { return }
        var nameless = Verifier(rootCertificates: CertificateStore(roots)) { RFC5280Policy() }
        throw await isValid(chain, &nameless) ? Fault.name : Fault.authority
    }

    private static func isValid(
        _ chain: [Certificate],
        _ verifier: inout Verifier<some VerifierPolicy>
    ) async -> Bool {
        guard let leaf = chain.first else { return false }
        let others = CertificateStore(chain.dropFirst())
        if case .validCertificate = await verifier.validate(leaf: leaf, intermediates: others) {
            return true
        }
        return false
    }
}

extension CertificateCheck.Fault {
    /// The rest of “the certificate is not valid: …”.
    var words: String {
        switch self {
        case .unreadable: "it cannot be read"
        case .time(let from, let to, let now):
            "it counts from \(from.formatted(.iso8601)) to \(to.formatted(.iso8601)), and this "
                + "machine's clock says \(now.formatted(.iso8601))"
        case .authority: "it comes from an authority that this machine does not trust"
        case .name: "it stands for another name or address"
        }
    }
}

/// The authorities that this machine trusts.
enum SystemAuthorities {
    /// Where the distributions keep them.
    private static let places = [
        "/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt",
        "/etc/ssl/ca-bundle.pem", "/etc/ssl/cert.pem",
    ]

    /// The certificates of `file`; without, those of the file that `SSL_CERT_FILE` names, as with
    /// OpenSSL, else the system's own. What cannot be read is left out.
    static func certificates(file: String? = nil) -> [Certificate] {
        let named = file ?? ProcessInfo.processInfo.environment["SSL_CERT_FILE"]
        let candidates = named.map { [$0] } ?? places
        let files = FileManager.default
        guard let path = candidates.first(where: { files.isReadableFile(atPath: $0) }),
            let found = try? NIOSSLCertificate.fromPEMFile(path)
        else { return [] }
        return found.compactMap { one in
            (try? one.toDERBytes()).flatMap { try? Certificate(derEncoded: $0) }
        }
    }
}
