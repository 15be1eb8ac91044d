public import IP

/// What a resolv.conf(5) says.
public struct ResolverFile: Sendable, Equatable {
    /// The mark that the file is ours, at the start of its first line.
    static let mark = "# Written by Culvert."

    /// Servers in order, all of them; glibc asks the first three.
    public private(set) var nameservers: [IPAddress] = []
    /// The search list; the last `search` or `domain` line counts.
    public private(set) var search: [String] = []
    /// The words of all `options` lines.
    public private(set) var options: [String] = []
    /// Whether the file is ours.
    public let isMarked: Bool

    /// Lines that are neither servers nor the search list, as they are.
    let otherLines: [String]
    /// The same for a file that names our servers: without `trust-ad`, which says that servers and
    /// the way to them are to be believed about DNSSEC; ours pass on what others say.
    var carriedLines: [String] {
        otherLines.compactMap { line in
            let words = line.split(whereSeparator: \.isWhitespace)
            guard words.first == "options" else { return line }
            let kept = words.filter { $0 != "trust-ad" }
            return kept.count == 1 ? nil : kept.joined(separator: " ")
        }
    }

    /// Reads a file; what it does not understand is passed over, as resolvers do.
    public init(_ bytes: [UInt8]) {
        let text = String(decoding: bytes, as: UTF8.self)
        isMarked = text.hasPrefix(Self.mark)
        var others: [String] = []
        for line in text.split(separator: "\n") {
            let words = line.split { $0 == " " || $0 == "\t" || $0 == "\r" }.map(String.init)
            switch words.first {
            case "nameserver":
                if let server = words.dropFirst().first.flatMap({ IPAddress(nameserver: $0) }),
                    !server.isWithoutLink, !nameservers.contains(server)
                {
                    nameservers.append(server)
                }
                continue
            case "search", "domain":
                search = Array(words.dropFirst())
                continue
            case "options": options += words.dropFirst()
            default: break
            }
            others.append(String(line))
        }
        otherLines = others
    }

    /// Reads the file at `path`.
    public static func read(_ path: String) throws(SystemError) -> ResolverFile {
        ResolverFile(try TextFile.read(path))
    }
}
