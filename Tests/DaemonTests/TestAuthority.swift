internal import Crypto
internal import Foundation
internal import NIOCore
internal import NIOSSL
internal import SwiftASN1
internal import X509

/// A certificate authority of a test's own, in a file as the system's are.
final class TestAuthority: Sendable {
    private let key = P256.Signing.PrivateKey()
    private let name: DistinguishedName
    private let root: Certificate
    private let folder: URL

    /// The authority's certificate, as PEM.
    var file: String { folder.appending(path: "authority.pem").path }

    init() throws {
        name = try DistinguishedName { CommonName("Test authority") }
        root = try Self.make(
            for: Certificate.PublicKey(key.publicKey),
            name,
            by: name,
            key,
            Certificate.Extensions {
                Critical(BasicConstraints.isCertificateAuthority(maxPathLength: 0))
                Critical(KeyUsage(keyCertSign: true))
            }
        )
        folder = FileManager.default.temporaryDirectory.appending(path: UUID().uuidString)
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        try Data(root.serializeAsPEM().pemString.utf8).write(to: URL(filePath: file))
    }

    deinit { try? FileManager.default.removeItem(at: folder) }

    /// What a server needs to speak TLS as these names.
    func server(
        _ names: [GeneralName],
        protocols: [String],
        from: Date = .now.addingTimeInterval(-60),
        to: Date = .now.addingTimeInterval(3_600)
    ) throws -> NIOSSLContext {
        let own = P256.Signing.PrivateKey()
        let certificate = try Self.make(
            for: Certificate.PublicKey(own.publicKey),
            try DistinguishedName { CommonName("Test server") },
            by: name,
            key,
            Certificate.Extensions {
                Critical(BasicConstraints.notCertificateAuthority)
                Critical(KeyUsage(digitalSignature: true))
                SubjectAlternativeNames(names)
            },
            from: from,
            to: to
        )
        let pem = try certificate.serializeAsPEM().pemString
        var configuration = TLSConfiguration.makeServerConfiguration(
            certificateChain: try NIOSSLCertificate.fromPEMBytes(Array(pem.utf8))
                .map { .certificate($0) },
            privateKey: .privateKey(
                try NIOSSLPrivateKey(bytes: Array(own.pemRepresentation.utf8), format: .pem)
            )
        )
        configuration.applicationProtocols = protocols
        return try NIOSSLContext(configuration: configuration)
    }

    static let loopback = GeneralName.ipAddress(ASN1OctetString(contentBytes: [127, 0, 0, 1]))

    private static func make(
        for key: Certificate.PublicKey,
        _ subject: DistinguishedName,
        by issuer: DistinguishedName,
        _ signer: P256.Signing.PrivateKey,
        _ extensions: Certificate.Extensions,
        from: Date = .now.addingTimeInterval(-60),
        to: Date = .now.addingTimeInterval(3_600)
    ) throws -> Certificate {
        try Certificate(
            version: .v3,
            serialNumber: Certificate.SerialNumber(),
            publicKey: key,
            notValidBefore: from,
            notValidAfter: to,
            issuer: issuer,
            subject: subject,
            signatureAlgorithm: .ecdsaWithSHA256,
            extensions: extensions,
            issuerPrivateKey: Certificate.PrivateKey(signer)
        )
    }
}
