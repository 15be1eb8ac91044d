import Foundation
import Lab
import Testing

extension EndToEnd {
    @Suite("A gateway is upgraded in place")
    struct UpgradeTests {
        /// 20 MB, or with `CULVERT_UPGRADE_MEGABYTES` so much.
        private static let megabytes =
            ProcessInfo.processInfo.environment["CULVERT_UPGRADE_MEGABYTES"].flatMap { Int($0) }
            ?? 20

        /// Both sides behind NAT, with IPv6 between them; downloads at 2 MB a second.
        private static func field(_ name: String) throws -> RunningField {
            var plan = FieldPlan()
            plan.families = .both
            return try RunningField(name: name, plan: plan, executable: executable, rate: 2 << 20)
        }

        @Test(
            "three times during a download: nothing ends, no gap is longer than a second",
            .timeLimit(.minutes(5)),
            arguments: Upgrade.Way.allCases
        )
        func goesOn(way: Upgrade.Way) throws {
            let field = try Self.field("cvupg")
            defer { field.remove() }
            var upgrade = try Upgrade(field, way)
            let report = try upgrade.run(byteCount: Self.megabytes << 20, times: 3)
            let words = { (seconds: [Double]) in
                seconds.map { String(format: "%.3f", $0) }.joined(separator: " ")
            }
            print(
                "upgrade by \(way.rawValue): \(Self.megabytes) MB; next process after "
                    + "\(words(report.times)) s; longest gap of ping "
                    + "\(words([report.traffic.pingGap])) s, of the download "
                    + "\(words([report.traffic.downloadGap])) s; SSH session answered after "
                    + "\(words(report.echoes)) s"
            )
            #expect(report.traffic.isIntact, "\(report.log)")
            #expect(report.traffic.connections == 1, "\(report.traffic.failures)\n\(report.log)")
            #expect(report.traffic.pingGap < 1, "\(report.log)")
            #expect(report.traffic.downloadGap < 1, "\(report.log)")
            #expect(report.echoes.allSatisfy { $0 < 1 }, "\(report.log)")
            #expect(report.isSameGateway)
            let resumed = report.log.components(separatedBy: "going on where the gateway before")
            #expect(resumed.count == 4, "\(report.log)")
            #expect(!report.log.contains("clients connect anew"), "\(report.log)")
            let remains = try upgrade.remains()
            #expect(remains.isEmpty, "the last one puts the host back")
        }

        @Test("a state that is cut off is told in a sentence, and all begins anew")
        func damaged() throws {
            let field = try Self.field("cvupd")
            defer { field.remove() }
            let gateway = try Upgrade(field, .takeover).startFromDamagedState()
            #expect(gateway.output.contains("it ends too early"), "\(gateway.output)")
            let ada = field.network.ada
            let answers = try Lab.waits(seconds: 20) {
                try ada.run("curl", "-sfm", "5", "http://\(FieldNetwork.name)/").code == 0
            }
            #expect(answers, "\(gateway.output)")
        }

        @Test(
            "a gateway that is killed has its clients back within seconds",
            .timeLimit(.minutes(3))
        )
        func killed() throws {
            let field = try Self.field("cvupk")
            defer { field.remove() }
            let ada = field.network.ada
            _ = try ada.must("curl", "-sfm", "10", "http://\(FieldNetwork.name)/")
            let gateway = try field.gatewayInUse()
            field.killGateway(gateway)
            let start = Date.now
            try field.startGateway(gateway)
            let isBack = try Lab.waits(seconds: 20) {
                try ada.run("ping", "-c", "1", "-W", "1", FieldNetwork.name).code == 0
            }
            print("after kill -9: back after \(-start.timeIntervalSinceNow) s")
            #expect(isBack, "\(field.logs)")
            let page = try ada.run("curl", "-sm", "5", "http://\(FieldNetwork.name)/")
            #expect(page.output.contains("Hello from"), "\(page)")
        }
    }
}
