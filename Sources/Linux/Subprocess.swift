internal import CLinux
internal import Glibc

/// Runs another program and waits for it; for programs that answer at once.
public enum Subprocess {
    enum Limits {
        /// Bytes kept of what the program says.
        static var outputByteCount: Int { 1 << 20 }
    }

    /// What came of it.
    public struct Outcome: Sendable, Equatable {
        /// The exit status; 128 + n after signal n.
        public let status: Int32
        /// Standard output and standard error, mixed.
        public let output: String
    }

    /// Where `program` is, among the places where administrators' programs are; nil if nowhere.
    public static func find(_ program: String) -> String? {
        if program.contains("/") { return program }
        return [
            "/usr/sbin/", "/sbin/", "/usr/bin/", "/bin/", "/usr/local/sbin/", "/usr/local/bin/",
        ]
        .map { $0 + program }
        .first { unsafe access($0, X_OK) == 0 }
    }

    /// Runs `path` with `input` at its standard input. It inherits the calling thread's network
    /// namespace and no descriptors.
    ///
    /// - Parameters:
    ///   - path: The program's file.
    ///   - arguments: What follows its name.
    ///   - input: What it reads.
    ///   - timeout: When it is killed; nil lets it take its time.
    /// - Returns: How it ended, and what it said.
    /// - Throws: ``SystemError`` when it cannot be started; `ETIMEDOUT` when it was killed.
    public static func run(
        _ path: String,
        _ arguments: [String],
        input: String = "",
        timeout: Duration? = nil
    ) throws(SystemError) -> Outcome {
        // A file in memory: unlike a pipe it needs nobody to feed it while the output is read.
        let source = FileDescriptor(
            taking: try SystemError.check("memfd_create") {
                unsafe culvert_memory_file("input")
            }
        )
        try source.writeAll(Array(input.utf8))
        _ = lseek(source.raw, 0, SEEK_SET)
        var ends = InlineArray<2, Int32>(repeating: -1)
        try SystemError.check("pipe2") {
            unsafe withUnsafeMutableBytes(of: &ends) { bytes in
                unsafe culvert_pipe(bytes.baseAddress?.assumingMemoryBound(to: Int32.self))
            }
        }
        let output = FileDescriptor(taking: ends[0])
        let child = try spawn(path, arguments, source.raw, FileDescriptor(taking: ends[1]))
        let text = output.readAll(byteCountMax: Limits.outputByteCount, within: timeout)
        if text == nil { _ = kill(child, SIGKILL) }
        var status: Int32 = 0
        while unsafe waitpid(child, &status, 0) < 0, errno == EINTR {}
        guard let text else { throw SystemError(call: "wait for \(path)", code: ETIMEDOUT) }
        let code = status & 0x7f == 0 ? status >> 8 & 0xff : 128 + status & 0x7f
        return Outcome(status: code, output: String(decoding: text, as: UTF8.self))
    }

    private static func spawn(
        _ path: String,
        _ arguments: [String],
        _ input: Int32,
        _ sink: consuming FileDescriptor
    ) throws(SystemError) -> pid_t {
        let output = sink.raw
        var actions = unsafe posix_spawn_file_actions_t()
        unsafe posix_spawn_file_actions_init(&actions)
        defer { unsafe posix_spawn_file_actions_destroy(&actions) }
        unsafe posix_spawn_file_actions_adddup2(&actions, input, 0)
        unsafe posix_spawn_file_actions_adddup2(&actions, output, 1)
        unsafe posix_spawn_file_actions_adddup2(&actions, output, 2)
        // Our threads may block signals; the program shall not inherit that.
        var attributes = posix_spawnattr_t()
        unsafe posix_spawnattr_init(&attributes)
        defer { unsafe posix_spawnattr_destroy(&attributes) }
        var none = sigset_t()
        unsafe sigemptyset(&none)
        unsafe posix_spawnattr_setsigmask(&attributes, &none)
        unsafe posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK))
        let words = Words([path] + arguments)
        let environment = Words(["PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C"])
        var child: pid_t = 0
        let code = unsafe posix_spawn(
            &child,
            path,
            &actions,
            &attributes,
            words.pointers,
            environment.pointers
        )
        guard code == 0 else { throw SystemError(call: "start \(path)", code: code) }
        return child
    }
}

/// Texts as C wants them: an array of pointers, the last of which is null.
@safe private struct Words: ~Copyable {
    let pointers: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>
    private let count: Int

    init(_ texts: [String]) {
        count = texts.count
        unsafe pointers = .allocate(capacity: count + 1)
        for (index, text) in texts.enumerated() { unsafe pointers[index] = strdup(text) }
        unsafe pointers[count] = nil
    }

    deinit {
        for index in 0..<count { unsafe free(pointers[index]) }
        unsafe pointers.deallocate()
    }
}
