public import Control
public import IP

/// How a portal is started: what its flags say.
public struct PortalConfiguration: Sendable {
    /// Where to listen, as `[::]:8443`, `0.0.0.0:8443` or `:8443`; several are possible.
    public var listen: [String]
    /// How roles and browsers reach it; goes into every token.
    public var url: PortalURL
    /// Where its files lie.
    public var stateFolder: String
    /// A folder for the database other than the state folder.
    public var database: String?
    /// A certificate chain as PEM, with ``key``; nil means that the portal makes its own.
    public var certificate: String?
    /// The private key of ``certificate``, as PEM.
    public var key: String?
    /// Networks of reverse proxies whose `X-Forwarded-For` is believed.
    public var behindProxy: [IPPrefix]
    /// The socket for commands of this machine; nil means `culvert.sock` in the state folder.
    public var socket: String?
    /// Further names and addresses that the portal's own certificate speaks for.
    public var names: [String]
    /// Between two heartbeats of a connection; a gateway with live clients has its own, shorter
    /// one.
    public var heartbeat: Duration
    /// Between two heartbeats of a gateway with live clients.
    public var busyHeartbeat: Duration
    /// How long a relay's password is good for; a new one is sent after half of it.
    public var relayPasswordLifetime: Duration
    /// Clients, gateways and relays that may be saying hello at once; others are told to wait.
    public var arrivalsMax: Int
    /// After a start, how long requests wait for gateways that were connected before.
    public var gatewayReturnTime: Duration

    public init(
        listen: [String] = ["[::]:8443"],
        url: PortalURL,
        stateFolder: String = "/var/lib/culvert/portal"
    ) {
        (self.listen, self.url, self.stateFolder) = (listen, url, stateFolder)
        behindProxy = []
        names = []
        heartbeat = .seconds(10)
        busyHeartbeat = .seconds(3)
        relayPasswordLifetime = .seconds(12 * 3_600)
        arrivalsMax = 512
        gatewayReturnTime = .seconds(15)
    }

    /// The socket's path.
    public var socketPath: String { socket ?? stateFolder + "/culvert.sock" }
}

/// Where a server listens.
struct ListenAddress: Equatable, Sendable {
    let host: String
    let port: Int

    /// Reads `[::]:8443`, `192.0.2.1:8443`, `portal.example.com:8443` or `:8443`.
    init(_ text: String) throws(PortalStartError) {
        guard let colon = text.lastIndex(of: ":"),
            let port = UInt16(text[text.index(after: colon)...])
        else { throw .badListenAddress(text) }
        var host = text[..<colon]
        if host.hasPrefix("["), host.hasSuffix("]") {
            host = host.dropFirst().dropLast()
            guard IPAddress(String(host)) != nil else { throw .badListenAddress(text) }
        } else if host.contains(":") {
            throw .badListenAddress(text)
        }
        self.host = host.isEmpty ? "::" : String(host)
        self.port = Int(port)
    }

    /// What a certificate should say for it; nil for “every address”.
    var certificateName: String? { host == "::" || host == "0.0.0.0" ? nil : host }
}

/// Why a portal does not start.
public enum PortalStartError: Error, Equatable, Sendable {
    case folder(StateFolderError)
    case authority(AuthorityError)
    case store(StoreError)
    /// What is stored is of a later version, or damaged.
    case unreadableConfiguration(reason: String)
    case badListenAddress(String)
    case portTaken(String)
    case portNotAllowed(String)
    /// No interface of the machine has it, or the machine does not speak its family.
    case noSuchAddress(String)
    case cannotListen(String, reason: String)
    case onlyOneOfCertificateAndKey
    case databaseNotSupported(String)

    /// What, why, and what to do.
    public var sentence: String {
        switch self {
        case .folder(let error): Self.sentence(error)
        case .authority(let error): Self.sentence(error)
        case .store(let error): error.sentence
        case .unreadableConfiguration(let reason):
            "The stored configuration cannot be read (\(reason)); restore a backup, or start the "
                + "version that wrote it."
        case .badListenAddress(let text):
            "“\(text)” is no address to listen on; write [::]:8443, 192.0.2.1:8443 or :8443."
        case .portTaken(let text):
            "\(text) is taken by another program; stop it, or choose another one with --listen."
        case .portNotAllowed(let text):
            "Listening on \(text) is not permitted; choose a port above 1023, or grant "
                + "CAP_NET_BIND_SERVICE."
        case .noSuchAddress(let text):
            "\(text) is no address of this machine; write one that is, or :PORT for all of them."
        case .cannotListen(let text, let reason):
            "Listening on \(text) failed (\(reason)); check --listen and --socket."
        case .onlyOneOfCertificateAndKey:
            "A certificate needs its key and a key its certificate; give both --certificate and --key, "
                + "or neither."
        case .databaseNotSupported(let text):
            "“\(text)” is not a folder; this version keeps its data in a folder of its own machine."
        }
    }

    private static func sentence(_ error: StateFolderError) -> String {
        switch error {
        case .notAFolder(let path): "\(path) is not a folder; choose another one with --state."
        case .notWritable(let path, let reason):
            "\(path) cannot be written (\(reason)); give it to the user that the portal runs as, or "
                + "choose another folder with --state."
        case .unreadable(let path, let reason):
            "\(path) cannot be read (\(reason)); give it to the user that the portal runs as."
        }
    }

    private static func sentence(_ error: AuthorityError) -> String {
        switch error {
        case .folder(let error): sentence(error)
        case .unreadable(let path):
            "\(path) or its key is damaged; restore both from a backup: without them no token works."
        case .unusable(let path, let reason):
            "The certificate \(path) cannot be used: \(reason)."
        }
    }
}
