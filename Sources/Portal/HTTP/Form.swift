internal import Foundation
internal import Hummingbird
internal import NIOCore

/// The fields of a submitted form, or of a query.
struct Form: Sendable {
    /// Bounds of a form.
    enum Limits {
        /// Bytes of a form.
        static let byteCount = 1 << 18
    }

    private let fields: [String: String]

    init(_ fields: [String: String]) { self.fields = fields }

    /// Reads `application/x-www-form-urlencoded`; of repeated fields the last counts.
    init(encoded text: some StringProtocol) {
        var fields: [String: String] = [:]
        for pair in text.split(separator: "&") {
            let parts = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            fields[Self.plain(parts[0])] = parts.count == 2 ? Self.plain(parts[1]) : ""
        }
        self.fields = fields
    }

    /// The form in a request's body; too large a body is refused.
    static func read(_ request: Request) async throws -> Form {
        let body = try await request.body.collect(upTo: Limits.byteCount)
        return Form(encoded: String(buffer: body))
    }

    /// The query of a request.
    static func query(of request: Request) -> Form { Form(encoded: request.uri.query ?? "") }

    /// A field without white space around it; empty when it is missing.
    subscript(name: String) -> String {
        (fields[name] ?? "").trimmingCharacters(in: .whitespacesAndNewlines)
    }

    /// A field as it was sent, for passwords.
    func exact(_ name: String) -> String { fields[name] ?? "" }

    /// A field's words, separated by commas or white space.
    func list(_ name: String) -> [String] {
        self[name].split { $0 == "," || $0.isWhitespace }.map(String.init)
    }

    private static func plain(_ text: some StringProtocol) -> String {
        let spaced = String(text.map { $0 == "+" ? " " : $0 })
        return spaced.removingPercentEncoding ?? spaced
    }
}
