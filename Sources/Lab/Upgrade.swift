internal import Foundation

/// One process of a gateway follows another while its clients work: `ping`, a download, and an
/// SSH session in which nothing is said meanwhile.
public struct Upgrade {
    /// Who sees to it that the next process comes.
    public enum Way: String, Sendable, CaseIterable {
        /// `culvert gateway --takeover`, beside the running one.
        case takeover
        /// A service manager that keeps descriptors during a restart, as systemd does.
        case restart
    }

    /// What it came to.
    public struct Report: Sendable {
        /// Seconds from the order to the log's word that the next process goes on.
        public let times: [Double]
        public let traffic: Traffic.Result
        /// Seconds until the SSH session answered, after each change.
        public let echoes: [Double]
        /// Whether the client is served by the gateway that it had before.
        public let isSameGateway: Bool
        /// What the gateway's processes said.
        public let log: String
    }

    private let field: RunningField
    private let host: LabHost
    private let way: Way
    private var manager: Running?
    private var last: Running?
    private var count = 0

    /// - Parameters:
    ///   - field: Runs already.
    ///   - way: How the next process comes; for ``Way/restart`` the gateway starts anew, below a
    ///     manager.
    /// - Throws: ``LabError`` when that does not come up.
    public init(_ field: RunningField, _ way: Way) throws {
        (self.field, self.way) = (field, way)
        host = field.network.sites[0].gateways[0]
        guard way == .restart else { return }
        field.gateways[host.title]?.stop(seconds: 10)
        let systemctl = UpgradeScript.systemctl.replacing("JOBS", with: "\(host.folder)/jobs")
        try host.write("systemctl", systemctl)
        try host.must("chmod", "755", "\(host.folder)/systemctl")
        let script = try host.write("manager.py", UpgradeScript.manager)
        let manager = try host.start(
            "manager",
            ["python3", "-u", script, host.folder, field.roles.executable] + arguments
        )
        try manager.waitForOutput("connected to the portal")
        self.manager = manager
    }

    private var arguments: [String] {
        [
            "gateway", "--token-file", "\(host.folder)/gateway.token", "--name", host.title,
            "--state", Roles.state("gateway", on: host),
        ]
    }

    /// Changes the process `times` times during one download.
    ///
    /// - Parameters:
    ///   - byteCount: Of the file.
    ///   - times: How often.
    /// - Returns: What was seen.
    /// - Throws: ``LabError`` when something does not start or end.
    public mutating func run(byteCount: Int, times: Int) throws -> Report {
        let ada = field.network.ada
        let sum = try field.bigFile(byteCount: byteCount)
        let server = field.network.sites[0].server
        try SecureShell.start(on: server)
        let session = SecureShell.session(
            on: server,
            at: FieldNetwork.name,
            family: "-4",
            ["cat"]
        )
        let silent = try ada.write("silent.py", UpgradeScript.silent)
        let connection = try ada.start("silent", ["python3", "-u", silent, ada.folder] + session)
        try connection.waitForOutput("open")
        let traffic = try Traffic(on: ada, name: FieldNetwork.name, path: "/big", sum: sum)
        let before = field.status.gateway
        var (seconds, echoes): ([Double], [Double]) = ([], [])
        for number in 1...times {
            _ = Lab.waits(seconds: 1) { traffic.isDone }
            seconds.append(try change())
            try ada.write("ask-\(number)", "")
            try connection.waitForOutput("answer \(number)", seconds: 10)
            echoes.append(Self.time(of: number, in: connection.output))
        }
        let result = try traffic.finish(seconds: 120)
        return Report(
            times: seconds,
            traffic: result,
            echoes: echoes,
            isSameGateway: field.status.gateway == before,
            log: log
        )
    }

    private static func time(of number: Int, in output: String) -> Double {
        let line = output.split(separator: "\n").last { $0.hasPrefix("answer \(number) ") }
        return line.flatMap { Double($0.split(separator: " ").last ?? "") } ?? .infinity
    }

