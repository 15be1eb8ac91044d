internal import Foundation

/// One thing about sites with several gateways, names and addresses, and what must be seen.
public struct SiteCase: Sendable {
    /// How it is named on the command line.
    public let name: String
    /// What happens, for the table.
    public let what: String
    private let body: @Sendable (_ at: Place) -> Report

    /// One with a field network of its own.
    init(
        name: String,
        what: String,
        plan: FieldPlan,
        act: @escaping @Sendable (Stage) throws -> Void
    ) {
        self.init(name: name, what: what) { Self.run(name, plan, at: $0, act) }
    }

    init(
        name: String,
        what: String,
        body: @escaping @Sendable (_ at: Place) -> Report
    ) {
        (self.name, self.what, self.body) = (name, what, body)
    }

    /// Where a run takes place.
    struct Place: Sendable {
        let executable: String
        let network: String
        let isQuick: Bool
    }

    /// What one run showed.
    public struct Report: Sendable {
        public let name: String
        /// What was measured, a line each.
        public let figures: [String]
        /// What was not as it must be; empty when all was.
        public let faults: [String]
        /// What the roles said, when something was not as it must be.
        public let logs: String

        public var passed: Bool { faults.isEmpty }
    }

    /// Where a case acts, and what it notes.
    final class Stage: @unchecked Sendable {
        let field: RunningField
        private(set) var figures: [String] = []
        private(set) var faults: [String] = []

        let isQuick: Bool

        init(_ field: RunningField, isQuick: Bool) { (self.field, self.isQuick) = (field, isQuick) }

        var ada: LabHost { field.network.ada }
        var site: FieldNetwork.Site { field.network.sites[0] }

        func note(_ figure: String) { figures.append(figure) }

        /// Notes a fault unless `condition` holds.
        func expect(_ condition: Bool, _ fault: @autoclosure () -> String) {
            if !condition { faults.append(fault()) }
        }

        /// One connection for a small page.
        ///
        /// - Returns: Seconds until it was connected, and until the page was there; nil when it was
        ///   not.
        func fetch(_ path: String = "/", seconds: Double = 20) throws -> Fetched? {
            let outcome = try ada.run(
                ["curl", "-4", "-sS", "-o", "/dev/null", "--max-time", "\(seconds)", "-w"]
                    + ["%{time_connect} %{time_total} %{http_code}"]
                    + ["http://\(FieldNetwork.name)\(path)"],
                seconds: seconds + 5
            )
            let words = outcome.output.split(separator: " ").compactMap { Double($0) }
            guard outcome.code == 0, words.count == 3, words[2] == 200 else { return nil }
            return Fetched(connect: words[0], total: words[1])
        }
    }

    /// How long one connection took, in seconds.
    struct Fetched {
        let connect: Double
        let total: Double
    }

    /// All cases, in the order of the table.
    public static let all = [unreached, drained, moved, dead, collateral]

    /// Runs it on a network of its own, named `network`.
    ///
    /// - Parameters:
    ///   - executable: Path of `culvert`.
    ///   - network: The network's name.
    ///   - isQuick: Less waiting: what `make test` has time for.
    /// - Returns: What was seen.
    public func run(executable: String, network: String, isQuick: Bool) -> Report {
        body(Place(executable: executable, network: network, isQuick: isQuick))
    }

    private static func run(
        _ name: String,
        _ plan: FieldPlan,
        at place: Place,
        _ act: (Stage) throws -> Void
    ) -> Report {
        do {
            let field = try RunningField(
                name: place.network,
                plan: plan,
                executable: place.executable,
                rate: 2 << 20
            )
            defer { field.remove() }
            let stage = Stage(field, isQuick: place.isQuick)
            do { try act(stage) } catch { stage.expect(false, "\(error)") }
            return Report(
                name: name,
                figures: stage.figures,
                faults: stage.faults,
                logs: stage.faults.isEmpty ? "" : field.logs
            )
        } catch {
            return Report(name: name, figures: [], faults: ["\(error)"], logs: "")
        }
    }

    private static let one = FieldPlan().with { $0.relays = .ours }
    private static let pair = one.with { $0.gatewayCount = 2 }
}

// MARK: - Gateways

