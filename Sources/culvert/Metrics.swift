/// Prometheus text, a line at a time (exposition format 0.0.4).
struct MetricsText {
    private(set) var text = ""

    /// A value that only grows.
    mutating func counter(_ name: String, _ help: String, _ value: UInt64) {
        line(name + "_total", "counter", help, "\(value)")
    }

    /// A value that goes up and down.
    mutating func gauge(_ name: String, _ help: String, _ value: Int) {
        line(name, "gauge", help, "\(value)")
    }

    private mutating func line(_ name: String, _ kind: String, _ help: String, _ value: String) {
        text += "# HELP \(name) \(help)\n# TYPE \(name) \(kind)\n\(name) \(value)\n"
    }
}
