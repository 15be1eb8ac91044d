internal import Dispatch
internal import Foundation
internal import Glibc

/// Why a lab could not do what it was asked.
public struct LabError: Error, CustomStringConvertible {
    /// What, why, and the command's own words where there were any.
    public let description: String
    public init(_ description: String) { self.description = description }
}

/// What a command came to.
public struct Outcome: Sendable {
    /// Its exit code; 128 and more for a signal, 124 when it ran out of time.
    public let code: Int32
    /// Standard output and standard error, as they came.
    public let output: String
    /// How long it took, in seconds.
    public let seconds: Double
}

/// A program that runs until it is ended.
public final class Running: @unchecked Sendable {
    /// What it is, for messages.
    public let title: String
    /// Where its output goes.
    public let logPath: String
    private let process: Process
    private let ended = DispatchSemaphore(value: 0)

    /// Starts `words`; its output goes to `logPath`.
    public init(title: String, words: [String], logPath: String, directory: String? = nil) throws {
        self.title = title
        self.logPath = logPath
        process = Process()
        process.executableURL = URL(filePath: "/usr/bin/env")
        process.arguments = words
        if let directory { process.currentDirectoryURL = URL(filePath: directory) }
        _ = FileManager.default.createFile(atPath: logPath, contents: nil)
        guard let log = FileHandle(forWritingAtPath: logPath) else {
            throw LabError("\(logPath) cannot be written.")
        }
        log.seekToEndOfFile()
        process.standardInput = FileHandle.nullDevice
        process.standardOutput = log
        process.standardError = log
        let ended = ended
        process.terminationHandler = { _ in ended.signal() }
        try Lab.spawn(process)
        // Foundation keeps the process, and this with it, for as long as the program lives.
        try log.close()
    }

    /// Its process id.
    public var identifier: Int32 { process.processIdentifier }
    /// Whether it runs.
    public var isRunning: Bool { process.isRunning }
    /// What it has printed.
    public var output: String {
        String(decoding: FileManager.default.contents(atPath: logPath) ?? Data(), as: UTF8.self)
    }
    /// The exit code once it ended; 128 and more for a signal; -1 while it runs.
    public var code: Int32 {
        guard !process.isRunning else { return -1 }
        return process.terminationStatus + (process.terminationReason == .uncaughtSignal ? 128 : 0)
    }

    /// What it holds in memory, in KiB.
    ///
    /// - Throws: ``LabError`` when it is gone.
    func residentKilobytes() throws -> Int {
        let path = "/proc/\(identifier)/status"
        let status = (try? String(contentsOfFile: path, encoding: .utf8)) ?? ""
        let line = status.split(separator: "\n").first { $0.hasPrefix("VmRSS:") }
        let words = line?.split(whereSeparator: \.isWhitespace) ?? []
        guard words.count == 3, let value = Int(words[1]) else {
            throw LabError("\(title) is gone. It said:\n\(output.suffix(1_000))")
        }
        return value
    }

    /// Waits for the end.
    ///
    /// - Returns: Whether it ended within `seconds`.
    @discardableResult
    public func wait(seconds: Double) -> Bool {
        guard ended.wait(timeout: .now() + seconds) == .success else { return false }
        ended.signal()
        return true
    }

    /// Sends `signal` to it.
    public func send(_ signal: Int32) { if process.isRunning { kill(identifier, signal) } }

    /// Asks it to end, and ends it after `seconds`.
    public func stop(seconds: Double = 5) {
        send(SIGTERM)
        if !wait(seconds: seconds) {
            send(SIGKILL)
            wait(seconds: 5)
        }
    }

    /// Waits until it has printed `text`.
    ///
    /// - Throws: ``LabError`` with its output when it ends first or the time is over.
    public func waitForOutput(_ text: String, seconds: Double = 20) throws {
        let seen = Lab.waits(seconds: seconds) { output.contains(text) || !isRunning }
        guard seen, output.contains(text) else {
            throw LabError(
                "\(title) did not say \(text.debugDescription) within \(seconds) s. It said:\n"
                    + String(output.suffix(4_000))
            )
        }
    }
}

/// Small tools that everything in the lab uses.
public enum Lab {
    /// Runs `words` to the end.
    @discardableResult
    public static func run(
        _ words: [String],
        input: String? = nil,
        seconds: Double = 30,
        directory: String? = nil
    ) throws -> Outcome {
        let process = Process()
        process.executableURL = URL(filePath: "/usr/bin/env")
        process.arguments = words
        if let directory { process.currentDirectoryURL = URL(filePath: directory) }
        let path = FileManager.default.temporaryDirectory
            .appending(path: "culvert-lab-\(UUID().uuidString)").path()
        _ = FileManager.default.createFile(atPath: path, contents: nil)
        defer { try? FileManager.default.removeItem(atPath: path) }
        guard let log = FileHandle(forWritingAtPath: path) else {
            throw LabError("\(path) cannot be written.")
        }
        process.standardOutput = log
        process.standardError = log
        let pipe = Pipe()
        process.standardInput = input == nil ? FileHandle.nullDevice as Any : pipe
        let ended = DispatchSemaphore(value: 0)
        process.terminationHandler = { _ in ended.signal() }
        let start = ContinuousClock.now
        try Lab.spawn(process)
        try log.close()
        if let input {
            pipe.fileHandleForWriting.write(Data(input.utf8))
            try pipe.fileHandleForWriting.close()
        }
        var timedOut = false
        if ended.wait(timeout: .now() + seconds) == .timedOut {
            timedOut = true
            kill(process.processIdentifier, SIGKILL)
            ended.wait()
        }
        let output = String(
            decoding: FileManager.default.contents(atPath: path) ?? Data(),
            as: UTF8.self
        )
        let signalled = process.terminationReason == .uncaughtSignal
        let code = timedOut ? 124 : process.terminationStatus + (signalled ? 128 : 0)
        return Outcome(code: code, output: output, seconds: (ContinuousClock.now - start).inSeconds)
    }

    /// Runs `words` and insists on success.
    ///
    /// - Throws: ``LabError`` with the command's words.
    @discardableResult
    public static func must(
        _ words: [String],
        input: String? = nil,
        seconds: Double = 30
    ) throws -> String {
        let outcome = try run(words, input: input, seconds: seconds)
        guard outcome.code == 0 else {
            throw LabError(
                "\(words.joined(separator: " ")) ended with \(outcome.code): \(outcome.output)"
            )
        }
        return outcome.output
    }

    /// Starts `process` so that signals reach it: a child inherits which are held back, and the
    /// worker threads of this program hold all of them back.
    fileprivate static func spawn(_ process: Process) throws {
        var none = sigset_t()
        var before = sigset_t()
        unsafe sigemptyset(&none)
        unsafe pthread_sigmask(SIG_SETMASK, &none, &before)
        defer { unsafe _ = pthread_sigmask(SIG_SETMASK, &before, nil) }
        try process.run()
    }

    /// Looks again and again until `condition` holds, for at most `seconds`.
    public static func waits(seconds: Double, until condition: () throws -> Bool) rethrows -> Bool {
        let deadline = ContinuousClock.now + .seconds(seconds)
        while try !condition() {
            guard ContinuousClock.now < deadline else { return false }
            usleep(20_000)
        }
        return true
    }
}

extension Duration {
    /// Seconds with fraction.
    public var inSeconds: Double {
        Double(components.seconds) + Double(components.attoseconds) * 1e-18
    }
}
