/// Prometheus text, a line at a time (exposition format 0.0.4).
struct MetricsText {
    private(set) var text = ""

    /// A value that only grows.
    mutating func counter(_ name: String, _ help: String, _ value: UInt64) {
        line(name + "_total", "counter", help, "\(value)")
    }

    /// The same value, which only grows, for each of a few words.
    mutating func counters(
        _ name: String,
        _ help: String,
        by label: String,
        _ values: [(String, UInt64)]
    ) {
        text += "# HELP \(name)_total \(help)\n# TYPE \(name)_total counter\n"
        for (word, value) in values { text += "\(name)_total{\(label)=\"\(word)\"} \(value)\n" }
    }

    /// A value that goes up and down.
    mutating func gauge(_ name: String, _ help: String, _ value: Int) {
        line(name, "gauge", help, "\(value)")
    }

    /// The same value for each of a few words.
    mutating func gauges(
        _ name: String,
        _ help: String,
        by label: String,
        _ values: [(String, Int)]
    ) {
        text += "# HELP \(name) \(help)\n# TYPE \(name) gauge\n"
        for (word, value) in values { text += "\(name){\(label)=\"\(word)\"} \(value)\n" }
    }

    private mutating func line(_ name: String, _ kind: String, _ help: String, _ value: String) {
        text += "# HELP \(name) \(help)\n# TYPE \(name) \(kind)\n\(name) \(value)\n"
    }
}
