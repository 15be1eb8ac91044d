public import Control
internal import DNS
public import IP

/// What somebody wants to reach: `git.example.com:443`, `10.0.0.5`, `[2001:db8::1]:53/udp`.
public struct Destination: Hashable, Sendable {
    /// A name, as clients ask for it, or an address.
    public enum Host: Hashable, Sendable {
        case name(String)
        case address(IPAddress)
    }

    public var host: Host
    public var transport: Filter.Transport
    /// The port; 0 for icmp.
    public var port: UInt16

    public init(host: Host, transport: Filter.Transport = .tcp, port: UInt16 = 443) {
        (self.host, self.transport, self.port) = (host, transport, port)
    }

    /// Such as `tcp/443` or `icmp`.
    public var traffic: String {
        transport == .icmp ? "icmp" : "\(transport.rawValue)/\(port)"
    }
}

extension Destination: LosslessStringConvertible {
    /// A host with at most a port, and a protocol where it is not tcp: `host:53/udp`, `host/icmp`.
    /// No port means 443.
    public init?(_ text: String) {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count <= 2, let place = parts.first else { return nil }
        let word = parts.count == 2 ? String(parts[1]) : "tcp"
        guard let transport = Filter.Transport(rawValue: word) else { return nil }
        var host = String(place)
        var port: UInt16?
        if IPAddress(host) == nil, let colon = host.lastIndex(of: ":"), !host.hasSuffix("]") {
            port = UInt16(host[host.index(after: colon)...])
            guard port != nil else { return nil }
            host = String(host[..<colon])
        }
        if host.hasPrefix("["), host.hasSuffix("]") { host = String(host.dropFirst().dropLast()) }
        guard transport != .icmp || port == nil else { return nil }
        self.transport = transport
        self.port = transport == .icmp ? 0 : port ?? 443
        if let address = IPAddress(host) {
            self.host = .address(address)
        } else if let ascii = try? ResourceAddress.canonicalName(host),
            ResourceAddress.isHostName(ascii), let name = Name(ascii)
        {
            self.host = .name(name.description.lowercased())
        } else {
            return nil
        }
    }

    public var description: String {
        let suffix = transport == .tcp ? ":\(port)" : transport == .udp ? ":\(port)/udp" : "/icmp"
        switch host {
        case .name(let name): return name + suffix
        case .address(let address) where !address.isIPv4 && transport != .icmp:
            return "[\(address)]" + suffix
        case .address(let address): return "\(address)" + suffix
        }
    }
}

extension Destination: Codable {
    public init(from decoder: any Decoder) throws { self = try decoder.decodeText() }
    public func encode(to encoder: any Encoder) throws { try encoder.encodeText(self) }
}

extension Directory {
    /// The resource that a packet to `destination` belongs to, as clients and gateways choose:
    /// names before networks before the internet; then one whose filters permit it, then the more
    /// specific, then the lower identifier. O(resources).
    public static func choice(
        for destination: Destination,
        among resources: [Resource]
    ) -> Resource? {
        var best: Match?
        for resource in resources {
            guard let match = Match(resource, destination) else { continue }
            if best.map({ match.isBetter(than: $0) }) ?? true { best = match }
        }
        return best?.resource
    }
}

/// A resource that covers a destination.
private struct Match {
    let resource: Directory.Resource
    let permits: Bool
    /// Names 2, networks 1, the internet 0.
    let rank: Int
    /// Of a network.
    let bitCount: Int
    /// Of a name.
    let pattern: NamePattern?

    init?(_ resource: Directory.Resource, _ destination: Destination) {
        self.resource = resource
        permits = resource.filters.permit(destination.transport, port: destination.port)
        switch (resource.address, destination.host) {
        case (.name, .name(let text)):
            guard let pattern = resource.pattern.flatMap({ try? NamePattern($0) }),
                let name = Name(text), pattern.matches(name)
            else { return nil }
            (rank, bitCount, self.pattern) = (2, 0, pattern)
        case (.prefix(let prefix), .address(let address)):
            guard prefix.contains(address) else { return nil }
            (rank, bitCount, pattern) = (1, prefix.bitCount, nil)
        case (.internet, _): (rank, bitCount, pattern) = (0, 0, nil)
        case (.name, .address), (.prefix, .name): return nil
        }
    }

    func isBetter(than other: Match) -> Bool {
        if rank != other.rank { return rank > other.rank }
        if permits != other.permits { return permits }
        if let mine = pattern, let theirs = other.pattern {
            if mine.isMoreSpecific(than: theirs) { return true }
            if theirs.isMoreSpecific(than: mine) { return false }
        }
        if bitCount != other.bitCount { return bitCount > other.bitCount }
        return resource.id < other.resource.id
    }
}