    /// Another process goes on; seconds until it says so.
    private mutating func change() throws -> Double {
        count += 1
        let start = Date.now
        switch way {
        case .takeover:
            let next = try host.start(
                "gateway-\(count)",
                [field.roles.executable] + arguments + ["--takeover"]
            )
            try next.waitForOutput("going on where the gateway before stopped")
            let time = -start.timeIntervalSinceNow
            try next.waitForOutput("connected to the portal")
            last = next
            return time
        case .restart:
            guard let manager else { return .infinity }
            manager.send(SIGHUP)
            let wanted = count
            let isDone = Lab.waits(seconds: 20) {
                let parts = manager.output.components(separatedBy: "going on where the gateway")
                return parts.count > wanted && parts[wanted].contains("connected to the portal")
            }
            guard isDone else { throw LabError("It does not go on:\n\(manager.output)") }
            return -start.timeIntervalSinceNow
        }
    }

    /// A process that takes over gets a state that is cut off, from somebody who is no gateway.
    ///
    /// - Returns: The new gateway, once it is connected to the portal.
    /// - Throws: ``LabError`` when it does not start.
    public func startFromDamagedState() throws -> Running {
        field.gateways[host.title]?.stop(seconds: 10)
        let giver = try host.write("giver.py", UpgradeScript.giver)
        let path = "\(Roles.state("gateway", on: host))/takeover.sock"
        let running = try host.start("giver", ["python3", "-u", giver, path])
        try running.waitForOutput("listens")
        let gateway = try host.start(
            "gateway-damaged",
            [field.roles.executable] + arguments + ["--takeover"]
        )
        try gateway.waitForOutput("connected to the portal")
        return gateway
    }

    /// What the last gateway has left on its host after SIGTERM: nftables tables and rules.
    ///
    /// - Returns: Nothing when all is as it was.
    /// - Throws: ``LabError`` when that cannot be seen.
    public func remains() throws -> String {
        if let last = last ?? manager {
            last.send(SIGTERM)
            guard last.wait(seconds: 10) else { throw LabError("The gateway does not end.") }
        }
        let isGone = Lab.waits(seconds: 10) {
            (try? host.run("ip", "link", "show", "culvert0").code) != 0
        }
        guard isGone else { return "the device culvert0" }
        // The kernel takes a table that belongs to a process back a moment after that is gone.
        _ = try Lab.waits(seconds: 3) { try settings().isEmpty }
        return try settings()
    }

    private func settings() throws -> String {
        try host.must("nft", "list", "tables")
            + host.must("ip", "rule").split(separator: "\n").filter { $0.contains("172") }.joined()
    }

    private var log: String {
        if let manager { return manager.output }
        let titles = ["gateway"] + (0..<count).map { "gateway-\($0 + 1)" }
        return titles.map { title in
            let path = "\(host.folder)/\(title).log"
            let data = FileManager.default.contents(atPath: path) ?? Data()
            return "\(title):\n" + String(decoding: data, as: UTF8.self)
        }.joined(separator: "\n")
    }
}

