internal import Crypto
internal import Foundation
internal import IP
internal import SwiftASN1
internal import X509

/// The portal's own certificate authority: roles trust it by its fingerprint, which their token
/// carries, so that no public authority is needed.
///
/// Lives in the state folder as `authority.pem` and `authority.key`; made once, never renewed,
/// since its fingerprint is in every token.
struct CertificateAuthority {
    /// Bounds of what it issues.
    enum Limits {
        /// Days that the authority itself is valid.
        static let authorityDayCount = 7_300
        /// Days that a server certificate is valid.
        static let serverDayCount = 90
        /// Days before its end at which a server certificate is replaced.
        static let renewalDayCount = 30
        /// Seconds that certificates are dated back, for clocks that lag.
        static let backdateSeconds = 86_400.0
    }

    private let certificate: Certificate
    private let privateKey: P256.Signing.PrivateKey

    /// Reads the authority, or makes it on the first start.
    static func open(in folder: StateFolder, now: Date) throws(AuthorityError)
        -> CertificateAuthority
    {
        do {
            if let key = try folder.read("authority.key"),
                let certificate = try folder.read("authority.pem")
            {
                return CertificateAuthority(
                    certificate: try Certificate(pemEncoded: certificate),
                    privateKey: try P256.Signing.PrivateKey(pemRepresentation: key)
                )
            }
            let made = try make(now: now)
            try folder.write("authority.key", made.privateKey.pemRepresentation)
            try folder.write("authority.pem", try made.pem)
            return made
        } catch let error as StateFolderError {
            throw .folder(error)
        } catch {
            throw .unreadable(path: folder.path(of: "authority.pem"))
        }
    }

    /// The certificate as PEM.
    var pem: String { get throws { try certificate.serializeAsPEM().pemString } }

    /// SHA-256 of the certificate's DER form, 32 bytes.
    var fingerprint: [UInt8] {
        get throws {
            var serializer = DER.Serializer()
            try serializer.serialize(certificate)
            return Array(SHA256.hash(data: serializer.serializedBytes))
        }
    }

    /// A fresh certificate, with a key of its own, for a server that is known by `names`.
    func issue(for names: ServerNames, now: Date) throws -> IssuedCertificate {
        let key = P256.Signing.PrivateKey()
        let end = min(
            now.addingTimeInterval(Double(Limits.serverDayCount) * 86_400),
            certificate.notValidAfter
        )
        let issued = try Certificate(
            version: .v3,
            serialNumber: Certificate.SerialNumber(),
            publicKey: Certificate.PublicKey(key.publicKey),
            notValidBefore: now.addingTimeInterval(-Limits.backdateSeconds),
            notValidAfter: end,
            issuer: certificate.subject,
            subject: try DistinguishedName { CommonName(names.common) },
            signatureAlgorithm: .ecdsaWithSHA256,
            extensions: try Certificate.Extensions {
                Critical(BasicConstraints.notCertificateAuthority)
                Critical(KeyUsage(digitalSignature: true))
                try ExtendedKeyUsage([.serverAuth])
                SubjectAlternativeNames(names.general)
                AuthorityKeyIdentifier(
                    keyIdentifier: SubjectKeyIdentifier(hash: certificate.publicKey).keyIdentifier
                )
            },
            issuerPrivateKey: Certificate.PrivateKey(privateKey)
        )
        return IssuedCertificate(
            chainPEM: try issued.serializeAsPEM().pemString + "\n" + pem,
            keyPEM: key.pemRepresentation
        )
    }

    private static func make(now: Date) throws -> CertificateAuthority {
        let key = P256.Signing.PrivateKey()
        let name = try DistinguishedName {
            OrganizationName("Culvert")
            CommonName("Culvert portal authority")
        }
        let publicKey = Certificate.PublicKey(key.publicKey)
        let certificate = try Certificate(
            version: .v3,
            serialNumber: Certificate.SerialNumber(),
            publicKey: publicKey,
            notValidBefore: now.addingTimeInterval(-Limits.backdateSeconds),
            notValidAfter: now.addingTimeInterval(Double(Limits.authorityDayCount) * 86_400),
            issuer: name,
            subject: name,
            signatureAlgorithm: .ecdsaWithSHA256,
            extensions: try Certificate.Extensions {
                Critical(BasicConstraints.isCertificateAuthority(maxPathLength: 0))
                Critical(KeyUsage(keyCertSign: true, cRLSign: true))
                SubjectKeyIdentifier(hash: publicKey)
            },
            issuerPrivateKey: Certificate.PrivateKey(key)
        )
        return CertificateAuthority(certificate: certificate, privateKey: key)
    }
}

/// A server certificate followed by its authority, and the key.
struct IssuedCertificate: Equatable, Sendable {
    let chainPEM: String
    let keyPEM: String
}

/// What a server is called by those who connect to it.
struct ServerNames: Equatable, Sendable {
    /// Host names and addresses, the portal URL's host first, without repetition.
    let all: [String]

    init(_ hosts: [String]) {
        var seen: [String] = []
        for host in hosts where !host.isEmpty && !seen.contains(host) { seen.append(host) }
        all = seen
    }

    fileprivate var common: String { String((all.first ?? "portal").prefix(64)) }

    fileprivate var general: [GeneralName] {
        all.map { host in
            IPAddress(host).map { .ipAddress(ASN1OctetString(contentBytes: $0.bytes[...])) }
                ?? .dnsName(host)
        }
    }

    /// Whether `certificate` speaks for all of them.
    func areCovered(by certificate: Certificate) -> Bool {
        guard let names = try? certificate.extensions.subjectAlternativeNames else { return false }
        return general.allSatisfy { names.contains($0) }
    }
}

/// Why there is no certificate to serve with.
public enum AuthorityError: Error, Equatable {
    case folder(StateFolderError)
    /// The authority's files are there, and are no certificate and key.
    case unreadable(path: String)
    /// The certificate or key that the configuration names cannot be used.
    case unusable(path: String, reason: String)
}
