internal import Crypto
internal import Foundation
internal import NIOCore
internal import NIOSSL
internal import SwiftASN1
internal import Synchronization
internal import X509

/// What the portal proves itself with: the certificate in use, replaced before it ends without a
/// restart.
final class ServerIdentity: Sendable {
    /// Where the certificate comes from.
    enum Source: Sendable {
        /// Issued by the portal's own authority for these names.
        case ownAuthority(ServerNames)
        /// Files that somebody else keeps up to date.
        case files(certificate: String, key: String)
    }

    private let source: Source
    private let folder: StateFolder
    private let current: Mutex<NIOSSLContext>
    /// SHA-256 of the certificate that roles are to trust: the authority's own, or the last one of
    /// the chain that was configured.
    let fingerprint: [UInt8]

    init(source: Source, folder: StateFolder, now: Date) throws(AuthorityError) {
        self.source = source
        self.folder = folder
        let (context, fingerprint) = try Self.load(source, folder, now)
        self.fingerprint = fingerprint
        current = Mutex(context)
    }

    /// What a new connection is to be served with.
    var context: NIOSSLContext { current.withLock { $0 } }

    /// Reads or issues again what is due; call it once a day, connections go on as they are.
    func renew(now: Date) throws(AuthorityError) {
        let (context, _) = try Self.load(source, folder, now)
        current.withLock { $0 = context }
    }

    private static func load(
        _ source: Source,
        _ folder: StateFolder,
        _ now: Date
    ) throws(AuthorityError) -> (NIOSSLContext, [UInt8]) {
        switch source {
        case .ownAuthority(let names):
            let authority = try CertificateAuthority.open(in: folder, now: now)
            do {
                let issued = try stored(folder, names, now) ?? issue(authority, names, folder, now)
                return (
                    try context(chain: Array(issued.chainPEM.utf8), key: Array(issued.keyPEM.utf8)),
                    try authority.fingerprint
                )
            } catch let error as StateFolderError {
                throw .folder(error)
            } catch {
                throw .unusable(path: folder.path(of: "server.pem"), reason: "\(error)")
            }
        case .files(let certificate, let key):
            return try load(certificate: certificate, key: key)
        }
    }

    private static func load(
        certificate: String,
        key: String
    ) throws(AuthorityError) -> (NIOSSLContext, [UInt8]) {
        let chain: [UInt8]
        let secret: [UInt8]
        do {
            chain = try Array(Data(contentsOf: URL(fileURLWithPath: certificate)))
        } catch { throw .unusable(path: certificate, reason: "it cannot be read") }
        do {
            secret = try Array(Data(contentsOf: URL(fileURLWithPath: key)))
        } catch { throw .unusable(path: key, reason: "it cannot be read") }
        do {
            let last = try NIOSSLCertificate.fromPEMBytes(chain).last
            guard let last else {
                throw AuthorityError.unusable(path: certificate, reason: "empty")
            }
            let context = try context(chain: chain, key: secret)
            return (context, Array(SHA256.hash(data: try last.toDERBytes())))
        } catch {
            throw .unusable(
                path: certificate,
                reason: "it is no PEM certificate chain that fits the key \(key)"
            )
        }
    }

    /// The certificate on disk, when it is not due and speaks for all names.
    private static func stored(
        _ folder: StateFolder,
        _ names: ServerNames,
        _ now: Date
    ) throws(StateFolderError) -> IssuedCertificate? {
        guard let chain = try folder.read("server.pem"), let key = try folder.read("server.key"),
            let first = try? PEMDocument.parseMultiple(pemString: chain).first,
            let certificate = try? Certificate(pemDocument: first),
            names.areCovered(by: certificate)
        else { return nil }
        let margin = Double(CertificateAuthority.Limits.renewalDayCount) * 86_400
        guard certificate.notValidAfter.timeIntervalSince(now) > margin else { return nil }
        return IssuedCertificate(chainPEM: chain, keyPEM: key)
    }

    private static func issue(
        _ authority: CertificateAuthority,
        _ names: ServerNames,
        _ folder: StateFolder,
        _ now: Date
    ) throws -> IssuedCertificate {
        let issued = try authority.issue(for: names, now: now)
        try folder.write("server.key", issued.keyPEM)
        try folder.write("server.pem", issued.chainPEM)
        return issued
    }

    private static func context(chain: [UInt8], key: [UInt8]) throws -> NIOSSLContext {
        var configuration = TLSConfiguration.makeServerConfiguration(
            certificateChain: try NIOSSLCertificate.fromPEMBytes(chain).map { .certificate($0) },
            privateKey: .privateKey(try NIOSSLPrivateKey(bytes: key, format: .pem))
        )
        configuration.minimumTLSVersion = .tlsv12
        // A peer that does not say goodbye must not hold a connection that is over.
        configuration.shutdownTimeout = .milliseconds(500)
        configuration.applicationProtocols = ["http/1.1"]
        return try NIOSSLContext(configuration: configuration)
    }
}
