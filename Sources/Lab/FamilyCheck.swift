internal import Foundation

/// A client that uses one family reaches servers that have only the other one, with programs that
/// others wrote, over links of several sizes.
public struct FamilyCheck: Sendable {
    private let executable: String
    private let isQuick: Bool

    /// - Parameters:
    ///   - executable: Path of `culvert`.
    ///   - isQuick: Smaller files, and no plain link.
    public init(executable: String, isQuick: Bool) {
        (self.executable, self.isQuick) = (executable, isQuick)
    }

    private var downloadByteCount: Int { (isQuick ? 10 : 100) << 20 }
    private var linkSizes: [Int] { isQuick ? [1_400, 1_280] : [1_500, 1_400, 1_280] }

    public static let tableHead = ["| what | seen |", "|---|---|"]

    /// Builds the network, looks, and takes it away again.
    ///
    /// - Parameters:
    ///   - network: Its name.
    ///   - onFinding: Called with each as it is seen.
    /// - Returns: What was seen, and what the roles said when something was wrong.
    /// - Throws: ``LabError`` when something does not come up.
    public func run(network: String, onFinding: (Finding) -> Void) throws -> (
        findings: [Finding], logs: String
    ) {
        let plan = FieldPlan().with { $0.relays = .ours }
        let field = try RunningField(name: network, plan: plan, executable: executable)
        defer { field.remove() }
        let far = try FarServers(in: field.network, byteCount: downloadByteCount)
        try field.roles.apply(Self.configuration, portal: field.network.portal)
        var findings: [Finding] = []
        for size in linkSizes {
            try far.setLinkMTU(size)
            for server in far.servers {
                let view = try View(field.network.ada, server, far, size)
                for finding in try view.all(downloadByteCount) {
                    onFinding(finding)
                    findings.append(finding)
                }
            }
        }
        return (findings, findings.allSatisfy(\.isRight) ? "" : field.logs)
    }

    /// Everything below corp.example, for ada.
    static let configuration = """
        account: Example
        sites:
          - name: headquarters
        resources:
          - name: Corp
            address: "*.corp.example"
            site: headquarters
        groups:
          - name: Engineering
            members: [ada@example.com]
        policies:
          - group: Engineering
            resource: Corp

        """
}

/// What a client sees of one server by the family that the server lacks.
private struct View {
    private let ada: LabHost
    private let server: FarServers.Server
    private let far: FarServers
    private let linkByteCount: Int
    /// What a host that has the other family only is told, which asks for nothing else.
    private let address: String

    init(
        _ ada: LabHost,
        _ server: FarServers.Server,
        _ far: FarServers,
        _ linkByteCount: Int
    ) throws {
        (self.ada, self.server, self.far) = (ada, server, far)
        self.linkByteCount = linkByteCount
        let type = server.otherFamily == "-4" ? "A" : "AAAA"
        let answer = try ada.must("dig", "+short", "+tries=3", server.name, type)
        guard let first = answer.split(separator: "\n").first else {
            throw LabError("\(server.name) has no \(type) for a host that asks for nothing else.")
        }
        address = String(first)
    }

    /// `curl` to the server by that address.
    private func curl(_ path: String) -> [String] {
        let place = address.contains(":") ? "[\(address)]" : address
        return [
            "curl", family, "-sS", "-m", "100", "--resolve", "\(server.name):80:\(place)",
            "http://\(server.name)/\(path)",
        ]
    }

    private var family: String { server.otherFamily }

    private func finding(_ what: String, _ seen: String, isRight: Bool) -> Finding {
        let way = "IPv\(family.suffix(1)) → IPv\(server.family.suffix(1)), link \(linkByteCount)"
        return Finding("\(way): \(what)", seen, isRight: isRight)
    }

    func all(_ byteCount: Int) throws -> [Finding] {
        var all = [try page(), try download(byteCount), try upload(byteCount / 4)]
        all += [try shell(), try ping(56), try ping(1_232), try ping(4_000)]
        all += [try trace(["-I"]), try trace([]), try trace(["-T", "-p", "80"])]
        return all + [try echoes(), try pathSize()]
    }

    private func page() throws -> Finding {
        let outcome = try ada.run(curl(""))
        return finding("curl", outcome.output.trimmed, isRight: outcome.output == "Hello.\n")
    }

