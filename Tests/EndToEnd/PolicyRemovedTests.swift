import Foundation
import Lab
import Testing

extension EndToEnd {
    @Suite("A policy removed while traffic flows")
    struct PolicyRemovedTests {
        @Test(
            "the next ping is refused, the download is reset; added back it works without a query",
            .timeLimit(.minutes(3))
        )
        func removedAndAddedBack() throws {
            let demo = try RunningDemo("cvpol")
            defer { demo.remove() }
            let ada = demo.world.ada
            try demo.world.site.run(
                "dd",
                "if=/dev/zero",
                "of=\(demo.world.site.folder)/git.corp.example/big",
                "bs=1M",
                "count=64",
                "status=none"
            )
            let ping = try ada.start(
                "ping",
                ["ping", "-4", "-n", "-D", "-O", "-i", "0.2", "git.corp.example"]
            )
            try ping.waitForOutput("bytes from")
            let download = try ada.start(
                "download",
                [
                    "curl", "-4", "-sS", "--limit-rate", "1M", "-o", "/dev/null",
                    "http://git.corp.example/big",
                ]
            )
            func isOpen() throws -> Bool {
                try ada.run("ss", "-Htn", "state", "established").output.contains(":80")
            }
            #expect(try Lab.waits(seconds: 5, until: isOpen), "\(demo.logs)")

            let without = DemoNetwork.configuration.replacing(
                "  - group: Engineering\n    resource: Git\n",
                with: ""
            )
            try roles.apply(without, portal: demo.world.portal)
            try ping.waitForOutput("Packet filtered", seconds: 3)
            let isReset = try Lab.waits(seconds: 3) { try !isOpen() }
            #expect(isReset, "the connection lives on: \(demo.logs)")
            // What has come is read first, at the limited rate.
            try #require(download.wait(seconds: 30), "the download goes on: \(demo.logs)")
            #expect(download.code == 56, "curl ended with \(download.code): \(download.output)")
            let why = try roles.command(on: ada, "explain", "git.corp.example")
            #expect(why.code == 3, "\(why.output)")

            let before = ping.output.count
            try roles.apply(DemoNetwork.configuration, portal: demo.world.portal)
            let answersAgain = Lab.waits(seconds: 5) {
                ping.output.dropFirst(before).contains("bytes from")
            }
            #expect(answersAgain, "\(ping.output.suffix(500))\n\(demo.logs)")
            #expect(ping.isRunning)
        }
    }
}
