/// Traffic that a resource lets through: `tcp/443`, `udp/8000-8010`, `tcp`, `icmp`.
///
/// An empty list of filters permits everything.
public struct Filter: Hashable, Sendable {
    /// What is told apart; icmp means echo.
    public enum Transport: String, Sendable, Codable, CaseIterable {
        case tcp, udp, icmp
    }

    /// The protocol.
    public let transport: Transport
    /// Destination ports; all of them for icmp.
    public let ports: ClosedRange<UInt16>

    public init(_ transport: Transport, ports: ClosedRange<UInt16> = 0...65_535) {
        self.transport = transport
        self.ports = transport == .icmp ? 0...65_535 : ports
    }

    /// Whether it lets `transport` to `port` through; the port of icmp does not count.
    public func permits(_ transport: Transport, port: UInt16) -> Bool {
        self.transport == transport && (transport == .icmp || ports.contains(port))
    }
}

extension Filter {
    /// Why a text is not a filter.
    public enum ParseError: Error, Hashable, Sendable {
        /// Neither tcp, udp nor icmp.
        case unknownProtocol(String)
        /// Not a port 0…65535, or not two of them, lower first.
        case badPorts(String)
        /// icmp has no ports.
        case portsOfICMP

        /// What is wrong and what to write instead.
        public var sentence: String {
            switch self {
            case .unknownProtocol(let text):
                "“\(text)” is not a protocol; write tcp, udp or icmp, such as tcp/443"
            case .badPorts(let text):
                "“\(text)” is not a port or a range of ports; write tcp/443 or tcp/8000-8010"
            case .portsOfICMP: "icmp has no ports; write icmp alone"
            }
        }
    }

    /// Reads `tcp/443`, `udp/8000-8010`, `tcp`, `icmp`.
    public init(parsing text: String) throws(ParseError) {
        let parts = text.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
        guard let transport = parts.first.flatMap({ Transport(rawValue: String($0)) }) else {
            throw .unknownProtocol(String(parts.first ?? ""))
        }
        guard parts.count == 2 else {
            self.init(transport)
            return
        }
        guard transport != .icmp else { throw .portsOfICMP }
        let range = parts[1].split(separator: "-", maxSplits: 1, omittingEmptySubsequences: false)
        guard let lower = range.first.flatMap(Self.port), let upper = range.last.flatMap(Self.port),
            lower <= upper
        else { throw .badPorts(String(parts[1])) }
        self.init(transport, ports: lower...upper)
    }

    private static func port(_ text: Substring) -> UInt16? {
        text.utf8.allSatisfy { (48...57).contains($0) } ? UInt16(text) : nil
    }
}

extension Filter: CustomStringConvertible {
    public var description: String {
        if ports == 0...65_535 { return transport.rawValue }
        let (lower, upper) = (ports.lowerBound, ports.upperBound)
        return "\(transport.rawValue)/\(lower)" + (lower == upper ? "" : "-\(upper)")
    }
}

extension Filter: Codable {
    public init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        let text = try container.decode(String.self)
        do {
            try self.init(parsing: text)
        } catch {
            throw DecodingError.dataCorruptedError(in: container, debugDescription: error.sentence)
        }
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(description)
    }
}

extension Sequence<Filter> {
    /// Whether the list lets `transport` to `port` through; an empty list does.
    public func permit(_ transport: Filter.Transport, port: UInt16) -> Bool {
        var isEmpty = true
        for filter in self {
            if filter.permits(transport, port: port) { return true }
            isEmpty = false
        }
        return isEmpty
    }
}
