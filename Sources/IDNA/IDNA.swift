internal import CIDN2

/// # IDNA
///
/// Turns names and patterns as people write them into the form that DNS carries: A-labels by
/// IDNA2008 after the mapping of UTS #46, non-transitional, as libidn2 does it. It knows nothing of
/// what is a name, a pattern or an address beyond that; labels in ASCII pass as they are.
public enum IDNA {
    /// `text` with every label that is not ASCII turned to its A-label.
    ///
    /// Labels are turned one by one, so that a pattern's wildcards stay what they are; the three
    /// other full stops of UTS #46 count as dots.
    /// - Throws: ``IDNAError``, which names the label.
    public static func ascii(_ text: String) throws(IDNAError) -> String {
        guard !text.utf8.allSatisfy({ $0 < 128 }) else { return text }
        var labels: [String] = []
        let scalars = text.unicodeScalars
        for label in scalars.split(omittingEmptySubsequences: false, whereSeparator: isDot) {
            labels.append(try aLabel(String(label)))
        }
        return labels.joined(separator: ".")
    }

    /// UTS #46 section 4: what is mapped to a full stop.
    private static func isDot(_ scalar: Unicode.Scalar) -> Bool {
        [0x2e, 0x3002, 0xff0e, 0xff61].contains(scalar.value)
    }

    /// What UTS #46 disallows with the rules of STD3, because it holds an ASCII sign, and libidn2
    /// lets pass; also in its decomposed form.
    private static let unfit: [Character] = ["≠", "≮", "≯"]

    private static func aLabel(_ label: String) throws(IDNAError) -> String {
        if label.utf8.allSatisfy({ $0 < 128 }) { return label }
        if label.contains(where: { $0 == "*" || $0 == "?" }) {
            throw IDNAError(label: label, reason: .wildcard)
        }
        if label.contains(where: { Self.unfit.contains($0) }) {
            throw IDNAError(label: label, reason: .disallowed)
        }
        var found: UnsafeMutablePointer<UInt8>?
        let flags = Int32(
            IDN2_NFC_INPUT.rawValue | IDN2_NONTRANSITIONAL.rawValue
                | IDN2_USE_STD3_ASCII_RULES.rawValue
        )
        let code = unsafe idn2_lookup_u8(Array(label.utf8) + [0], &found, flags)
        guard code == IDN2_OK.rawValue, let start = unsafe found else {
            throw IDNAError(label: label, reason: .init(code))
        }
        defer { unsafe idn2_free(start) }
        let result = unsafe String(cString: start)
        // A mapping may end in ASCII that means something else here, such as a full-width asterisk.
        guard !result.isEmpty, result.utf8.allSatisfy(isLetterDigitOrHyphen) else {
            throw IDNAError(label: label, reason: .disallowed)
        }
        return result
    }

    private static func isLetterDigitOrHyphen(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "0")...UInt8(ascii: "9"),
            UInt8(ascii: "-"):
            true
        default: false
        }
    }
}

/// Which label has no form in DNS, and why.
public struct IDNAError: Error, Hashable, Sendable {
    /// Why.
    public enum Reason: Hashable, Sendable {
        /// A wildcard beside letters that only exist together as one A-label.
        case wildcard
        /// A character that names cannot have (RFC 5892).
        case disallowed
        /// A character that needs certain neighbours (RFC 5892 appendix A).
        case context
        /// Letters of both directions, where they cannot be (RFC 5893).
        case direction
        /// A combining mark comes first.
        case combining
        /// A hyphen first or last, or two in the third and fourth place.
        case hyphen
        /// More than 63 characters as A-label.
        case tooLong
        /// Anything else, by libidn2's number.
        case other(Int32)

        init(_ code: Int32) {
            self =
                switch code {
                case IDN2_DISALLOWED.rawValue, IDN2_UNASSIGNED.rawValue, IDN2_DOT_IN_LABEL.rawValue,
                    IDN2_INVALID_TRANSITIONAL.rawValue, IDN2_INVALID_NONTRANSITIONAL.rawValue:
                    .disallowed
                case IDN2_CONTEXTJ.rawValue, IDN2_CONTEXTJ_NO_RULE.rawValue,
                    IDN2_CONTEXTO.rawValue, IDN2_CONTEXTO_NO_RULE.rawValue:
                    .context
                case IDN2_BIDI.rawValue: .direction
                case IDN2_LEADING_COMBINING.rawValue: .combining
                case IDN2_2HYPHEN.rawValue, IDN2_HYPHEN_STARTEND.rawValue: .hyphen
                case IDN2_TOO_BIG_LABEL.rawValue, IDN2_TOO_BIG_DOMAIN.rawValue,
                    IDN2_PUNYCODE_BIG_OUTPUT.rawValue, IDN2_PUNYCODE_OVERFLOW.rawValue:
                    .tooLong
                default: .other(code)
                }
        }
    }

    /// The label, as it was written.
    public let label: String
    /// What is wrong with it.
    public let reason: Reason

    /// What is wrong, as half a sentence.
    public var words: String {
        switch reason {
        case .wildcard:
            "“*” and “?” cannot stand in a part with international letters; write the wildcard "
                + "as a part of its own"
        case .disallowed:
            "it has a character that names cannot have; a name that exists all the same is "
                + "written in its xn-- form"
        case .context: "it has a character that cannot stand in such a place"
        case .direction: "it mixes letters that are written in different directions"
        case .combining: "it begins with a combining mark"
        case .hyphen: "it has a hyphen where none can be"
        case .tooLong: "it has more than 63 characters in its xn-- form"
        case .other(let code):
            unsafe String(cString: idn2_strerror(code))
        }
    }
}
