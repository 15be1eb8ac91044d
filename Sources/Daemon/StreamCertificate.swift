internal import Crypto
internal import Foundation
internal import NIOCore
internal import NIOSSL
internal import SwiftASN1
internal import X509

/// The certificate that a relay's streams speak TLS with.
public struct StreamCertificate: Sendable {
    /// Bounds of a certificate of our own making.
    public enum Limits {
        /// Days that it is good for; a new one is made at each start.
        public static var dayCount: Int { 3_650 }
    }

    let context: NIOSSLContext
    /// SHA-256 of the certificate (DER), by which clients know it.
    public let fingerprint: [UInt8]

    /// The fingerprint as the portal deals it: lower-case hexadecimal.
    public var fingerprintText: String {
        fingerprint.map { byte in
            let digits = String(byte, radix: 16)
            return digits.count == 1 ? "0" + digits : digits
        }.joined()
    }

    /// Makes one that nobody vouches for: the portal tells its fingerprint to those who come.
    public init() throws {
        let key = P256.Signing.PrivateKey()
        let name = try DistinguishedName { CommonName("Culvert relay") }
        let certificate = try Certificate(
            version: .v3,
            serialNumber: Certificate.SerialNumber(),
            publicKey: Certificate.PublicKey(key.publicKey),
            notValidBefore: Date.now.addingTimeInterval(-86_400),
            notValidAfter: Date.now.addingTimeInterval(Double(Limits.dayCount) * 86_400),
            issuer: name,
            subject: name,
            signatureAlgorithm: .ecdsaWithSHA256,
            extensions: try Certificate.Extensions {
                Critical(BasicConstraints.notCertificateAuthority)
                Critical(KeyUsage(digitalSignature: true))
                try ExtendedKeyUsage([.serverAuth])
            },
            issuerPrivateKey: Certificate.PrivateKey(key)
        )
        try self.init(
            chain: NIOSSLCertificate.fromPEMBytes(
                Array(certificate.serializeAsPEM().pemString.utf8)
            ),
            key: NIOSSLPrivateKey(bytes: Array(key.pemRepresentation.utf8), format: .pem)
        )
    }

    /// Reads a certificate, with those that lead to its authority behind it, and its key.
    ///
    /// - Throws: ``Sentence`` that names the file.
    public init(certificateFile: String, keyFile: String) throws {
        let chain: [NIOSSLCertificate]
        do { chain = try NIOSSLCertificate.fromPEMFile(certificateFile) } catch {
            throw Sentence(
                "\(certificateFile) holds no certificate as PEM that can be read; name the right "
                    + "file with --certificate.",
                exit: .usedWrongly
            )
        }
        let key: NIOSSLPrivateKey
        do { key = try NIOSSLPrivateKey(file: keyFile, format: .pem) } catch {
            throw Sentence(
                "\(keyFile) holds no private key as PEM that can be read; name the right file with "
                    + "--key.",
                exit: .usedWrongly
            )
        }
        do { try self.init(chain: chain, key: key) } catch {
            throw Sentence(
                "The key in \(keyFile) does not belong to the certificate in \(certificateFile).",
                exit: .usedWrongly
            )
        }
    }

    private init(chain: [NIOSSLCertificate], key: NIOSSLPrivateKey) throws {
        var configuration = TLSConfiguration.makeServerConfiguration(
            certificateChain: chain.map { .certificate($0) },
            privateKey: .privateKey(key)
        )
        configuration.minimumTLSVersion = .tlsv12
        configuration.applicationProtocols = ["stun.turn"]
        context = try NIOSSLContext(configuration: configuration)
        fingerprint = Array(SHA256.hash(data: try chain.first?.toDERBytes() ?? []))
    }
}
