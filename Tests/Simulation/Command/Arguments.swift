/// Why the arguments cannot be used.
struct ArgumentError: Error {
    let sentence: String

    init(_ what: String) {
        sentence = """
            \(what)
            usage: culvert-simulate [--seeds N] [--from N] [--seed N] [--hours H] [--clean]
                [--known] [--verbose]
            """
    }
}

/// What the command line asks for.
struct Arguments {
    /// How many seeds.
    var seeds: UInt64 = 50
    /// The first one.
    var from: UInt64 = 1
    /// One seed only.
    var seed: UInt64?
    /// Virtual hours of each.
    var hours = 0.25
    /// Whether links lose nothing, whatever the seed says.
    var isClean = false
    /// Whether what is known to go wrong happens too.
    var withKnown = false
    /// Whether the trace is printed.
    var isVerbose = false

    init(_ words: [String]) throws(ArgumentError) {
        var rest = words[...]
        while let word = rest.popFirst() {
            switch word {
            case "--seeds": seeds = try Self.number(word, &rest)
            case "--from": from = try Self.number(word, &rest)
            case "--seed": seed = try Self.number(word, &rest)
            case "--hours":
                guard let text = rest.popFirst(), let value = Double(text), value > 0 else {
                    throw ArgumentError("--hours needs a number above 0.")
                }
                hours = value
            case "--clean": isClean = true
            case "--known": withKnown = true
            case "--verbose": isVerbose = true
            default: throw ArgumentError("“\(word)” is not known.")
            }
        }
    }

    private static func number(
        _ word: String,
        _ rest: inout ArraySlice<String>
    ) throws(ArgumentError) -> UInt64 {
        guard let text = rest.popFirst(), let value = UInt64(text) else {
            throw ArgumentError("\(word) needs a whole number.")
        }
        return value
    }

    /// The command that runs `seed` again, with its trace.
    func replay(_ seed: UInt64) -> String {
        let flags = (isClean ? " --clean" : "") + (withKnown ? " --known" : "")
        return "culvert-simulate --seed \(seed) --hours \(hours)\(flags) --verbose"
    }
}
