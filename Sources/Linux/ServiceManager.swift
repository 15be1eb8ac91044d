internal import CLinux
internal import Glibc

/// The service manager that started this process, where that is systemd: it keeps descriptors
/// while a service is restarted (its file descriptor store).
public struct ServiceManager: Sendable {
    /// Bounds of what is asked.
    public enum Limits {
        /// How long systemctl may take.
        static var answer: Duration { .seconds(2) }
        /// How long the manager may take to read what it was told.
        public static var barrier: Duration { .seconds(5) }
        /// Descriptors that it may have kept.
        static var inherited: Int { DescriptorSet.Limits.descriptors }
    }

    private let path: String

    /// nil when the manager does not listen.
    ///
    /// - Parameter variable: A variable of the environment.
    public init?(_ variable: (String) -> String?) {
        guard let path = variable("NOTIFY_SOCKET"), path.hasPrefix("/") || path.hasPrefix("@")
        else { return nil }
        self.path = path
    }

    /// The manager of this process's environment.
    public static var host: ServiceManager? { ServiceManager(environment) }

    private static func environment(_ name: String) -> String? {
        unsafe getenv(name).map { unsafe String(cString: $0) }
    }

    /// What the manager kept for this process; nothing when it kept nothing. Descriptors are not
    /// inherited by programs that this process starts, nor taken a second time.
    public static func inherited() -> DescriptorSet {
        defer {
            for name in ["LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"] { _ = unsafe unsetenv(name) }
        }
        guard environment("LISTEN_PID") == "\(getpid())",
            let count = environment("LISTEN_FDS").flatMap({ Int32($0) }),
            (1...Int32(Limits.inherited)).contains(count)
        else { return DescriptorSet() }
        // SD_LISTEN_FDS_START.
        let descriptors = Array(3..<3 + count)
        for descriptor in descriptors { _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC) }
        return DescriptorSet(descriptors, names: environment("LISTEN_FDNAMES") ?? "")
    }

    /// Gives copies of the descriptors to the manager, and waits until it has them.
    ///
    /// - Parameter descriptors: All that the next start shall get.
    /// - Throws: ``SystemError`` when the manager is not there.
    public func store(_ descriptors: borrowing DescriptorSet) throws(SystemError) {
        for entry in descriptors.entries {
            // The manager would take a socket with an error pending for dead.
            try tell("FDSTORE=1\nFDPOLL=0\nFDNAME=\(entry.name)", [entry.raw])
        }
        try waitUntilRead()
    }

    /// The manager forgets what it keeps under these names.
    ///
    /// - Parameter names: Of descriptors.
    /// - Throws: ``SystemError`` when the manager is not there.
    public func forget(_ names: [String]) throws(SystemError) {
        for name in names { try tell("FDSTOREREMOVE=1\nFDNAME=\(name)", []) }
    }

    /// Gives one end of a pipe away, of which we keep none.
    private func hand(_ end: consuming FileDescriptor) throws(SystemError) {
        try tell("BARRIER=1", [end.raw])
    }

    private func tell(_ text: String, _ descriptors: [Int32]) throws(SystemError) {
        let socket = try FileDescriptor(localSocketTo: path, type: SOCK_DGRAM)
        try DescriptorMessage.send(text, descriptors, over: socket)
    }

    /// The manager closes its end of a pipe when it has read everything before.
    private func waitUntilRead() throws(SystemError) {
        var ends = InlineArray<2, Int32>(repeating: -1)
        try SystemError.check("pipe2") {
            unsafe withUnsafeMutableBytes(of: &ends) { bytes in
                unsafe culvert_pipe(bytes.baseAddress?.assumingMemoryBound(to: Int32.self))
            }
        }
        let near = FileDescriptor(taking: ends[0])
        try hand(FileDescriptor(taking: ends[1]))
        guard SuccessionSocket.wait(for: near, Limits.barrier) else {
            throw SystemError(call: "wait for the service manager", code: ETIMEDOUT)
        }
    }
}

// MARK: - Jobs

extension ServiceManager {
    /// Whether the manager is just restarting this process's service, and will give the next one
    /// what it keeps. What cannot be found out is no.
    public func isRestarting() -> Bool {
        guard let text = try? TextFile.read("/proc/self/cgroup"),
            let unit = Self.unit(in: String(decoding: text, as: UTF8.self)),
            let path = Subprocess.find("systemctl")
        else { return false }
        let ask = { (words: [String]) -> String in
            let outcome = try? Subprocess.run(path, words, timeout: Limits.answer)
            return outcome.map { $0.status == 0 ? $0.output : "" } ?? ""
        }
        let jobs = ask(["list-jobs", "--plain", "--no-legend", "--no-pager", unit])
        guard Self.hasRestart(of: unit, in: jobs) else { return false }
        let room = ask(["show", "--property=FileDescriptorStoreMax", "--value", unit])
        return Self.room(in: room) > 0
    }

    /// The service in lines of `/proc/self/cgroup`, such as `0::/system.slice/a.service`.
    static func unit(in text: String) -> String? {
        for line in text.split(separator: "\n") {
            for part in line.split(separator: "/").reversed() where part.hasSuffix(".service") {
                return String(part)
            }
        }
        return nil
    }

    /// Whether lines of `systemctl list-jobs` (number, unit, type, state) have a restart of `unit`.
    static func hasRestart(of unit: String, in text: String) -> Bool {
        text.split(separator: "\n").contains { line in
            let words = line.split(separator: " ")
            return words.count >= 3 && words[1] == unit && words[2] == "restart"
        }
    }

    private static func room(in text: String) -> Int {
        Int(text.filter(\.isNumber)) ?? 0
    }
}
