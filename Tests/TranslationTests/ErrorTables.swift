import Testing

/// One type and code, and what it becomes; nil when it is dropped.
struct ErrorCase: CustomTestStringConvertible, Sendable {
    struct Expected: Sendable {
        let type: UInt8
        let code: UInt8
        let word: UInt32
    }

    let type: UInt8
    let code: UInt8
    let word: UInt32
    let expected: Expected?

    var testDescription: String { "type \(type) code \(code) word \(word)" }

    static func dropped(_ type: UInt8, _ code: UInt8, word: UInt32 = 0) -> ErrorCase {
        ErrorCase(type: type, code: code, word: word, expected: nil)
    }

    /// What the error becomes.
    func becomes(_ type: UInt8, _ code: UInt8, _ word: UInt32 = 0) -> ErrorCase {
        let expected = Expected(type: type, code: code, word: word)
        return ErrorCase(type: self.type, code: self.code, word: self.word, expected: expected)
    }
}

/// The tables of RFC 7915, written down once more.
enum ErrorTables {
    /// 4.2.
    static var toIPv6: [ErrorCase] {
        var cases: [ErrorCase] = []
        for code in UInt8.min...UInt8.max { cases.append(unreachable4(code)) }
        for code: UInt8 in 0...3 { cases += [.dropped(4, code), .dropped(5, code)] }
        for code: UInt8 in 0...1 { cases.append(.dropped(11, code).becomes(3, code)) }
        for pointer in UInt8.min...UInt8.max {
            for code: UInt8 in [0, 2] { cases.append(problem4(code, pointer)) }
        }
        for code: UInt8 in [1, 3, 255] { cases.append(.dropped(12, code)) }
        return cases
    }

    private static func unreachable4(_ code: UInt8) -> ErrorCase {
        let dropped = ErrorCase.dropped(3, code)
        switch code {
        case 0, 1, 5, 6, 7, 8, 11, 12: return dropped.becomes(1, 0)
        case 2: return dropped.becomes(4, 1, 6)
        case 3: return dropped.becomes(1, 4)
        case 4: return ErrorCase.dropped(3, 4, word: 1_400).becomes(2, 0, 1_420)
        case 9, 10, 13, 15: return dropped.becomes(1, 1)
        default: return dropped
        }
    }

    private static func problem4(_ code: UInt8, _ pointer: UInt8) -> ErrorCase {
        let dropped = ErrorCase.dropped(12, code, word: UInt32(pointer) << 24)
        switch pointer {
        case 0, 1: return dropped.becomes(4, 0, UInt32(pointer))
        case 2, 3: return dropped.becomes(4, 0, 4)
        case 8: return dropped.becomes(4, 0, 7)
        case 9: return dropped.becomes(4, 0, 6)
        case 12...15: return dropped.becomes(4, 0, 8)
        case 16...19: return dropped.becomes(4, 0, 24)
        default: return dropped
        }
    }

    /// 5.2.
    static var toIPv4: [ErrorCase] {
        var cases: [ErrorCase] = []
        for code in UInt8.min...UInt8.max { cases.append(unreachable6(code)) }
        for code: UInt8 in [0, 7] {
            cases.append(ErrorCase.dropped(2, code, word: 1_400).becomes(3, 4, 1_380))
        }
        for code: UInt8 in 0...1 { cases.append(.dropped(3, code).becomes(11, code)) }
        for pointer in UInt32(0)...50 { cases.append(problem6(pointer)) }
        for pointer: UInt32 in [300, 1 << 24, .max] { cases.append(problem6(pointer)) }
        cases.append(.dropped(4, 1).becomes(3, 2))
        for code: UInt8 in [2, 3, 255] { cases.append(.dropped(4, code)) }
        for type: UInt8 in [0, 5, 100, 101, 127, 137] { cases.append(.dropped(type, 0)) }
        return cases
    }

    private static func unreachable6(_ code: UInt8) -> ErrorCase {
        let dropped = ErrorCase.dropped(1, code)
        switch code {
        case 0, 2, 3: return dropped.becomes(3, 1)
        case 1: return dropped.becomes(3, 10)
        case 4: return dropped.becomes(3, 3)
        default: return dropped
        }
    }

    private static func problem6(_ pointer: UInt32) -> ErrorCase {
        let dropped = ErrorCase.dropped(4, 0, word: pointer)
        switch pointer {
        case 0, 1: return dropped.becomes(12, 0, pointer << 24)
        case 4, 5: return dropped.becomes(12, 0, 2 << 24)
        case 6: return dropped.becomes(12, 0, 9 << 24)
        case 7: return dropped.becomes(12, 0, 8 << 24)
        case 8...23: return dropped.becomes(12, 0, 12 << 24)
        case 24...39: return dropped.becomes(12, 0, 16 << 24)
        default: return dropped
        }
    }
}
