internal import Control
internal import Foundation
internal import HTTPTypes
internal import Policy
internal import Yams

/// Configuration files as text: YAML, or JSON, which is YAML too.
enum ConfigurationText {
    /// Bounds of a file.
    enum Limits {
        /// Sections and lists inside each other.
        static let depth = 16
        /// Values in one file, aliases counted each time.
        static let values = 2_000_000
    }

    /// One file.
    struct File: Codable, Equatable {
        /// For messages; empty where there is only one.
        var name: String
        var text: String
    }

    /// Reads files as one configuration; every problem with its place.
    static func read(_ files: [File]) throws -> Configuration {
        var documents: [Policy::Node] = []
        for file in files {
            guard let document = try parse(file) else { continue }
            documents.append(document)
        }
        return try Configuration(documents: documents)
    }

    private static func parse(_ file: File) throws(APIError) -> Policy::Node? {
        do {
            guard let root = try Yams.compose(yaml: file.text) else { return nil }
            var budget = Limits.values
            return try convert(root, file.name, depth: 0, &budget)
        } catch let error as APIError {
            throw error
        } catch let error as YamlError {
            throw problem(error, file.name)
        } catch {
            throw problem("The file cannot be read: \(error).", nil, file.name)
        }
    }

    private static func convert(
        _ node: Yams::Node,
        _ file: String,
        depth: Int,
        _ budget: inout Int
    ) throws(APIError) -> Policy::Node {
        budget -= 1
        guard depth <= Limits.depth, budget > 0 else {
            throw problem("The file nests too deep or is too large.", node.mark, file)
        }
        let place = place(node.mark, file)
        switch node {
        case .scalar(let scalar):
            let isNull = node.tag == Tag(.null) || node.null != nil && scalar.style == .plain
            return Policy::Node(isNull ? .null : .scalar(scalar.string), at: place)
        case .sequence(let sequence):
            var nodes: [Policy::Node] = []
            for element in sequence {
                nodes.append(try convert(element, file, depth: depth + 1, &budget))
            }
            return Policy::Node(.list(nodes), at: place)
        case .mapping(let mapping):
            var entries: [Policy::Node.Entry] = []
            for (key, value) in mapping {
                entries.append(
                    Policy::Node.Entry(
                        key: key.string ?? "",
                        place: self.place(key.mark, file),
                        value: try convert(value, file, depth: depth + 1, &budget)
                    )
                )
            }
            return Policy::Node(.map(entries), at: place)
        case .alias(let alias):
            throw problem("“*\(alias.anchor)” stands for nothing.", node.mark, file)
        }
    }

    private static func place(_ mark: Mark?, _ file: String) -> Policy::Node.Place {
        Policy::Node.Place(file: file, line: mark?.line ?? 0, column: mark?.column ?? 0)
    }

    private static func problem(_ sentence: String, _ mark: Mark?, _ file: String) -> APIError {
        let place = place(mark, file)
        let problem = APIError.Problem(
            file: file.isEmpty ? nil : file,
            line: place.line,
            column: place.column,
            sentence: sentence
        )
        let refusal = Refusal(.malformed, .mend, "\(place): \(sentence)")
        return APIError(.unprocessableContent, refusal, problems: [problem])
    }

    private static func problem(_ error: YamlError, _ file: String) -> APIError {
        switch error {
        case .scanner(_, let text, let mark, _), .parser(_, let text, let mark, _),
            .composer(_, let text, let mark, _):
            problem("The file is not YAML here: \(text).", mark, file)
        case .duplicatedKeysInMapping(let duplicates, let context):
            problem("“\(duplicates.first ?? "")” stands here twice; keep one.", context.mark, file)
        default: problem("The file is not YAML.", nil, file)
        }
    }
}
