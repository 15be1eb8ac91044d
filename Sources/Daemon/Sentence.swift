internal import Glibc

/// A failure as a person reads it: what happened, why, and what to do.
public struct Sentence: Error, CustomStringConvertible, Equatable, Sendable {
    /// How the command ends (interface page, section 2).
    public enum Exit: Int32, Sendable {
        case failed = 1
        case usedWrongly = 2
        case denied = 3
        case notConnected = 4
    }

    /// The sentence.
    public let description: String
    /// The exit code of a command that ends with it.
    public let exit: Exit

    public init(_ description: String, exit: Exit = .failed) {
        self.description = description
        self.exit = exit
    }
}

extension Sentence {
    /// The system's own word for an error number.
    public static func word(for errorNumber: Int32) -> String {
        unsafe String(cString: strerror(errorNumber))
    }
}
