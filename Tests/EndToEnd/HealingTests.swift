import Foundation
import Lab
import Testing

extension EndToEnd {
    @Suite("What can heal is tried again, and said in words until then")
    struct HealingTests {
        @Test("the portal is away: gateway and client say so, and connect when it comes")
        func portalAway() throws {
            let world = try FaultWorld("cvaway")
            defer { world.remove() }
            world.stopPortal()
            let gateway = try world.host.start("gateway", world.words("gateway"))
            let client = try world.host.start("client", world.words("client", "--dns", "off"))
            let sentence = "The portal at \(FaultWorld.url) cannot be reached: Connection refused."
            for role in [gateway, client] { try role.waitForOutput(sentence) }
            let status = try roles.command(on: world.host, "status")
            #expect(status.output.contains("connecting to \(FaultWorld.url)"), "\(status.output)")
            try FaultWorld.startPortal(on: world.portal)
            for role in [gateway, client] { try role.waitForOutput("connected to the portal") }
            let healed = try roles.command(on: world.host, "status", "--wait", "20s")
            #expect(healed.code == 0, "\(healed.output)")
        }

        @Test("a clock wrong by a day works, by more it is said; set right, it heals")
        func clock() throws {
            let world = try FaultWorld("cvclock")
            defer { world.remove() }
            let clock = try WrongClock(on: world.host)
            for days in [-0.99, 1] {
                try clock.set(days: days)
                let client = try world.host.start(
                    "client",
                    clock.words + world.words("client", "--dns", "off")
                )
                try client.waitForOutput("connected to the portal")
                client.stop()
            }
            try clock.set(days: -2)
            for role in ["client", "gateway"] {
                let running = try world.host.start(role, clock.words + world.words(role))
                try running.waitForOutput("The portal's certificate is valid from ")
                try running.waitForOutput("; set the clock.")
            }
            try clock.set(days: 0)
            let healed = try roles.command(on: world.host, "status", "--wait", "20s")
            #expect(healed.code == 0, "\(healed.output)")
        }

        @Test("a full disk: a portal does not start, or refuses the change and keeps what it had")
        func fullDiskOfPortal() throws {
            let world = try FaultWorld("cvfull")
            defer { world.remove() }
            let disk = try SmallDisk(on: world.portal)
            defer { disk.remove() }
            try disk.fill()
            let refused = try world.portal.run(
                executable,
                "portal",
                "--listen",
                ":9443",
                "--url",
                "https://203.0.113.10:9443",
                "--state",
                disk.path
            )
            #expect(refused.code == 1, "\(refused.output)")
            #expect(refused.output.lowercased().contains("no space left"), "\(refused.output)")
            #expect(try disk.files() == [], "something half written")

            try disk.free()
            try FaultWorld.startPortal(on: world.portal, state: disk.path, port: 9443)
            let socket = disk.path + "/culvert.sock"
            let small = try world.portal.write("small.yaml", DemoNetwork.configuration)
            func run(_ words: String...) throws -> Outcome {
                try world.portal.run([executable] + words + ["--socket", socket])
            }
            #expect(try run("apply", "-f", small).code == 0)
            let before = try run("export").output
            try disk.fill()
            let many = (1...60).map {
                "  - { name: R\($0), address: r\($0).corp.example, site: headquarters }\n"
            }
            let large = try world.portal.write(
                "large.yaml",
                DemoNetwork.configuration.replacing("groups:", with: many.joined() + "groups:")
            )
            let change = try run("apply", "-f", large)
            #expect(change.code == 1, "\(change.output)")
            #expect(change.output.contains("The change was not made, since no space is left"))
            #expect(try run("export").output == before)
            try disk.free()
            let again = try run("apply", "-f", large)
            #expect(again.code == 0, "\(again.output)")
        }

        @Test("a full disk: a client says that names are not answered, and heals")
        func fullDiskOfClient() throws {
            let world = try FaultWorld("cvfulc")
            defer { world.remove() }
            let disk = try SmallDisk(on: world.host)
            defer { disk.remove() }
            try disk.fill()
            let before = world.host.resolverConfiguration
            let client = try world.host.start(
                "client",
                [
                    executable, "client", "--token-file", try #require(world.tokens["client"]),
                    "--state", disk.path,
                ]
            )
            try client.waitForOutput("names are not answered: ")
            try client.waitForOutput("No space left on device")
            #expect(world.host.resolverConfiguration == before)
            try disk.free()
            try client.waitForOutput("names are answered again")
            #expect(world.host.resolverConfiguration.contains("nameserver 100.100.111."))
            client.stop()
            #expect(world.host.resolverConfiguration == before)
        }
    }

    /// A file system of 1 MiB that can be filled to the last block.
    struct SmallDisk {
        let path: String

        init(on host: LabHost) throws {
            path = "\(host.folder)/disk"
            try FileManager.default.createDirectory(
                atPath: path,
                withIntermediateDirectories: true
            )
            try Lab.must(["mount", "-t", "tmpfs", "-o", "size=1m,mode=700", "none", path])
        }

        func fill() throws {
            let outcome = try Lab.run(["dd", "if=/dev/zero", "of=\(path)/filler", "bs=4k"])
            guard outcome.output.contains("No space left") else {
                throw LabError("\(path) is not full: \(outcome.output)")
            }
        }

        func free() throws { try FileManager.default.removeItem(atPath: path + "/filler") }

        func files() throws -> [String] {
            try FileManager.default.contentsOfDirectory(atPath: path)
                .filter { $0 != "filler" && $0 != "lock" }
        }

        func remove() { _ = try? Lab.run(["umount", "--lazy", path]) }
    }

    /// A wall clock that is off, for the processes started with its words: a library put before the
    /// system's adds to the time of day what a file says.
    struct WrongClock {
        let words: [String]
        private let file: String

        init(on host: LabHost) throws {
            file = try host.write("clock", "0")
            let source = try host.write("clock.c", Self.source)
            let library = "\(host.folder)/clock.so"
            try Lab.must(["cc", "-shared", "-fPIC", "-O1", "-o", library, source])
            words = ["env", "LD_PRELOAD=\(library)", "CLOCK_OFFSET_FILE=\(file)"]
        }

        func set(days: Double) throws {
            try Data("\(Int(days * 86_400))".utf8).write(to: URL(filePath: file))
        }

        private static let source = """
            #define _GNU_SOURCE
            #include <stdio.h>
            #include <stdlib.h>
            #include <sys/syscall.h>
            #include <sys/time.h>
            #include <time.h>
            #include <unistd.h>
            static long offset(void) {
                FILE *file = fopen(getenv("CLOCK_OFFSET_FILE"), "r");
                long seconds = 0;
                if (file) {
                    if (fscanf(file, "%ld", &seconds) != 1) seconds = 0;
                    fclose(file);
                }
                return seconds;
            }
            int clock_gettime(clockid_t clock, struct timespec *now) {
                long result = syscall(SYS_clock_gettime, clock, now);
                if (result == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE))
                    now->tv_sec += offset();
                return (int)result;
            }
            int gettimeofday(struct timeval *now, void *zone) {
                struct timespec precise;
                (void)zone;
                int result = clock_gettime(CLOCK_REALTIME, &precise);
                now->tv_sec = precise.tv_sec;
                now->tv_usec = precise.tv_nsec / 1000;
                return result;
            }
            time_t time(time_t *place) {
                struct timespec now;
                clock_gettime(CLOCK_REALTIME, &now);
                if (place) *place = now.tv_sec;
                return now.tv_sec;
            }
            """
    }
}
