internal import Foundation

/// What `culvert status --json` says of a client.
public struct ClientStatus {
    /// As it was printed.
    public let text: String
    private let core: [String: Any]

    /// Asks the client on `host`.
    public init(of host: LabHost, _ roles: Roles) {
        text = (try? roles.command(on: host, "status", "--json").output) ?? ""
        let object = try? JSONSerialization.jsonObject(with: Data(text.utf8))
        core = (object as? [String: Any])?["core"] as? [String: Any] ?? [:]
    }

    /// DNS queries that the client has seen so far; nil when it says nothing.
    public var queries: Int? { core["queries"] as? Int }

    /// The name of the gateway that serves the first resource which has one.
    public var gateway: String? { serving?["name"] as? String }

    /// How the client reaches that gateway: `direct` or `relayed`.
    public var path: String? { serving?["path"] as? String }

    private var serving: [String: Any]? {
        let resources = core["resources"] as? [[String: Any]] ?? []
        let identifier = resources.compactMap { $0["gateway"] as? String }.first
        let gateways = core["gateways"] as? [[String: Any]] ?? []
        return gateways.first { $0["id"] as? String == identifier }
    }
}
