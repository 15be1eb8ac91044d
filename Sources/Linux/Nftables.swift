/// Why a table of nftables could not be set.
public enum NftablesError: Error, Equatable, Sendable, CustomStringConvertible {
    /// The program nft is not installed.
    case missing
    /// It refused; its words.
    case refused(String)
    /// It could not be run.
    case system(SystemError)

    public var description: String {
        switch self {
        case .missing:
            "The program nft was not found: it sets the firewall tables. Install the package "
                + "nftables."
        case .refused(let words):
            "nft refused the table: \(words)"
        case .system(let error):
            "nft could not be run. \(error)."
        }
    }
}

/// Loads tables by the program nft, whose scripts are atomic: all of it is set, or nothing.
public enum Nftables {
    enum Limits {
        /// How long a listing may take; long rulesets are slow.
        static var time: Duration { .seconds(10) }
    }

    /// Runs a script.
    public static func load(_ script: String) throws(NftablesError) {
        guard let path = Subprocess.find("nft") else { throw .missing }
        let outcome: Subprocess.Outcome
        do throws(SystemError) {
            outcome = try Subprocess.run(path, ["-f", "-"], input: script)
        } catch {
            throw .system(error)
        }
        guard outcome.status != 0 else { return }
        let words = outcome.output.split(separator: "\n").prefix(3).joined(separator: " ")
        throw .refused(words)
    }

    /// Lists without counts and without the elements of sets.
    ///
    /// - Parameter arguments: What follows `nft list`: `["chains"]`, `["table", "inet", "culvert"]`.
    /// - Returns: What nft prints; nil when there is nothing of that name.
    /// - Throws: ``NftablesError`` when nft is missing, cannot be run, or fails for another reason.
    static func list(_ arguments: [String]) throws(NftablesError) -> String? {
        guard let path = Subprocess.find("nft") else { throw .missing }
        let outcome: Subprocess.Outcome
        do throws(SystemError) {
            let words = ["--stateless", "--terse", "list"] + arguments
            outcome = try Subprocess.run(path, words, timeout: Limits.time)
        } catch {
            throw .system(error)
        }
        if outcome.status == 0 { return outcome.output }
        if outcome.output.contains("No such file or directory") { return nil }
        throw .refused(outcome.output.split(separator: "\n").prefix(3).joined(separator: " "))
    }

    /// The lines that remove a table whether it is there or not.
    static func removal(of table: String) -> String {
        "table inet \(table) {}\ndelete table inet \(table)\n"
    }
}
