import Control
import Foundation
import Testing

/// The messages under `Samples`: one JSON file each, in a folder for each direction.
enum Samples {
    struct Sample: CustomTestStringConvertible, Sendable {
        let folder: String
        let name: String
        let text: String
        var testDescription: String { "\(folder)/\(name)" }
    }

    static let root = URL(filePath: #filePath).deletingLastPathComponent().appending(
        path: "Samples"
    )

    static let all: [Sample] = ["from-role", "to-client", "to-gateway", "to-relay"].flatMap(
        inFolder
    )

    static func inFolder(_ folder: String) -> [Sample] {
        let files =
            (try? FileManager.default.contentsOfDirectory(
                at: root.appending(path: folder),
                includingPropertiesForKeys: nil
            )) ?? []
        return files.filter { $0.pathExtension == "json" }.sorted { $0.path < $1.path }.map {
            file in
            Sample(
                folder: folder,
                name: file.deletingPathExtension().lastPathComponent,
                text: (try? String(contentsOf: file, encoding: .utf8)) ?? ""
            )
        }
    }

    static func named(_ path: String) -> String {
        (try? String(contentsOf: root.appending(path: path + ".json"), encoding: .utf8)) ?? ""
    }
}

/// Reads and writes messages as the edges do.
enum JSON {
    static func decode<Value: Decodable>(_ type: Value.Type, _ text: String) throws -> Value {
        try JSONDecoder().decode(type, from: Data(text.utf8))
    }

    /// A message of the direction that `folder` names.
    static func message(_ text: String, in folder: String) throws -> any ControlMessage {
        switch folder {
        case "from-role": try decode(FromRole.self, text)
        case "to-client": try decode(ToClient.self, text)
        case "to-gateway": try decode(ToGateway.self, text)
        default: try decode(ToRelay.self, text)
        }
    }

    static func encode(_ value: some Encodable) throws -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return String(decoding: try encoder.encode(value), as: UTF8.self)
    }

    static func tree(_ text: String) throws -> Any {
        try JSONSerialization.jsonObject(with: Data(text.utf8), options: .fragmentsAllowed)
    }

    static func text(_ tree: Any) throws -> String {
        let data = try JSONSerialization.data(
            withJSONObject: tree,
            options: [.sortedKeys, .withoutEscapingSlashes, .fragmentsAllowed]
        )
        return String(decoding: data, as: UTF8.self)
    }

    /// The same tree with its objects changed by `change`, innermost first.
    static func mapObjects(_ tree: Any, _ change: ([String: Any]) -> [String: Any]) -> Any {
        if let object = tree as? [String: Any] {
            return change(object.mapValues { mapObjects($0, change) })
        }
        if let list = tree as? [Any] { return list.map { mapObjects($0, change) } }
        return tree
    }
}
