/// A piece of a configuration file, with its place: what the edge makes of YAML or JSON.
public struct Node: Hashable, Sendable {
    /// What it is.
    public enum Content: Hashable, Sendable {
        /// Nothing.
        case null
        /// Text, as it was written; also numbers, booleans and times.
        case scalar(String)
        case list([Node])
        /// In the order of the file.
        case map([Entry])
    }

    /// A key with its value.
    public struct Entry: Hashable, Sendable {
        public let key: String
        /// Where the key is.
        public let place: Place
        public let value: Node

        public init(key: String, place: Place = Place(), value: Node) {
            (self.key, self.place, self.value) = (key, place, value)
        }
    }

    /// A place in a file.
    public struct Place: Hashable, Sendable {
        /// The file's name; empty where there is only one.
        public let file: String
        /// Counted from 1; 0 means unknown.
        public let line: Int
        /// Counted from 1.
        public let column: Int

        public init(file: String = "", line: Int = 0, column: Int = 0) {
            (self.file, self.line, self.column) = (file, line, column)
        }
    }

    public let content: Content
    public let place: Place

    public init(_ content: Content, at place: Place = Place()) {
        (self.content, self.place) = (content, place)
    }

    /// What it is, for a sentence.
    var kind: String {
        switch content {
        case .null: "nothing"
        case .scalar: "a word"
        case .list: "a list"
        case .map: "a section"
        }
    }
}

extension Node.Place: CustomStringConvertible {
    /// `culvert.yaml:3:5`, or `line 3, column 5`.
    public var description: String {
        file.isEmpty ? "line \(line), column \(column)" : "\(file):\(line):\(column)"
    }
}

extension Node.Place: Comparable {
    public static func < (lhs: Self, rhs: Self) -> Bool {
        (lhs.file, lhs.line, lhs.column) < (rhs.file, rhs.line, rhs.column)
    }
}
