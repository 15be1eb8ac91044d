internal import DNS
internal import IP

/// Records as zone files have them (RFC 1035 section 5, RFC 3597 section 5).
enum RecordText {
    /// `git.example. 60 A 192.0.2.1`
    static func line(_ record: Record) -> String {
        "\(name(record.name)) \(record.timeToLive) \(record.type) \(data(record.data))"
    }

    private static func name(_ name: Name) -> String {
        name.isRoot ? "." : name.description + "."
    }

    private static func data(_ data: RecordData) -> String {
        switch data {
        case .a(let address), .aaaa(let address): address.description
        case .cname(let other), .ns(let other), .ptr(let other): name(other)
        case .mx(let preference, let server): "\(preference) \(name(server))"
        case .txt(let texts): texts.map(quoted).joined(separator: " ")
        case .srv(let priority, let weight, let port, let server):
            "\(priority) \(weight) \(port) \(name(server))"
        case .soa(let start):
            "\(name(start.server)) \(name(start.mailbox)) \(start.serial) \(start.refresh) "
                + "\(start.retry) \(start.expire) \(start.minimum)"
        case .caa(let flags, let tag, let value):
            "\(flags) \(String(decoding: tag, as: UTF8.self)) \(quoted(value))"
        case .svcb(let priority, let target, let parameters),
            .https(let priority, let target, let parameters):
            ([String(priority), name(target)]
                + parameters.map { "key\($0.key)=\(quoted($0.value))" }).joined(separator: " ")
        case .hinfo(let processor, let system): "\(quoted(processor)) \(quoted(system))"
        case .other(_, let bytes): "\\# \(bytes.count) \(hexadecimal(bytes))"
        }
    }

    private static func quoted(_ bytes: [UInt8]) -> String {
        var text = "\""
        for byte in bytes {
            switch byte {
            case UInt8(ascii: "\""), UInt8(ascii: "\\"):
                text += "\\" + String(Unicode.Scalar(byte))
            case 32..<127: text += String(Unicode.Scalar(byte))
            default:
                let digits = String(byte)
                text += "\\" + String(repeating: "0", count: 3 - digits.count) + digits
            }
        }
        return text + "\""
    }

    private static func hexadecimal(_ bytes: [UInt8]) -> String {
        bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    }
}
