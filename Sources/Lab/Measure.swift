internal import Foundation

/// What benchmarks count and print.
enum Measure {
    /// Seconds that all processors were not idle, since the start.
    static func busySeconds() -> Double {
        let stat = (try? String(contentsOfFile: "/proc/stat", encoding: .utf8)) ?? ""
        let fields = stat.prefix { $0 != "\n" }.split(separator: " ").dropFirst().compactMap {
            Double($0)
        }
        guard fields.count >= 8 else { return 0 }
        return (fields[0] + fields[1] + fields[2] + fields[5] + fields[6] + fields[7]) / 100
    }

    /// The machine, for the last line of a table.
    static var machine: String {
        let info = (try? String(contentsOfFile: "/proc/cpuinfo", encoding: .utf8)) ?? ""
        let model =
            info.split(separator: "\n").first { $0.hasPrefix("model name") }
            .map { $0.drop { $0 != ":" }.dropFirst(2) } ?? "unknown processor"
        let system = (try? Lab.run(["uname", "-sr"]).output.trimmed) ?? ""
        let load = (try? String(contentsOfFile: "/proc/loadavg", encoding: .utf8))?.prefix(4) ?? "?"
        return "\(ProcessInfo.processInfo.processorCount) × \(model), \(system), load \(load)"
    }

    static func median(_ values: [Double]) -> Double { values.sorted()[values.count / 2] }
    static func text(_ value: Double) -> String { String(format: "%.2f", value) }

    /// User and system time of a process, in seconds.
    ///
    /// - Throws: ``LabError`` when it is gone.
    static func processorSeconds(of identifier: Int32) throws -> Double {
        let path = "/proc/\(identifier)/stat"
        guard let stat = try? String(contentsOfFile: path, encoding: .utf8),
            let end = stat.lastIndex(of: ")")
        else { throw LabError("Process \(identifier) is gone.") }
        let fields = stat[end...].split(separator: " ").dropFirst().map { Double($0) ?? 0 }
        return (fields[11] + fields[12]) / 100
    }
}
