internal import DNS
internal import Control
internal import IP

/// How the words of a configuration file are understood, and what is said of those that are not.
enum Parse {
    typealias Outcome<Value> = Result<Value, Complaint>

    static func resourceAddress(_ word: String) -> Outcome<ResourceAddress> {
        do {
            return .success(try ResourceAddress(parsing: word))
        } catch {
            return .failure(Complaint(error.sentence))
        }
    }

    static func name(_ word: String) -> Outcome<String> {
        do {
            return .success(try ResourceAddress.canonicalName(word))
        } catch {
            return .failure(Complaint(error.sentence))
        }
    }

    static func filter(_ word: String) -> Outcome<Filter> {
        do {
            return .success(try Filter(parsing: word))
        } catch {
            return .failure(Complaint(error.sentence + "."))
        }
    }

    static func prefix(_ word: String) -> Outcome<IPPrefix> {
        guard let prefix = IPPrefix(word) else {
            return .failure(
                Complaint("“\(word)” is not a network; write one such as 203.0.113.0/24.")
            )
        }
        let written = word.prefix { $0 != "/" }
        if IPAddress(String(written)) != prefix.address {
            return .failure(Complaint(AddressError.hostBits(prefix.description).sentence))
        }
        return .success(prefix)
    }

    static func address(_ word: String) -> Outcome<IPAddress> {
        value(word, IPAddress(word), "an IP address")
    }

    static func family(_ word: String) -> Outcome<ServedFamilies> {
        value(word, ServedFamilies(rawValue: word), "a family; write both, ipv4 or ipv6")
    }

    static func country(_ word: String) -> Outcome<String> {
        let upper = word.uppercased()
        let isCountry = upper.utf8.count == 2 && upper.utf8.allSatisfy { (65...90).contains($0) }
        return value(word, isCountry ? upper : nil, "a country; write its two letters, such as NL")
    }

    static func boolean(_ word: String) -> Outcome<Bool> {
        value(word, word == "true" ? true : word == "false" ? false : nil, "true or false")
    }

    static func upstream(_ word: String) -> Outcome<String> {
        Upstream(word) == nil
            ? .failure(Complaint(ChangeError.Problem.badUpstream(word).sentence)) : .success(word)
    }

    static func relayAddress(
        _ word: String,
        _ transport: RelayAddress.Transport
    ) -> Outcome<RelayAddress> {
        value(
            word,
            RelayAddress(word, over: transport),
            "a relay's address; write such as turn.example.com:\(transport.port)"
        )
    }

    static func weekdays(_ word: String) -> Outcome<Weekdays> {
        value(word, Weekdays(word), "a day or range of days; write such as mon-fri, sun")
    }

    static func timeRange(_ word: String) -> Outcome<Hours.TimeRange> {
        value(word, Hours.TimeRange(word), "a range of times; write such as 08:00-18:30")
    }

    static func time(_ word: String) -> Outcome<WallTime> {
        value(word, WallTime(word), "a time; write such as 2026-06-01T09:00:00+02:00")
    }

    static func version(_ word: String) -> Outcome<SoftwareVersion> {
        value(word, SoftwareVersion(word), "a version; write such as 1.1")
    }

    static func requirement(_ word: String) -> Outcome<VersionRequirement> {
        value(word, VersionRequirement(word), "a requirement of a version; write such as >=1.1")
    }

    static func destination(_ word: String) -> Outcome<Destination> {
        value(word, Destination(word), "a destination; write such as git.example.com:443")
    }

    static func expectation(_ word: String) -> Outcome<PolicyTest.Expectation> {
        value(word, PolicyTest.Expectation(rawValue: word), "allow or deny")
    }

    private static func value<Value>(
        _ word: String,
        _ value: Value?,
        _ wanted: String
    ) -> Outcome<Value> {
        value.map { .success($0) } ?? .failure(Complaint("“\(word)” is not \(wanted)."))
    }
}