extension SiteCase {
    private static let unreached = SiteCase(
        name: "unreached",
        what: "one of two gateways is cut off from the resource, and back",
        plan: pair
    ) { stage in
        stage.expect(try stage.fetch() != nil, "the resource is not reached at first")
        let first = try stage.field.gatewayInUse()
        // The name server has the same address: nothing of the site is reached.
        try cut(first, true)
        let begun = try stage.fetch()
        stage.expect(begun.map { $0.total < 2 } ?? false, "the first connection took \(begun.text)")
        stage.note("first connection after the cut: \(begun.text)")
        var later: [Double] = []
        for _ in 0..<20 {
            let next = try stage.fetch()
            stage.expect(next != nil, "a later connection failed")
            later.append(next?.total ?? .infinity)
        }
        let longest = later.max() ?? .infinity
        stage.expect(longest < 0.5, "a later connection took \(longest) s")
        stage.note(String(format: "20 later ones: %.3f s at most", longest))
        let second = try stage.field.gatewayInUse()
        stage.expect(first.title != second.title, "\(first.title) still serves")
        try cut(first, false)
        // Longer than the portal passes the gateway over.
        var changes = 0
        var last = second.title
        let seconds = stage.isQuick ? 10 : 40
        let end = ContinuousClock.now + .seconds(seconds)
        var slowest = 0.0
        while ContinuousClock.now < end {
            let next = try stage.fetch()
            stage.expect(next != nil, "a connection failed after the healing")
            slowest = max(slowest, next?.total ?? .infinity)
            let now = try stage.field.gatewayInUse().title
            if now != last { (changes, last) = (changes + 1, now) }
            _ = Lab.waits(seconds: 1) { false }
        }
        stage.expect(changes == 0, "the gateway changed \(changes) times after the healing")
        stage.expect(slowest < 0.5, "a connection after the healing took \(slowest) s")
        stage.note(String(format: "healed, %d s: no change, %.3f s at most", seconds, slowest))
    }

    private static func cut(_ gateway: LabHost, _ isCut: Bool) throws {
        guard isCut else {
            try gateway.must("nft", "delete", "table", "ip", "cut")
            return
        }
        let rule = "ip daddr 10.20.0.80 drop"
        _ = try gateway.must(
            ["nft", "-f", "-"],
            input: """
                table ip cut {
                    chain out { type filter hook output priority -10; \(rule); }
                    chain through { type filter hook forward priority -10; \(rule); }
                }

                """
        )
    }

    private static let drained = SiteCase(
        name: "drained",
        what: "culvert drain during a download, and back",
        plan: pair
    ) { stage in
        let sum = try stage.field.bigFile(byteCount: 24 << 20)
        let traffic = try Traffic(on: stage.ada, name: FieldNetwork.name, path: "/big", sum: sum)
        _ = Lab.waits(seconds: 3) { false }
        let first = try stage.field.gatewayInUse()
        let begun = ContinuousClock.now
        let said = try stage.field.roles.ask(
            portal: stage.field.network.portal,
            "drain",
            first.title
        )
        stage.note(said.trimmingCharacters(in: .whitespacesAndNewlines))
        let moved = try Lab.waits(seconds: 5) {
            try stage.fetch() != nil && stage.field.gatewayInUse().title != first.title
        }
        stage.expect(moved, "new connections still take \(first.title)")
        stage.note("new connections move after \((ContinuousClock.now - begun).text) at most")
        stage.expect(!traffic.isDone, "the download was over before the drain")
        let result = try traffic.finish(seconds: 60)
        stage.expect(result.isIntact, "the download is damaged")
        stage.expect(result.connections == 1, "the download's connection ended")
        stage.note(String(format: "the download's longest gap: %.2f s", result.downloadGap))
        let isEmpty = try Lab.waits(seconds: 20) { try clients(of: first.title, stage) == 0 }
        stage.expect(isEmpty, "\(first.title) still has clients: \(stage.field.status.text)")
        let portal = stage.field.network.portal
        _ = try stage.field.roles.ask(portal: portal, "drain", first.title, "--undo")
        stage.expect(try stage.fetch() != nil, "nothing is reached after the drain")
    }

    private static func clients(of gateway: String, _ stage: Stage) throws -> Int {
        let portal = stage.field.network.portal
        let text = try portal.must(
            "curl",
            "-sS",
            "--unix-socket",
            Roles.socket("portal", on: portal),
            "http://portal/api/v1/gateways"
        )
        let page = try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any]
        let items = page?["items"] as? [[String: Any]] ?? []
        return items.first { $0["name"] as? String == gateway }?["clients"] as? Int ?? -1
    }
}

