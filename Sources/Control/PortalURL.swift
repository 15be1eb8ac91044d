/// Where a portal is: `https://portal.example.com:8443`.
public struct PortalURL: Hashable, Sendable {
    /// A name in lower case, or an address without brackets.
    public let host: String
    /// The TCP port.
    public let port: UInt16

    /// The port of a URL that names none.
    public static let standardPort: UInt16 = 443

    public init(host: String, port: UInt16 = standardPort) {
        (self.host, self.port) = (host.lowercased(), port)
    }
}

extension PortalURL: LosslessStringConvertible {
    /// `https://`, a host, and at most a port and a slash; nil for anything else.
    public init?(_ text: String) {
        guard text.hasPrefix("https://") else { return nil }
        var authority = text.dropFirst("https://".count)
        if authority.hasSuffix("/") { authority.removeLast() }
        var port = Self.standardPort
        let isBracketed = authority.hasPrefix("[")
        let hostEnd = isBracketed ? authority.lastIndex(of: "]") : authority.startIndex
        guard let hostEnd else { return nil }
        if let colon = authority[hostEnd...].lastIndex(of: ":") {
            let digits = authority[authority.index(after: colon)...]
            guard let number = UInt16(digits), number > 0 else { return nil }
            port = number
            authority = authority[..<colon]
        }
        if isBracketed {
            guard authority.hasSuffix("]") else { return nil }
            authority = authority.dropFirst().dropLast()
        }
        guard Self.isHost(authority, isBracketed: isBracketed) else { return nil }
        self.init(host: String(authority), port: port)
    }

    public var description: String {
        let host = host.contains(":") ? "[\(host)]" : host
        return "https://\(host)" + (port == Self.standardPort ? "" : ":\(port)")
    }

    private static func isHost(_ text: Substring, isBracketed: Bool) -> Bool {
        guard !text.isEmpty, text.utf8.count <= 253 else { return false }
        return text.utf8.allSatisfy { byte in
            switch byte {
            case 48...57, 65...90, 97...122, UInt8(ascii: "-"), UInt8(ascii: "."): true
            case UInt8(ascii: "_"): !isBracketed
            case UInt8(ascii: ":"): isBracketed
            default: false
            }
        }
    }
}
