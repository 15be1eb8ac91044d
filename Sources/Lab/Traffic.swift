internal import Foundation

/// Traffic through the tunnel while something happens: `ping` ten times a second, and one large
/// download by Python's HTTP client, checked by hash.
public struct Traffic: Sendable {
    /// What it came to.
    public struct Result: Sendable {
        /// The longest time without an answer beyond the ping's own interval, in seconds.
        public let pingGap: Double
        /// When that gap began, in seconds from the first answer.
        public let pingGapStart: Double
        public let answers: Int
        /// The longest time in which the download got no byte, in seconds.
        public let downloadGap: Double
        /// Connections that the download took; 1 when the first one survived.
        public let connections: Int
        public let isIntact: Bool
        /// What ended a connection, in the application's own words.
        public let failures: [String]
    }

    static let interval = 0.1

    private let host: LabHost
    private let ping: Running
    private let download: Running
    private let sum: String

    /// Starts both and returns when both flow.
    ///
    /// - Parameters:
    ///   - host: Where the programs run.
    ///   - name: The name of the server.
    ///   - path: What is downloaded from it.
    ///   - sum: The file's SHA-256.
    ///   - family: `-4` or `-6`, as inside the tunnel.
    /// - Throws: ``LabError`` when one does not flow within 10 s.
    public init(on host: LabHost, name: String, path: String, sum: String, family: String = "-4")
        throws
    {
        self.host = host
        self.sum = sum
        ping = try host.start(
            "ping",
            ["ping", family, "-n", "-D", "-O", "-i", "\(Self.interval)", name]
        )
        try ping.waitForOutput("bytes from", seconds: 10)
        let script = try host.write("download.py", Self.script)
        download = try host.start("download", ["python3", "-u", script, name, path])
        try download.waitForOutput("flows", seconds: 10)
    }

    /// Whether the download is done.
    public var isDone: Bool { !download.isRunning }

    /// Answers of the ping so far.
    public var answers: Int { times().count }

    /// Waits for the download's end and ends the ping.
    ///
    /// - Throws: ``LabError`` when the download does not end within `seconds`.
    public func finish(seconds: Double) throws -> Result {
        guard download.wait(seconds: seconds) else {
            throw LabError("The download hangs. It said:\n\(download.output.suffix(2_000))")
        }
        ping.send(SIGINT)
        ping.wait(seconds: 2)
        let lines = download.output.split(separator: "\n")
        guard let last = lines.last,
            let report = try? JSONDecoder().decode(Report.self, from: Data(last.utf8))
        else { throw LabError("The download gave up:\n\(download.output.suffix(2_000))") }
        let times = times()
        let gaps = zip(times, times.dropFirst()).map { (from: $0, length: $1 - $0) }
        let longest = gaps.max { $0.length < $1.length }
        return Result(
            pingGap: longest.map { max(0, $0.length - Self.interval) } ?? .infinity,
            pingGapStart: longest.map { $0.from - times[0] } ?? 0,
            answers: times.count,
            downloadGap: report.gap,
            connections: report.connections,
            isIntact: report.sum == sum,
            failures: report.failures
        )
    }

    private func times() -> [Double] {
        ping.output.split(separator: "\n").compactMap { line in
            guard line.hasPrefix("["), line.contains("bytes from") else { return nil }
            return Double(line.dropFirst().prefix { $0 != "]" })
        }
    }

    private struct Report: Decodable {
        let sum: String
        let gap: Double
        let connections: Int
        let failures: [String]
    }

    /// Fetches a file, going on where it was when a connection ends; notes the longest silence.
    private static let script = """
        import hashlib, http.client, json, sys, time
        name, path = sys.argv[1], sys.argv[2]
        sum, have, total = hashlib.sha256(), 0, None
        gap, connections, failures, last = 0.0, 0, [], time.monotonic()
        while total is None or have < total:
            try:
                connection = http.client.HTTPConnection(name, timeout=15)
                connection.request("GET", path, headers={"Range": f"bytes={have}-"})
                answer = connection.getresponse()
                if answer.status != 206:
                    raise OSError(f"HTTP {answer.status}")
                total = int(answer.headers["Content-Range"].split("/")[1])
                connections += 1
                while have < total:
                    part = answer.read1(65536)
                    now = time.monotonic()
                    gap, last = max(gap, now - last), now
                    if not part:
                        raise OSError("ended early")
                    if have == 0:
                        gap = 0.0
                        print("flows")
                    have += len(part)
                    sum.update(part)
            except (OSError, http.client.HTTPException) as error:
                failures.append(f"{type(error).__name__}: {error}")
                if len(failures) > 100:
                    sys.exit(f"gave up: {failures[-5:]}")
                time.sleep(0.1)
        print(json.dumps({"sum": sum.hexdigest(), "gap": gap, "connections": connections,
                          "failures": failures}))
        """
}
