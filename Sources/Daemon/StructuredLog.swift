internal import Foundation
internal import Glibc
public import Logging

/// One line an event on standard error, as `key=value` words or as JSON.
public struct StructuredLog: LogHandler {
    /// How a line looks.
    public enum Format: String, Sendable, CaseIterable {
        case text, json
    }

    private let format: Format
    private let label: String
    public var metadata: Logger.Metadata = [:]
    public var logLevel: Logger.Level

    public init(label: String, format: Format, level: Logger.Level) {
        self.label = label
        self.format = format
        logLevel = level
    }

    public subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    public func log(event: LogEvent) {
        let fields = metadata.merging(event.metadata ?? [:]) { $1 }
            .sorted { $0.key < $1.key }
        let time = Date.now.formatted(.iso8601.time(includingFractionalSeconds: true))
        let line: String
        switch format {
        case .text:
            let words = fields.map { " \($0.key)=\(Self.quoted("\($0.value)"))" }.joined()
            line = "\(time) \(event.level) \(label): \(event.message)\(words)\n"
        case .json:
            var object = ["time": time, "level": "\(event.level)", "role": label]
            object["message"] = "\(event.message)"
            for field in fields { object[field.key] = "\(field.value)" }
            let encoder = JSONEncoder()
            encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
            line = String(decoding: (try? encoder.encode(object)) ?? Data(), as: UTF8.self) + "\n"
        }
        var bytes = Array(line.utf8)
        _ = unsafe bytes.withUnsafeMutableBytes { unsafe write(2, $0.baseAddress, $0.count) }
    }

    /// A value with blanks, quotes or control characters stands in quotes: a line stays one.
    ///
    /// - Parameter value: Anything.
    /// - Returns: How it stands in a line of `key=value` words.
    public static func quoted(_ value: String) -> String {
        let plain = value.unicodeScalars.allSatisfy { $0.value > 32 && $0 != "\"" && $0 != "=" }
        return plain && !value.isEmpty ? value : value.debugDescription
    }
}
