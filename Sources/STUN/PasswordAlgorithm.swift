internal import Bytes

/// How the key of long-term credentials is made (RFC 8489 18.5).
public struct PasswordAlgorithm: RawRepresentable, Hashable, Sendable {
    /// The number on the wire.
    public let rawValue: UInt16

    public init(rawValue: UInt16) { self.rawValue = rawValue }

    /// MD5 of name, realm and password: what all servers know.
    public static let md5 = PasswordAlgorithm(rawValue: 1)
    /// SHA-256 of the same.
    public static let sha256 = PasswordAlgorithm(rawValue: 2)
}

extension STUNMessage {
    /// PASSWORD-ALGORITHMS; nil when there is none or it is malformed. Parameters are skipped, the
    /// two known algorithms have none.
    public var passwordAlgorithms: [PasswordAlgorithm]? {
        guard let attribute = first(.passwordAlgorithms), !attribute.range.isEmpty else {
            return nil
        }
        var all: [PasswordAlgorithm] = []
        var offset = attribute.range.lowerBound
        while offset < attribute.range.upperBound {
            guard attribute.range.upperBound - offset >= 4 else { return nil }
            all.append(PasswordAlgorithm(rawValue: bytes.uint16(at: offset)))
            offset += 4 + (Int(bytes.uint16(at: offset + 2)) + 3) & ~3
        }
        return offset == attribute.range.upperBound ? all : nil
    }

    /// PASSWORD-ALGORITHM.
    public var passwordAlgorithm: PasswordAlgorithm? {
        first(.passwordAlgorithm).map {
            PasswordAlgorithm(rawValue: bytes.uint16(at: $0.range.lowerBound))
        }
    }
}

extension STUNMessage {
    /// The algorithm that an authenticated request was made with, by a server that offers `offered`
    /// (RFC 8489 9.2.4); nil: the request is bad, somebody may have meddled with what was offered.
    public func algorithm(offered: [PasswordAlgorithm]) -> PasswordAlgorithm? {
        let isTold =
            array(.nonce).flatMap { SecurityFeatures(nonce: $0) }?
            .contains(.passwordAlgorithms) ?? false
        guard isTold, has(.passwordAlgorithms) || has(.passwordAlgorithm) else { return .md5 }
        guard array(.passwordAlgorithms) == PasswordAlgorithm.field(of: offered),
            let chosen = passwordAlgorithm, offered.contains(chosen)
        else { return nil }
        return chosen
    }
}

extension STUNWriter {
    /// Adds PASSWORD-ALGORITHMS, the best first.
    public mutating func append(_ algorithms: [PasswordAlgorithm]) {
        append(.passwordAlgorithms, PasswordAlgorithm.field(of: algorithms))
    }

    /// Adds PASSWORD-ALGORITHM.
    public mutating func append(_ algorithm: PasswordAlgorithm) {
        append(.passwordAlgorithm, PasswordAlgorithm.field(of: [algorithm]))
    }
}

extension PasswordAlgorithm {
    static func field(of algorithms: [PasswordAlgorithm]) -> [UInt8] {
        var field: [UInt8] = []
        for algorithm in algorithms {
            field.append(bigEndian: algorithm.rawValue)
            field.append(bigEndian: UInt16(0))
        }
        return field
    }
}
