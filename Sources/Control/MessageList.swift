public import IP

/// What may stand in a list of a message.
///
/// The synthesised decoders of this module find the overloads below and read every list with them:
/// its length is bounded, and an element that cannot be read is skipped where losing it is safe.
protocol ListElement: Codable {
    /// Elements in one list.
    static var listCountMax: Int { get }
    /// What happens to an element that cannot be read, or is one too many.
    static var listPolicy: ListPolicy { get }
}

/// How strict a list is.
enum ListPolicy {
    /// An element that cannot be read is skipped; a list that is too long is refused.
    case skipMalformed
    /// Likewise, and what is beyond the bound is skipped too.
    case skipMalformedAndExcess
    /// Likewise, but a list of which nothing is left is refused: empty would mean something else.
    case keepSome
    /// An element that cannot be read spoils the list.
    case strict
}

extension ListElement {
    static var listCountMax: Int { ChannelLimits.words }
    static var listPolicy: ListPolicy { .skipMalformed }
}

extension Candidate: ListElement {
    static var listCountMax: Int { ChannelLimits.candidates }
    static var listPolicy: ListPolicy { .skipMalformedAndExcess }
}

extension Filter: ListElement {
    static var listCountMax: Int { ChannelLimits.filters }
    /// A list of filters that became empty would permit everything.
    static var listPolicy: ListPolicy { .keepSome }
}

extension IPAddress: ListElement {
    static var listCountMax: Int { ChannelLimits.addresses }
    static var listPolicy: ListPolicy { .strict }
}

extension IPPrefix: ListElement {
    static var listCountMax: Int { ChannelLimits.addresses }
    static var listPolicy: ListPolicy { .strict }
}

extension Identifier: ListElement {
    static var listCountMax: Int { ChannelLimits.identifiers }
    static var listPolicy: ListPolicy { .strict }
}

extension ProtocolVersion: ListElement {}
extension String: ListElement {
    static var listPolicy: ListPolicy { .strict }
}

/// Reads anything and keeps nothing: how an element is skipped.
private struct Skipped: Decodable {
    init(from decoder: any Decoder) {}
}

extension KeyedDecodingContainer {
    func decode<Element: ListElement>(_ type: [Element].Type, forKey key: Key) throws -> [Element] {
        try decodeList(of: Element.self, forKey: key, countMax: Element.listCountMax)
    }

    /// Reads a list whose bound is another than its elements' own.
    func decodeList<Element: ListElement>(
        of type: Element.Type,
        forKey key: Key,
        countMax: Int
    ) throws -> [Element] {
        let path = codingPath + [key]
        var list = try nestedUnkeyedContainer(forKey: key)
        var elements: [Element] = []
        var skippedCount = 0
        while !list.isAtEnd {
            if elements.count == countMax {
                if Element.listPolicy == .skipMalformedAndExcess { break }
                throw malformed("more than \(countMax) elements", path)
            }
            do {
                elements.append(try list.decode(Element.self))
            } catch  where Element.listPolicy != .strict {
                skippedCount += 1
                guard skippedCount <= ChannelLimits.entries else {
                    throw malformed("too long", path)
                }
                _ = try list.decode(Skipped.self)
            }
        }
        if Element.listPolicy == .keepSome, elements.isEmpty, skippedCount > 0 {
            throw malformed("none of the elements can be read", path)
        }
        return elements
    }

    func decodeIfPresent<Element: ListElement>(
        _ type: [Element].Type,
        forKey key: Key
    ) throws -> [Element]? {
        guard contains(key), try !decodeNil(forKey: key) else { return nil }
        return try decode(type, forKey: key)
    }
}

private func malformed(_ text: String, _ path: [any CodingKey]) -> DecodingError {
    .dataCorrupted(DecodingError.Context(codingPath: path, debugDescription: text))
}
