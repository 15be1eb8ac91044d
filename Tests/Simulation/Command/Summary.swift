import SimulatedWorld

/// What all seeds together did.
struct Summary {
    private var passed = 0
    private(set) var failed = 0
    private var elapsed = Duration.zero
    private var probes = 0
    private var strictProbes = 0
    private var largeProbes = 0
    private var queries = 0
    private var siteAnswers = 0
    private var faults: [Fault: Int] = [:]
    private var datagrams = 0
    private var recoveries: [(label: String, longest: Duration, count: Int)] = []

    mutating func add(_ result: Simulation.Result) {
        if result.failure == nil { passed += 1 } else { failed += 1 }
        elapsed += result.elapsed
        probes += result.probes
        strictProbes += result.strictProbes
        largeProbes += result.largeProbes
        queries += result.queries
        siteAnswers += result.siteAnswers
        faults.merge(result.faults) { $0 + $1 }
        datagrams += result.datagrams
        for recovery in result.recoveries { add(recovery) }
    }

    private mutating func add(_ recovery: (label: String, longest: Duration, count: Int)) {
        guard let place = recoveries.firstIndex(where: { $0.label == recovery.label }) else {
            return recoveries.append(recovery)
        }
        recoveries[place].longest = max(recoveries[place].longest, recovery.longest)
        recoveries[place].count += recovery.count
    }

    /// Kinds of faults that happened in no seed.
    var missing: [Fault] { Fault.allCases.filter { faults[$0] == nil } }

    /// The figures; the last line is the verdict.
    func text(wall: Duration) -> String {
        let count = faults.values.reduce(0, +)
        var lines = [
            "\(probes) probes (\(strictProbes) judged strictly, \(largeProbes) in pieces), "
                + "\(queries) queries (\(siteAnswers) answered by the site), "
                + "\(count) faults, \(datagrams) datagrams"
        ]
        if count > 0 {
            let words = Fault.allCases.map { "\($0.rawValue) \(faults[$0] ?? 0)" }
            lines.append("faults: " + words.joined(separator: ", "))
        }
        lines.append("recovery, from the next packet on:")
        for recovery in recoveries.sorted(by: { $0.label < $1.label }) {
            let milliseconds = Int(recovery.longest / .milliseconds(1))
            lines.append("  \(recovery.label): \(recovery.count), \(milliseconds) ms at most")
        }
        let hours = elapsed / .seconds(3_600)
        let rate = hours / max(wall / .seconds(1), 0.001)
        lines.append("\(round(hours)) virtual hours in \(wall), \(round(rate)) each second")
        lines.append("\(passed) passed, \(failed) failed")
        return lines.joined(separator: "\n")
    }

    private func round(_ value: Double) -> Double { (value * 100).rounded() / 100 }
}
