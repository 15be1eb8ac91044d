public import Bytes

extension Endpoint {
    /// An endpoint by address and port.
    @inlinable public init(_ address: IPAddress, port: UInt16) {
        self.init(high: address.high, low: address.low, port: port)
    }

    /// The address.
    @inlinable public var address: IPAddress { IPAddress(high: high, low: low) }
}

extension Endpoint: LosslessStringConvertible {
    /// `203.0.113.9:51830` or `[2001:db8::9]:51830`.
    public init?(_ text: String) {
        guard let colon = text.lastIndex(of: ":"),
            let port = UInt16(digits: text[text.index(after: colon)...])
        else { return nil }
        var host = text[..<colon]
        let bracketed = host.hasPrefix("[") && host.hasSuffix("]")
        if bracketed { host = host.dropFirst().dropLast() }
        guard let address = IPAddress(String(host)), address.isIPv4 != bracketed else { return nil }
        self.init(address, port: port)
    }

    public var description: String {
        address.isIPv4 ? "\(address):\(port)" : "[\(address)]:\(port)"
    }
}

extension Endpoint: Codable {
    public init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        let text = try container.decode(String.self)
        guard let endpoint = Endpoint(text) else {
            throw DecodingError.dataCorruptedError(
                in: container,
                debugDescription: "not an address with a port"
            )
        }
        self = endpoint
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(description)
    }
}
