import SimulatedWorld

/// Why the arguments cannot be used.
struct ArgumentError: Error {
    let sentence: String

    init(_ what: String) {
        sentence = """
            \(what)
            usage: culvert-simulate [--seeds N] [--from N] [--seed N] [--hours H] [--clean]
                [--known] [--verbose] [--fault NAME] [--jobs N]
                [--mistake skip-deadline|drop-permission-refresh|accept-stale-mapping]
               culvert-simulate --connectivity | --connect CLIENT GATEWAY
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
    /// Whether nothing happens but traffic.
    var isFaultless = false
    /// One kind of fault alone.
    var fault: Fault?
    /// A mistake that is made on purpose.
    var mistake: Mistake?
    /// How many seeds at a time.
    var jobs = 2
    /// Whether the table of connectivity is made, instead of everything else.
    var isConnectivity = false
    /// Two kinds of networks to be tried with each other.
    var pair: (client: String, gateway: String)?
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
            case "--faultless": isFaultless = true
            case "--verbose": isVerbose = true
            case "--jobs": jobs = max(1, Int(clamping: try Self.number(word, &rest)))
            case "--connectivity": isConnectivity = true
            case "--connect":
                guard let client = rest.popFirst(), let gateway = rest.popFirst() else {
                    throw ArgumentError("--connect needs two kinds of networks.")
                }
                pair = (client, gateway)
            case "--fault":
                guard let name = rest.popFirst(), let value = Fault(rawValue: name) else {
                    throw ArgumentError(
                        "--fault needs one of \(Fault.allCases.map(\.rawValue))."
                    )
                }
                fault = value
            case "--mistake":
                guard let name = rest.popFirst(), let value = Mistake(rawValue: name) else {
                    throw ArgumentError(
                        "--mistake needs one of \(Mistake.allCases.map(\.rawValue))."
                    )
                }
                mistake = value
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
        var flags = (isClean ? " --clean" : "") + (withKnown ? " --known" : "")
        if isFaultless { flags += " --faultless" }
        if let fault { flags += " --fault \(fault.rawValue)" }
        if let mistake { flags += " --mistake \(mistake.rawValue)" }
        return "culvert-simulate --seed \(seed) --hours \(hours)\(flags) --verbose"
    }
}
