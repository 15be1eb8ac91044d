internal import Foundation
internal import Glibc

/// A lab that stays up after the command that made it, until `down`.
public struct StandingLab: Codable, Sendable {
    /// A process and when it started, so that another one with its number is left alone.
    struct Member: Codable {
        let identifier: Int32
        let startTime: String
    }

    /// The network's name.
    public let name: String
    /// What `up` was given.
    public let topology: String
    /// Host titles and their namespaces.
    public let hosts: [String: String]
    private let members: [Member]
    private let folder: String

    private static let path = "/run/culvert-lab.json"

    /// Notes everything of `field` for later commands.
    ///
    /// - Throws: ``LabError`` when it cannot be written.
    public init(_ field: RunningField, topology: String) throws {
        let network = field.network.network
        name = network.name
        self.topology = topology
        hosts = network.namespaces
        folder = network.folder
        members = network.programs.compactMap { program in
            Self.startTime(of: program.identifier).map {
                Member(identifier: program.identifier, startTime: $0)
            }
        }
        try JSONEncoder().encode(self).write(to: URL(filePath: Self.path))
    }

    /// The lab that is up; nil when none is.
    public static var current: StandingLab? {
        FileManager.default.contents(atPath: path)
            .flatMap { try? JSONDecoder().decode(StandingLab.self, from: $0) }
    }

    /// Ends its processes and removes its namespaces and files.
    public func remove() {
        let living = members.filter { Self.startTime(of: $0.identifier) == $0.startTime }
        for member in living.reversed() { kill(member.identifier, SIGTERM) }
        _ = Lab.waits(seconds: 5) {
            living.allSatisfy { Self.startTime(of: $0.identifier) != $0.startTime }
        }
        for member in living where Self.startTime(of: member.identifier) == member.startTime {
            kill(member.identifier, SIGKILL)
        }
        Network.erase(hosts.values.sorted(), folder: folder)
        try? FileManager.default.removeItem(atPath: Self.path)
    }

    /// Field 22 of /proc/PID/stat; nil when the process is gone or only waits to be reaped.
    private static func startTime(of identifier: Int32) -> String? {
        guard let stat = try? String(contentsOfFile: "/proc/\(identifier)/stat", encoding: .utf8),
            let end = stat.lastIndex(of: ")")
        else { return nil }
        let fields = stat[stat.index(after: end)...].split(separator: " ")
        guard fields.count > 19, fields[0] != "Z" else { return nil }
        return String(fields[19])
    }
}
