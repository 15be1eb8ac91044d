import SimulatedWorld

/// Why the arguments cannot be used.
struct ArgumentError: Error {
    let sentence: String

    init(_ what: String) { sentence = "\(what)\nculvert-simulate --help says what can be." }
}

/// What the command line asks for.
struct Arguments {
    /// What to do.
    enum Task {
        /// Runs seeds.
        case seeds
        /// Runs seeds until each of these mistakes is found.
        case mistakes([Mistake])
        /// Prints the page of connectivity; writes it to a file, or compares a file with it.
        case connectivity(write: String?, check: String?)
        /// Prints what happens between two kinds of networks.
        case connect(client: String, gateway: String)
        /// Prints how to use the command.
        case help
    }

    static let help = """
        Runs the cores of client, gateway and relay, and the policy engine, in simulated worlds of
        NATs, loss, delay, roaming and crashes. Each world follows from its seed.

          culvert-simulate [--seeds N] [--from N] [--hours H] [--jobs N] [options]
              N worlds (50) from seed 1, H hours of virtual time each (0.25), so many side by side
              (2); says which seeds fail, with the end of their traces and how to run them again
          culvert-simulate --seed N --verbose …
              one world, with its whole trace
          culvert-simulate --mistake NAME|all
              makes a mistake on purpose, and says how soon it is found
          culvert-simulate --connectivity [--write FILE | --check FILE]
              the page of docs/connectivity.md: printed, written, or compared
          culvert-simulate --connect CLIENT GATEWAY
              the trace of one pair of networks of that page

        options
          --clean          links lose nothing, whatever the seed says
          --faultless      nothing happens but traffic
          --fault NAME     one kind of fault alone, in the middle of traffic and after a rest
          --every-fault    fails unless each kind of fault happened in some seed
          --known          what is known to go wrong is not left out
          --verbose        prints the traces

        faults: \(Fault.allCases.map(\.rawValue).joined(separator: " "))
        mistakes: \(Mistake.allCases.map(\.rawValue).joined(separator: " "))
        It ends with 0 when all is well, with 1 when something failed, with 2 for wrong arguments.
        """

    var task = Task.seeds
    var seeds: UInt64 = 50
    /// The first one.
    var from: UInt64 = 1
    /// One seed only.
    var seed: UInt64?
    /// Virtual hours of each; nil: as the task has it.
    var hours: Double?
    /// How many side by side.
    var jobs = 2
    var isClean = false
    var isFaultless = false
    var fault: Fault?
    var wantsEveryFault = false
    var withKnown = false
    var isVerbose = false

    init(_ words: [String]) throws(ArgumentError) {
        var rest = words[...]
        var (write, check): (String?, String?) = (nil, nil)
        while let word = rest.popFirst() {
            switch word {
            case "--help", "-h": task = .help
            case "--seeds": seeds = max(1, try Self.number(word, &rest))
            case "--from": from = try Self.number(word, &rest)
            case "--seed": seed = try Self.number(word, &rest)
            case "--jobs": jobs = max(1, Int(clamping: try Self.number(word, &rest)))
            case "--hours":
                guard let value = Double(try Self.text(word, &rest)), value > 0 else {
                    throw ArgumentError("--hours needs a number above 0.")
                }
                hours = value
            case "--clean": isClean = true
            case "--faultless": isFaultless = true
            case "--every-fault": wantsEveryFault = true
            case "--known": withKnown = true
            case "--verbose": isVerbose = true
            case "--fault": fault = try Self.choice(word, &rest, Fault.allCases)
            case "--mistake":
                let isAll = rest.first == "all"
                task = .mistakes(
                    isAll ? Mistake.allCases : [try Self.choice(word, &rest, Mistake.allCases)]
                )
                if isAll { rest.removeFirst() }
            case "--connectivity": task = .connectivity(write: nil, check: nil)
            case "--write": write = try Self.text(word, &rest)
            case "--check": check = try Self.text(word, &rest)
            case "--connect":
                let client = try Self.text(word, &rest)
                task = .connect(client: client, gateway: try Self.text(word, &rest))
            default: throw ArgumentError("“\(word)” is not known.")
            }
        }
        if case .connectivity = task { task = .connectivity(write: write, check: check) }
    }

    private static func text(
        _ word: String,
        _ rest: inout ArraySlice<String>
    ) throws(ArgumentError) -> String {
        guard let text = rest.popFirst() else { throw ArgumentError("\(word) needs more.") }
        return text
    }

    private static func number(
        _ word: String,
        _ rest: inout ArraySlice<String>
    ) throws(ArgumentError) -> UInt64 {
        guard let value = UInt64(try text(word, &rest)) else {
            throw ArgumentError("\(word) needs a whole number.")
        }
        return value
    }

    private static func choice<Choice: RawRepresentable<String>>(
        _ word: String,
        _ rest: inout ArraySlice<String>,
        _ all: [Choice]
    ) throws(ArgumentError) -> Choice {
        let name = try text(word, &rest)
        guard let choice = all.first(where: { $0.rawValue == name }) else {
            let names = all.map(\.rawValue).joined(separator: ", ")
            throw ArgumentError("\(word) needs one of \(names).")
        }
        return choice
    }
}