    private func download(_ byteCount: Int) throws -> Finding {
        let path = "\(server.host.folder)/\(server.name)/big"
        let sum = try server.host.must("sha256sum", path).prefix(64)
        let outcome = try ada.run(
            ["sh", "-c", "\(curl("big").joined(separator: " ")) | sha256sum"],
            seconds: 120
        )
        let speed = Double(byteCount) * 8 / outcome.seconds / 1e6
        return finding(
            "download of \(byteCount >> 20) MB",
            String(format: "%@, %.0f Mbit/s", String(outcome.output.prefix(12)), speed),
            isRight: outcome.output.hasPrefix(sum)
        )
    }

    /// Full packets from the client: the way on which the path's size must be found out.
    private func upload(_ byteCount: Int) throws -> Finding {
        let path = "\(ada.folder)/upload"
        try ada.must("dd", "if=/dev/urandom", "of=\(path)", "bs=1M", "count=\(byteCount >> 20)")
        let sum = try ada.must("sha256sum", path).prefix(64)
        let words = far.ssh(server, at: address, ["sha256sum"]).joined(separator: " ")
        let outcome = try ada.run(["sh", "-c", "\(words) < \(path)"], seconds: 120)
        return finding(
            "ssh, \(byteCount >> 20) MB up",
            String(format: "%@, %.1f s", String(outcome.output.prefix(12)), outcome.seconds),
            isRight: outcome.output.hasPrefix(sum)
        )
    }

    private func shell() throws -> Finding {
        let outcome = try ada.run(far.ssh(server, at: address, ["echo", "it", "is", "$((6 * 7))"]))
        return finding("ssh", outcome.output.trimmed, isRight: outcome.output == "it is 42\n")
    }

    /// A large one may be lost on each of two links, which then say what they carry: no router cuts
    /// IPv6.
    private func ping(_ byteCount: Int) throws -> Finding {
        let outcome = try ada.run(
            "ping",
            family,
            "-n",
            "-q",
            "-c",
            "5",
            "-i",
            "0.2",
            "-W",
            "2",
            "-s",
            "\(byteCount)",
            address
        )
        let line = outcome.output.split(separator: "\n").first { $0.contains("received") } ?? ""
        let received = line.split(separator: " ").dropFirst(3).first.flatMap { Int($0) } ?? 0
        let lostMax = byteCount > 1_280 ? 2 : 0
        return finding(
            "ping of \(byteCount) bytes",
            String(line),
            isRight: received >= 5 - lostMax
        )
    }

    private func trace(_ words: [String]) throws -> Finding {
        let outcome = try ada.run(
            ["traceroute", family, "-n", "-q", "1", "-w", "2", "-m", "12"] + words + [address]
        )
        let hops = outcome.output.split(separator: "\n").dropFirst()
        let last = hops.last.map(String.init) ?? ""
        return finding(
            "traceroute \(words.first ?? "")",
            "\(hops.count) hops, the last:\(last)",
            isRight: (3...9).contains(hops.count) && !last.contains("*")
        )
    }

    /// Datagrams of many sizes there and back, also such that must be cut.
    private func echoes() throws -> Finding {
        let script = """
            import os, socket, sys
            family = socket.AF_INET if sys.argv[1] == "-4" else socket.AF_INET6
            address = socket.getaddrinfo(sys.argv[2], 7, family, socket.SOCK_DGRAM)[0][4]
            client = socket.socket(family, socket.SOCK_DGRAM)
            client.settimeout(2)
            wrong = []
            for size in (0, 1, 700, 1200, 1232, 1233, 1252, 1400, 2800, 8000, 30000):
                data = os.urandom(size)
                for attempt in range(3):
                    try:
                        client.sendto(data, address)
                        if client.recv(65535) == data:
                            break
                    except OSError:
                        continue
                else:
                    wrong.append(size)
            print("wrong: " + str(wrong) if wrong else "all of 11 sizes came back")
            """
        let path = try ada.write("echoes.py", script)
        let outcome = try ada.run([DNSStage.interpreter, path, family, address], seconds: 90)
        return finding(
            "UDP echo",
            outcome.output.trimmed,
            isRight: outcome.output.contains("all of")
        )
    }

    private func pathSize() throws -> Finding {
        let outcome = try ada.run("tracepath", family, "-n", "-m", "10", address)
        let last = outcome.output.split(separator: "\n").last.map(String.init) ?? ""
        let isRight = last.contains("Resume: pmtu 12")
        return finding("tracepath", last.trimmed, isRight: isRight)
    }
}
