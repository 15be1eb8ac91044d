/// Why a question to the kernel's routing tables failed.
public struct NetlinkError: Error, Equatable, Sendable, CustomStringConvertible {
    /// What was asked.
    public let request: String
    /// The error number (errno).
    public let code: Int32
    /// The kernel's own words; often empty.
    public let detail: String

    public init(request: String, code: Int32, detail: String = "") {
        (self.request, self.code, self.detail) = (request, code, detail)
    }

    init(_ error: SystemError) { self.init(request: error.call, code: error.code) }

    public var description: String {
        let words = SystemError.text(of: code)
        return "\(request): \(words)" + (detail.isEmpty ? "" : " (\(detail))")
    }
}
