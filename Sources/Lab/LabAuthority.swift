internal import Foundation

/// A certificate authority of the lab, and what trusts it.
struct LabAuthority {
    private let folder: String
    /// The authority's own certificate.
    var certificate: String { "\(folder)/authority.pem" }

    /// Makes an authority whose files lie on `host`.
    init(on host: LabHost) throws {
        folder = host.folder
        try Lab.must(
            ["openssl", "req", "-x509", "-days", "30", "-subj", "/CN=The lab's authority"]
                + Self.newKey("\(folder)/authority.key") + ["-out", certificate]
        )
    }

    /// A certificate for a server on `host`.
    ///
    /// - Parameters:
    ///   - host: Where its files go.
    ///   - names: What it stands for, as openssl writes it: `DNS:dns1.example`, `IP:203.0.113.53`.
    /// - Returns: The paths of key and certificate.
    /// - Throws: ``LabError`` when openssl refuses.
    func issue(on host: LabHost, names: [String]) throws -> (key: String, certificate: String) {
        let (key, path) = ("\(host.folder)/tls.key", "\(host.folder)/tls.pem")
        try Lab.must(
            ["openssl", "req", "-x509", "-days", "30", "-subj", "/CN=\(host.title)"]
                + ["-CA", certificate, "-CAkey", "\(folder)/authority.key"] + Self.newKey(key)
                + ["-addext", "subjectAltName=\(names.joined(separator: ","))"]
                + ["-addext", "basicConstraints=critical,CA:false", "-out", path]
        )
        return (key, path)
    }

    /// Makes `host` trust this authority and no other.
    func trust(on host: LabHost) throws {
        let folder = "/etc/netns/\(host.namespace)/ssl"
        try FileManager.default.createDirectory(
            atPath: "\(folder)/certs",
            withIntermediateDirectories: true
        )
        try FileManager.default.copyItem(
            atPath: certificate,
            toPath: "\(folder)/certs/ca-certificates.crt"
        )
        try Lab.must(["cp", "/etc/ssl/openssl.cnf", "\(folder)/openssl.cnf"])
    }

    private static func newKey(_ path: String) -> [String] {
        ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", path]
    }
}
