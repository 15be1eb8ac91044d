internal import ArgumentParser
internal import Client
internal import Control
internal import Daemon
internal import Foundation
internal import IP
internal import Linux
internal import Logging

/// `culvert lab crowd`: many clients in one process, each the real core with a socket of its own
/// and a session with the portal, but no tunnel device.
struct CrowdCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "crowd",
        abstract: "Many clients that connect to a gateway and then have nothing to say.",
        shouldDisplay: false
    )

    @Option(help: "Files with client tokens; each serves up to 250 clients.")
    var tokenFile: [String]
    @Option(help: "How many clients.")
    var count = 1_000
    @Option(help: "The host's address, told as their candidate.")
    var address: String
    @Option(help: "What each sends one ping to; several with commas.")
    var target: String

    func run() async throws {
        let targets = target.split(separator: ",").map { IPAddress(String($0)) }
        guard let own = IPAddress(address), !targets.isEmpty,
            targets.allSatisfy({ $0?.isIPv4 == true })
        else {
            throw Sentence("--address and --target are IPv4 addresses.", exit: .usedWrongly)
        }
        let tokens = try tokenFile.map {
            try TokenFile.read($0, kind: .client, role: "client")
        }
        guard count <= tokens.count * 250 else {
            throw Sentence("\(count) clients need \((count + 249) / 250) tokens.")
        }
        _ = Kernel.raiseDescriptorLimit(to: 4 * count + 100)
        let crowd = Crowd(own: own, targets: targets.compactMap { $0 })
        for number in 0..<count { try crowd.add("crowd\(number)", tokens[number / 250]) }
        let report = DispatchSource.makeTimerSource(queue: crowd.queue)
        report.schedule(deadline: .now(), repeating: 1)
        report.setEventHandler {
            FileHandle.standardOutput.write(Data("\(crowd.summary)\n".utf8))
            crowd.askAgain()
        }
        report.resume()
        Interruption.wait()
        report.cancel()
    }
}
