internal import Bytes
internal import Control
public import IP

/// Where a stock TURN server listens, as people write it: `turn.example.com`, `192.0.2.1:3478`,
/// `[2001:db8::1]:5349`.
public struct RelayAddress: Hashable, Sendable {
    /// How it is reached; each has a port of its own (RFC 8656 18.7).
    public enum Transport: String, Sendable, CaseIterable {
        case udp, tcp, tls

        /// The port when none is written.
        public var port: UInt16 { self == .tls ? 5349 : 3478 }
    }

    /// A name in lower case, or an address without brackets.
    public let host: String
    /// The port.
    public let port: UInt16

    /// The address, where it is not a name.
    public var address: IPAddress? { IPAddress(host) }

    /// Reads a name or address, with a port or without; nil when it is neither.
    public init?(_ text: String, over transport: Transport) {
        if let address = IPAddress(text) {
            self.init(host: address.description, port: transport.port)
        } else if let endpoint = Endpoint(text) {
            self.init(host: endpoint.address.description, port: endpoint.port)
        } else if text.hasPrefix("["), text.hasSuffix("]"),
            let address = IPAddress(String(text.dropFirst().dropLast())), !address.isIPv4
        {
            self.init(host: address.description, port: transport.port)
        } else {
            let parts = text.split(separator: ":", omittingEmptySubsequences: false)
            guard (1...2).contains(parts.count), let name = parts.first?.lowercased(),
                let port = parts.count == 2 ? UInt16(parts[1]) : transport.port,
                IPAddress(name) != nil || ResourceAddress.isHostName(name)
            else { return nil }
            self.init(host: name, port: port)
        }
        guard port > 0 else { return nil }
    }

    private init(host: String, port: UInt16) { (self.host, self.port) = (host, port) }
}

extension RelayAddress: CustomStringConvertible {
    /// Always with its port.
    public var description: String {
        (host.contains(":") ? "[\(host)]" : host) + ":\(port)"
    }
}

extension RelayAddress: Codable {
    public init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        // With a port, the transport does not matter.
        guard let address = RelayAddress(try container.decode(String.self), over: .udp) else {
            throw DecodingError.dataCorruptedError(
                in: container,
                debugDescription: "not a relay's address"
            )
        }
        self = address
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(description)
    }
}
