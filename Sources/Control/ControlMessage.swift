/// One message of a control channel, in one direction.
public protocol ControlMessage: Codable, Hashable, Sendable {
    /// The word in `type`.
    var type: String { get }
}

enum TypeKey: String, CodingKey {
    case type
}

extension Decoder {
    /// The word in `type`.
    func messageType() throws -> String {
        try container(keyedBy: TypeKey.self).decode(String.self, forKey: .type)
    }
}

extension Encoder {
    /// Writes `type` beside what `payload` writes.
    func encode(type: String, _ payload: (any Encodable)?) throws {
        var container = container(keyedBy: TypeKey.self)
        try container.encode(type, forKey: .type)
        try payload?.encode(to: self)
    }
}
