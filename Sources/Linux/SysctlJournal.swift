/// Changes of settings, each with the value that it had before; kept in a file, so that what a
/// killed process has changed is put back as well.
///
/// Processes of one network namespace share the file: the last of them to end puts everything back.
public struct SysctlJournal: ~Copyable, Sendable {
    /// One change.
    struct Entry: Sendable, Equatable {
        let name: String
        let before: String
        /// What we set; nil for a setting that the kernel changes along with another one.
        let value: String?
        /// The setting that this one changed along with.
        var cause: String?
    }

    private let file: JournalFile?
    private var entries: [Entry] = []

    /// One that lives as long as the process only.
    public init() { file = nil }

    /// One that outlives the process.
    ///
    /// - Parameter folder: Where the file is, one for each network namespace; it must not outlive
    ///   the running kernel.
    /// - Throws: ``SystemError`` when the file cannot be made or read.
    public init(folder: String) throws(SystemError) {
        let file = try JournalFile(folder: folder)
        if file.isAlone {
            // What somebody has changed since then is not ours any more.
            let left = file.entries()
            let ours = left.filter { $0.value != nil && $0.value == (try? Sysctl.read($0.name)) }
            let names = ours.map(\.name)
            try file.replace(
                with: left.filter { ours.contains($0) || names.contains($0.cause ?? "") }
            )
        }
        file.share()
        self.file = file
    }

    /// Sets `name`, and remembers what it was; a value that it has already is no change.
    ///
    /// - Parameters:
    ///   - name: The setting.
    ///   - value: What it shall be.
    ///   - others: Settings that the kernel changes along with it.
    /// - Throws: ``SystemError`` when there is no such setting, or it may not be changed.
    public mutating func set(
        _ name: String,
        _ value: String,
        disturbing others: [String] = []
    ) throws(SystemError) {
        let before = try Sysctl.read(name)
        guard before != value else { return }
        for other in others {
            guard let before = try? Sysctl.read(other) else { continue }
            try note(Entry(name: other, before: before, value: nil, cause: name))
        }
        try note(Entry(name: name, before: before, value: value))
        try Sysctl.write(name, value)
    }

    /// Raises a number to at least `minimum`.
    public mutating func raise(_ name: String, to minimum: Int) throws(SystemError) {
        guard let value = Int(try Sysctl.read(name)), value < minimum else { return }
        try set(name, String(minimum))
    }

    /// Puts back what was changed, last first, where nobody has changed it since; nothing while
    /// another process needs it.
    public mutating func undo() {
        let all: [Entry]
        if let file {
            guard file.isLast() else { return }
            all = file.entries()
        } else {
            all = entries
        }
        var restored: [String] = []
        for entry in all.reversed() {
            guard let now = try? Sysctl.read(entry.name) else { continue }
            if let cause = entry.cause {
                if restored.contains(cause), now != entry.before {
                    try? Sysctl.write(entry.name, entry.before)
                }
            } else if now == entry.value {
                guard (try? Sysctl.write(entry.name, entry.before)) != nil else { continue }
                restored.append(entry.name)
            }
        }
        entries = []
        file?.remove()
    }

    /// Remembers an entry before the change is made.
    private mutating func note(_ entry: Entry) throws(SystemError) {
        if let file { try file.append(entry) } else { entries.append(entry) }
    }
}

extension SysctlJournal.Entry {
    /// One line of the file: name, value before, and `=` value or `<` cause, between tabs.
    var line: String {
        let last = value.map { "=" + $0 } ?? "<" + (cause ?? "")
        return [name, before.replacingTabs(), last.replacingTabs()].joined(separator: "\t") + "\n"
    }

    init?(line: Substring) {
        let parts = line.split(separator: "\t", omittingEmptySubsequences: false).map(String.init)
        guard parts.count == 3, let sign = parts[2].first else { return nil }
        let rest = String(parts[2].dropFirst())
        switch sign {
        case "=": self.init(name: parts[0], before: parts[1], value: rest)
        case "<": self.init(name: parts[0], before: parts[1], value: nil, cause: rest)
        default: return nil
        }
    }
}

extension String {
    /// With blanks for tabs, which the kernel takes as well.
    fileprivate func replacingTabs() -> String { String(map { $0 == "\t" ? " " : $0 }) }
}
