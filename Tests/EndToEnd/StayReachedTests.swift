import Foundation
import Lab
import Testing

extension EndToEnd {
    @Suite("Reach anyone, and stay reached")
    struct StayReachedTests {
        @Test(
            "each fault is felt no longer than the failure matrix allows; a night loses no ping",
            .timeLimit(.minutes(10))
        )
        func matrix() async throws {
            // The night mostly waits, so it passes beside the others.
            let night = Beside {
                try Overnight(executable: executable, minutes: 2).run(name: "cvnite") { print($0) }
            }
            let runner = ScenarioRunner(executable: executable, pace: .short, width: 3)
            for line in Scenario.tableHead { print(line) }
            let reports = await runner.run(Scenario.all) { print($0.row) }
            // Three worlds and the night share the machine: what was too slow in the crowd must be
            // quick enough alone.
            let crowded = reports.filter { !$0.passed }.map(\.scenario)
            let alone = await ScenarioRunner(executable: executable, pace: .short, width: 1)
                .run(crowded) { print("alone: " + $0.row) }
            for report in alone where !report.passed {
                let faults = report.faults.joined(separator: "; ")
                Issue.record("\(report.scenario.name): \(faults)\n\(report.logs)")
            }
            #expect(try await night.value)
        }
    }

    @Suite("The lab itself")
    struct LabTests {
        @Test("a delay line delays both ways to 0.2 ms, and loses what it is told")
        func delayLine() throws {
            let network = try Network(name: "cvline")
            defer { network.remove() }
            let hub = try network.host("hub")
            try hub.bridge(addresses: ["192.0.2.1/24"])
            let near = try network.host("near")
            try network.attach(
                near,
                to: hub,
                addresses: ["192.0.2.2/24"],
                line: .init(milliseconds: 10),
                delayWords: roles.delayWords
            )
            let far = try network.host("far")
            try network.attach(
                far,
                to: hub,
                addresses: ["192.0.2.3/24"],
                line: .init(loss: 0.2, seed: 7),
                delayWords: roles.delayWords
            )
            _ = try near.run("ping", "-c", "3", "-i", "0.2", "192.0.2.1")
            // Each way adds at most 0.2 ms; the median, and the best of three rounds, since other
            // work shares the machine.
            var medians: [Double] = []
            for _ in 0..<3 where medians.last ?? .infinity > 20.4 {
                let delayed = try near.must("ping", "-n", "-c", "100", "-i", "0.01", "192.0.2.1")
                let times = delayed.matches(of: #/time=([\d.]+) ms/#).compactMap { Double($0.1) }
                    .sorted()
                #expect(times.count == 100)
                #expect(times[0] >= 20, "\(times)")
                medians.append(times[50])
            }
            #expect(medians.last ?? .infinity <= 20.4, "\(medians)")
            let lossy = try far.run(
                "ping",
                "-n",
                "-c",
                "500",
                "-i",
                "0.002",
                "-W",
                "1",
                "192.0.2.1"
            )
            let answers = lossy.output.matches(of: #/time=/#).count
            // 0.8 both ways is 0.64: 320 of 500, with a standard deviation of 11.
            #expect((276...364).contains(answers), "\(answers) of 500")
        }

        @Test("`lab up`, `exec` and `down` make a network, use it and leave nothing")
        func upAndDown() throws {
            let up = try Lab.run([executable, "lab", "up", "cones"], seconds: 60)
            defer { _ = try? Lab.run([executable, "lab", "down"]) }
            #expect(up.code == 0, "\(up.output)")
            let second = try Lab.run([executable, "lab", "up"])
            #expect(second.code == 1)
            #expect(second.output.contains("is up already"))
            let page = try Lab.run([
                executable, "lab", "exec", "ada", "--", "curl", "-sS", "-m", "10",
                "http://git.corp.example/",
            ])
            #expect(page.output.contains("Hello from headquarters"), "\(page.output)")
            let wrong = try Lab.run([executable, "lab", "exec", "nobody", "--", "true"])
            #expect(wrong.code == 2)
            let down = try Lab.run([executable, "lab", "down"])
            #expect(down.code == 0)
            #expect(!(try Lab.run(["ip", "netns", "list"]).output.contains("cvlab-")))
        }
    }
}
