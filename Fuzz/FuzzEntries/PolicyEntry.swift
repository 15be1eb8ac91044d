internal import Control
internal import DNS
internal import IP
internal import Policy
internal import SansIO

/// Any text as a configuration file, or as one of the words in it. What can be read can be planned
/// or is refused in words, is then done, and reads the same when it was exported.
enum PolicyEntry {
    static func run(_ input: [UInt8]) {
        guard let choice = input.first else { return }
        let text = String(decoding: input.dropFirst(), as: UTF8.self)
        if choice & 3 == 0 { readWords(text) } else { readConfiguration(text) }
    }

    private static func readConfiguration(_ text: String) {
        let configuration: Configuration
        do {
            configuration = try Configuration(TreeText.parse(text))
        } catch {
            precondition(!error.problems.isEmpty, "refused without a reason")
            return
        }
        var directory = Directory(portal: PortalURL("https://portal.example.com"))
        var random = RandomSource(seed: 1)
        do {
            let plan = try directory.plan(to: configuration, using: &random)
            guard (try? directory.apply(contentsOf: plan.changes)) != nil else {
                preconditionFailure("a plan that cannot be done")
            }
            let again = try directory.plan(to: configuration, using: &random)
            precondition(again.isEmpty, "a plan that is never done")
        } catch {
            precondition(!error.sentence.isEmpty)
            return
        }
        export(directory)
        decide(in: directory)
    }

    /// The exported text says the same.
    private static func export(_ directory: Directory) {
        let exported = Configuration(exporting: directory)
        guard let again = try? Configuration(TreeText.parse(exported.node.yaml)) else {
            preconditionFailure("an export that cannot be read")
        }
        precondition(again == exported, "exported, it means something else")
        var random = RandomSource(seed: 2)
        let plan = try? directory.plan(to: exported, using: &random)
        precondition(plan?.isEmpty ?? false, "an export that would change something")
    }

    /// Everybody asks for everything.
    private static func decide(in directory: Directory) {
        var zones = ZoneOffsets()
        let now = WallTime(seconds: 1_800_000_000)
        for name in directory.zoneNames {
            let change = ZoneOffsets.Transition(at: now.advanced(by: 7_200), offsetSeconds: 7_200)
            zones[name] = ZoneOffsets.Zone(offsetSeconds: 3_600, transitions: [change])
        }
        let remote = IPAddress(ipv4: 0xcb00_7101)
        let context = Context(
            now: now,
            remote: remote,
            country: "NL",
            provider: nil,
            zones: zones
        )
        for actor in directory.actors {
            for resource in directory.resources {
                let device = Device()
                let decision = directory.decide(
                    actor: actor.id,
                    device: device,
                    resource: resource.id,
                    in: context
                )
                let words = directory.explain(
                    decision,
                    actor: actor,
                    device: device,
                    resource: resource.id,
                    in: context
                )
                precondition(!words.person.isEmpty && !words.administrator.isEmpty)
                if case .deny(let denial) = decision {
                    _ = directory.refusal(for: denial, words, at: now)
                }
            }
        }
        for test in directory.tests {
            _ = directory.outcome(of: test, now: now) { _ in zones }
        }
    }

    private static func readWords(_ text: String) {
        readAgain(text) { Destination($0) }
        readAgain(text) { Upstream($0) }
        readAgain(text) { SoftwareVersion($0) }
        readAgain(text) { VersionRequirement($0) }
        readAgain(text) { Weekdays($0) }
        readAgain(text) { Hours.TimeRange($0) }
        readAgain(text) { WallTime($0) }
        do {
            let address = try ResourceAddress(parsing: text)
            precondition((try? ResourceAddress(parsing: address.text)) == address)
        } catch {
            precondition(!error.sentence.isEmpty)
        }
    }

    private static func readAgain<Value: Equatable & CustomStringConvertible>(
        _ text: String,
        _ read: (String) -> Value?
    ) {
        guard let value = read(text) else { return }
        precondition(read(value.description) == value, "written, it means something else")
    }
}
