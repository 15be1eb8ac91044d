internal import Control
internal import Foundation

/// Why something was not done: the same words on the control channel and in the API.
typealias Refusal = Control::Refusal

extension Refusal {
    /// The refusal as JSON, as it stands in the body of an HTTP answer.
    var json: String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return (try? encoder.encode(self)).map { String(decoding: $0, as: UTF8.self) } ?? "{}"
    }
}
