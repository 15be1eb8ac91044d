/// The version of a program: numbers between dots, compared as numbers; what is missing is 0.
///
/// What follows a hyphen marks something before that version, as in `1.2.0-rc1`.
public struct SoftwareVersion: Sendable {
    private let numbers: [UInt32]
    private let isPreview: Bool
    private let text: String
}

extension SoftwareVersion: Hashable, Comparable {
    public static func == (lhs: Self, rhs: Self) -> Bool { !(lhs < rhs) && !(rhs < lhs) }

    public static func < (lhs: Self, rhs: Self) -> Bool {
        for index in 0..<max(lhs.numbers.count, rhs.numbers.count) {
            let left = index < lhs.numbers.count ? lhs.numbers[index] : 0
            let right = index < rhs.numbers.count ? rhs.numbers[index] : 0
            if left != right { return left < right }
        }
        return lhs.isPreview && !rhs.isPreview
    }

    public func hash(into hasher: inout Hasher) {
        let significant = numbers.lastIndex { $0 != 0 }.map { $0 + 1 } ?? 0
        hasher.combine(numbers.prefix(significant).map(\.self))
        hasher.combine(isPreview)
    }
}

extension SoftwareVersion: LosslessStringConvertible {
    /// `1`, `1.1`, `1.10.3`, `1.2.0-rc1`, `1.2+build`.
    public init?(_ text: String) {
        let core = text.prefix { $0 != "-" && $0 != "+" }
        let parts = core.split(separator: ".", omittingEmptySubsequences: false)
        let numbers = parts.compactMap { UInt32($0) }
        guard (1...8).contains(parts.count), numbers.count == parts.count,
            text.utf8.count <= 64, core.utf8.allSatisfy({ $0 == 46 || (48...57).contains($0) })
        else { return nil }
        (self.numbers, self.text) = (numbers, text)
        isPreview = text.dropFirst(core.count).first == "-"
    }

    public var description: String { text }
}

/// Versions that are good enough: `>=1.1`, `>=1.1, <2`.
public struct VersionRequirement: Sendable, Hashable {
    private enum Comparison: String, CaseIterable {
        // In the order of reading: two characters first.
        case atLeast = ">="
        case atMost = "<="
        case above = ">"
        case below = "<"
        case exactly = "="
    }

    private struct Bound: Hashable {
        let comparison: Comparison
        let version: SoftwareVersion
    }

    private let bounds: [Bound]

    /// Whether `version` meets all bounds.
    public func admits(_ version: SoftwareVersion) -> Bool {
        bounds.allSatisfy { bound in
            switch bound.comparison {
            case .atLeast: version >= bound.version
            case .atMost: version <= bound.version
            case .above: version > bound.version
            case .below: version < bound.version
            case .exactly: version == bound.version
            }
        }
    }
}

extension VersionRequirement: LosslessStringConvertible {
    public init?(_ text: String) {
        var bounds: [Bound] = []
        for part in text.split(separator: ",", omittingEmptySubsequences: false) {
            let bare = part.filter { $0 != " " }
            let comparison = Comparison.allCases.first { bare.hasPrefix($0.rawValue) }
            guard let comparison,
                let version = SoftwareVersion(String(bare.dropFirst(comparison.rawValue.count)))
            else { return nil }
            bounds.append(Bound(comparison: comparison, version: version))
        }
        self.bounds = bounds
    }

    public var description: String {
        bounds.map { $0.comparison.rawValue + $0.version.description }.joined(separator: ", ")
    }
}

extension SoftwareVersion: Codable {
    public init(from decoder: any Decoder) throws { self = try decoder.decodeText() }
    public func encode(to encoder: any Encoder) throws { try encoder.encodeText(self) }
}

extension VersionRequirement: Codable {
    public init(from decoder: any Decoder) throws { self = try decoder.decodeText() }
    public func encode(to encoder: any Encoder) throws { try encoder.encodeText(self) }
}

extension Decoder {
    /// A value that stands as its text.
    func decodeText<Value: LosslessStringConvertible>() throws -> Value {
        let container = try singleValueContainer()
        guard let value = Value(try container.decode(String.self)) else {
            throw DecodingError.dataCorruptedError(
                in: container,
                debugDescription: "not a \(Value.self)"
            )
        }
        return value
    }
}

extension Encoder {
    /// Writes a value as its text.
    func encodeText(_ value: some LosslessStringConvertible) throws {
        var container = singleValueContainer()
        try container.encode(value.description)
    }
}
