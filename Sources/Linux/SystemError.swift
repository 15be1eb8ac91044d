internal import CLinux
internal import Glibc

/// A system call failed.
public struct SystemError: Error, Equatable, Sendable, CustomStringConvertible {
    /// The call, and what it was for where that is not plain: `bind`, `open /dev/net/tun`.
    public let call: String
    /// The error number (errno).
    public let code: Int32

    public init(call: String, code: Int32) { (self.call, self.code) = (call, code) }

    /// The error of the call that has just failed on this thread.
    init(_ call: String) { self.init(call: call, code: errno) }

    public var description: String { "\(call): \(Self.text(of: code))" }

    /// The kernel's words for an error number.
    static func text(of code: Int32) -> String {
        unsafe strerror(code).map { unsafe String(cString: $0) } ?? "error \(code)"
    }

    /// Calls `body` again as long as a signal interrupts it; throws when it returns a negative
    /// value.
    @discardableResult
    static func check(_ call: String, _ body: () -> Int32) throws(SystemError) -> Int32 {
        while true {
            let result = body()
            if result >= 0 { return result }
            if errno != EINTR { throw SystemError(call) }
        }
    }
}