/// Programs of the scenery.
enum UpgradeScript {
    /// What systemd does with a service that has a store of descriptors and is restarted at
    /// SIGHUP: SIGTERM, what is sent to the store is kept, `ExecStopPost`, and the next process
    /// gets the descriptors. Its stand-in for systemctl and the cgroup are seen below it only.
    static let manager = """
        import array, fcntl, os, select, signal, socket, subprocess, sys
        folder, words = sys.argv[1], sys.argv[2:]
        unit = "culvert-gateway.service"
        subprocess.check_call(["mount", "--bind", folder + "/systemctl", "/usr/bin/systemctl"])
        open(folder + "/cgroup", "w").write("0::/system.slice/" + unit + "\\n")
        path = folder + "/notify"
        notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        notify.bind(path)
        store, child, wants = [], 0, False

        def start():
            global child
            child = os.fork()
            if child:
                return
            subprocess.check_call(
                ["mount", "--bind", folder + "/cgroup", "/proc/%d/cgroup" % os.getpid()])
            high = [fcntl.fcntl(d, fcntl.F_DUPFD, 200) for _, d in store]
            for index, descriptor in enumerate(high):
                os.dup2(descriptor, 3 + index, inheritable=True)
            os.closerange(3 + len(high), 1024)
            environment = dict(os.environ, NOTIFY_SOCKET=path)
            if store:
                environment.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS=str(len(store)),
                                   LISTEN_FDNAMES=":".join(name for name, _ in store))
            os.execvpe(words[0], words, environment)

        def read():
            text, control, _, _ = notify.recvmsg(4096, 4096)
            descriptors = array.array("i")
            for level, kind, data in control:
                descriptors.frombytes(data[: len(data) // 4 * 4])
            fields = dict(l.split("=", 1) for l in text.decode().split("\\n") if "=" in l)
            print("manager:", " ".join(sorted(fields)), fields.get("FDNAME", ""))
            if "FDSTORE" in fields:
                store.extend((fields["FDNAME"], d) for d in descriptors)
            elif "FDSTOREREMOVE" in fields:
                for entry in [e for e in store if e[0] == fields["FDNAME"]]:
                    os.close(entry[1])
                    store.remove(entry)
            else:
                for d in descriptors:
                    os.close(d)

        def restart(*_):
            global wants
            wants = True

        def stop(*_):
            os.kill(child, signal.SIGTERM)
            sys.exit(0)

        signal.signal(signal.SIGHUP, restart)
        signal.signal(signal.SIGTERM, stop)
        open(folder + "/jobs", "w").close()
        start()
        while True:
            if wants:
                wants = False
                open(folder + "/jobs", "w").write(" 812 " + unit + " restart running\\n")
                os.kill(child, signal.SIGTERM)
            if select.select([notify], [], [], 0.005)[0]:
                read()
                continue
            ended, status = os.waitpid(child, os.WNOHANG)
            if ended:
                print("manager: ended with", status)
                subprocess.run([words[0], "gateway", "--restore"])
                open(folder + "/jobs", "w").close()
                start()
        """

    /// `list-jobs` and `show`, as far as a gateway asks.
    static let systemctl = """
        #!/bin/sh
        case "$1" in
        list-jobs) cat JOBS ;;
        show) echo 16 ;;
        esac
        """

    /// Gives a sealed memory file that ends in the middle of the first key, and a ticket for it.
    static let giver = """
        import array, ctypes, fcntl, os, socket, sys
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        if os.path.exists(sys.argv[1]):
            os.unlink(sys.argv[1])
        listener.bind(sys.argv[1])
        listener.listen(1)
        print("listens")
        connection, _ = listener.accept()
        state = os.memfd_create("state", os.MFD_ALLOW_SEALING)
        os.write(state, bytes([1, 1]) + bytes(20))
        fcntl.fcntl(state, 1033, 15)
        ticket = ctypes.CDLL(None).eventfd(1, os.O_NONBLOCK)
        rights = array.array("i", [state, ticket])
        connection.sendmsg([b"culvert-state:culvert-ticket"],
                           [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)])
        """

    /// A session that says nothing until the next file `ask-N` is there.
    static let silent = """
        import os, subprocess, sys, time
        folder = sys.argv[1]
        session = subprocess.Popen(
            sys.argv[2:], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)

        def ask(number):
            session.stdin.write(f"{number}\\n")
            if session.stdout.readline() != f"{number}\\n":
                sys.exit("the session ended")

        ask(0)
        print("open")
        number = 1
        while True:
            if not os.path.exists(f"{folder}/ask-{number}"):
                time.sleep(0.005)
                continue
            start = time.monotonic()
            ask(number)
            print("answer", number, time.monotonic() - start)
            number += 1
        """
}
