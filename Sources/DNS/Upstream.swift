public import Bytes
public import IP

/// A nameserver as people write it: `9.9.9.9`, `[2620:fe::fe]:53`, `tls://dns.example.net`,
/// `https://dns.example.net/dns-query`.
public struct Upstream: Hashable, Sendable {
    /// How it is asked.
    public enum Transport: String, Sendable, CaseIterable {
        /// UDP and TCP.
        case plain = ""
        /// DNS over TLS (RFC 7858).
        case tls = "tls://"
        /// DNS over HTTPS (RFC 8484).
        case https = "https://"

        /// The port when none is written.
        public var port: UInt16 {
            switch self {
            case .plain: 53
            case .tls: 853
            case .https: 443
            }
        }
    }

    /// How it is asked.
    public let transport: Transport
    /// A name in lower case, or an address without brackets.
    public let host: String
    /// The port.
    public let port: UInt16
    /// With its slash; empty unless `.https`.
    public let path: String

    /// The address, where it is not a name.
    public let address: IPAddress?

    /// Address and port, where it is not a name.
    public var endpoint: Endpoint? { address.map { Endpoint($0, port: port) } }

    /// A plain one.
    public init(_ endpoint: Endpoint) {
        self.init(.plain, endpoint.address.description, endpoint.port, "")
    }
}

extension Upstream: LosslessStringConvertible {
    public init?(_ text: String) {
        let transport = [.tls, .https].first { text.hasPrefix($0.rawValue) } ?? Transport.plain
        var rest = text.dropFirst(transport.rawValue.count)
        var path = rest.firstIndex(of: "/").map { String(rest[$0...]) } ?? ""
        rest = rest.dropLast(path.count)
        guard path.isEmpty || transport == .https, path.utf8.allSatisfy({ $0 > 32 && $0 < 127 })
        else { return nil }
        if transport == .https, path.isEmpty || path == "/" { path = "/dns-query" }
        if IPAddress(String(rest)) != nil, transport == .plain {
            self.init(transport, String(rest), transport.port, path)
        } else if let endpoint = Endpoint(String(rest)), endpoint.port > 0 {
            self.init(transport, endpoint.address.description, endpoint.port, path)
        } else if rest.hasPrefix("["), rest.hasSuffix("]"),
            let address = IPAddress(String(rest.dropFirst().dropLast())), !address.isIPv4
        {
            self.init(transport, address.description, transport.port, path)
        } else {
            self.init(transport, named: rest, path)
        }
    }

    private init(_ transport: Transport, _ host: String, _ port: UInt16, _ path: String) {
        (self.transport, self.host, self.port, self.path) = (transport, host, port, path)
        address = IPAddress(host)
    }

    private init?(_ transport: Transport, named text: Substring, _ path: String) {
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        guard (1...2).contains(parts.count), let host = parts.first?.lowercased(),
            let port = parts.count == 2 ? UInt16(parts[1]) : transport.port, port > 0
        else { return nil }
        // Plain ones need an address: there is nobody to ask for the name before them.
        guard IPAddress(host) != nil || transport != .plain && Self.isHostName(host)
        else { return nil }
        self.init(transport, host, port, path)
    }

    /// Letters, digits, hyphens and underscores between dots; no pattern and no number.
    private static func isHostName(_ text: String) -> Bool {
        guard let name = Name(text), !name.isRoot, text.utf8.last != UInt8(ascii: ".") else {
            return false
        }
        // A last label of digits is an address that cannot be one (RFC 1123 section 2.1).
        guard
            text.utf8.reversed().prefix(while: { $0 != UInt8(ascii: ".") }).contains(where: {
                !(UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0)
            })
        else { return false }
        return text.utf8.allSatisfy {
            switch $0 {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "0")...UInt8(ascii: "9"),
                UInt8(ascii: "-"), UInt8(ascii: "_"), UInt8(ascii: "."):
                true
            default: false
            }
        }
    }

    public var description: String {
        let isBracketed = host.contains(":") && (transport != .plain || port != transport.port)
        return transport.rawValue + (isBracketed ? "[\(host)]" : host)
            + (port == transport.port ? "" : ":\(port)") + path
    }
}