// MARK: - Addresses

extension SiteCase {
    private static let moved = SiteCase(
        name: "moved",
        what: "a resource's record changes from A to B during a download",
        plan: one
    ) { stage in
        let server = stage.site.server
        try server.address("eth0", ["10.20.0.81/24"])
        let sum = try stage.field.bigFile(byteCount: 24 << 20)
        let traffic = try Traffic(on: stage.ada, name: FieldNetwork.name, path: "/big", sum: sum)
        _ = try server.must(
            ["nft", "-f", "-"],
            input: "table ip seen { chain in { type filter hook input priority 0; "
                + "ip daddr 10.20.0.81 tcp dport 80 counter; }; }\n"
        )
        try serve(["git A 10.20.0.81"], stage)
        let begun = ContinuousClock.now
        let follows = try Lab.waits(seconds: 15) {
            _ = try stage.fetch()
            return try !server.must("nft", "list", "table", "ip", "seen").contains("packets 0")
        }
        stage.expect(follows, "new connections still go to A")
        stage.note("the next connection goes to B after \((ContinuousClock.now - begun).text)")
        stage.expect(!traffic.isDone, "the download was over before that")
        let result = try traffic.finish(seconds: 60)
        stage.expect(result.isIntact && result.connections == 1, "the download did not end well")
        stage.note(String(format: "the download from A ends well; gap %.2f s", result.downloadGap))
    }

    /// Another name server takes the place of the site's.
    private static func serve(_ records: [String], _ stage: Stage) throws {
        let server = stage.site.server
        if let old = try? server.must("cat", "\(server.folder)/nsd.pid"),
            let identifier = Int32(old.trimmingCharacters(in: .whitespacesAndNewlines))
        {
            kill(identifier, SIGTERM)
            _ = Lab.waits(seconds: 5) { kill(identifier, 0) != 0 }
        }
        _ = try Servers.nsd(
            on: server,
            listening: ["10.20.0.80", "fd20::80"],
            zone: stage.site.domain,
            records: ["ns A 10.20.0.80"] + records
        )
    }

    private static let dead = SiteCase(
        name: "dead",
        what: "one of three addresses of a name is dead",
        plan: one
    ) { stage in
        let server = stage.site.server
        try server.address("eth0", ["10.20.0.81/24"])
        // The first in order, so that it is tried; nobody has it, and the network says nothing.
        try server.address("eth0", ["10.20.0.60/24"])
        _ = try server.must(
            ["nft", "-f", "-"],
            input: "table ip dead { chain in { type filter hook input priority 0; "
                + "ip daddr 10.20.0.60 drop; }; }\n"
        )
        try serve(["git A 10.20.0.60", "git A 10.20.0.80", "git A 10.20.0.81"], stage)
        // What was known of the name is over by then.
        let isSeen = try Lab.waits(seconds: 30) {
            let next = try stage.fetch()
            stage.expect(next.map { $0.connect < 1.2 } ?? false, "a connection took \(next.text)")
            return (next?.connect ?? 0) > 0.5
        }
        stage.expect(isSeen, "the dead address was never tried")
        var times: [Double] = []
        let seconds = stage.isQuick ? 10 : 65
        let end = ContinuousClock.now + .seconds(seconds)
        while ContinuousClock.now < end {
            let next = try stage.fetch()
            times.append(next?.connect ?? .infinity)
            _ = Lab.waits(seconds: 0.5) { false }
        }
        let (longest, slow) = (times.max() ?? .infinity, times.filter { $0 > 0.2 }.count)
        stage.expect(longest <= 1.2, "a connection took \(longest) s")
        stage.note(
            String(
                format: "%d connections in %d s: %.3f s at most, %d slower than 0.2 s",
                times.count,
                seconds,
                longest,
                slow
            )
        )
    }
}

extension Optional<SiteCase.Fetched> {
    /// How long it took, for people.
    fileprivate var text: String { map { String(format: "%.3f s", $0.total) } ?? "for ever" }
}

extension Duration {
    /// In seconds, for people.
    fileprivate var text: String { String(format: "%.2f s", inSeconds) }
}
