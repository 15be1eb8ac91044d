internal import Glibc
internal import SansIO
internal import Testing

@testable internal import Linux

@Suite("Programs that are run")
struct SubprocessTests {
    @Test("one that does not end is ended, and one whose output stays open is not waited for")
    func timeout() throws {
        let start = SystemClock.now()
        for line in ["sleep 100", "sleep 3 & exit 0"] {
            let expected = SystemError(call: "wait for /bin/sh", code: ETIMEDOUT)
            #expect(throws: expected) {
                try Subprocess.run("/bin/sh", ["-c", line], timeout: .milliseconds(100))
            }
        }
        #expect(start.duration(to: SystemClock.now()) < .seconds(3))
    }

    @Test("one that ends in time: its status and all that it said")
    func ends() throws {
        let outcome = try Subprocess.run(
            "/bin/sh",
            ["-c", "cat; echo done >&2; exit 3"],
            input: "in ",
            timeout: .seconds(10)
        )
        #expect(outcome == .init(status: 3, output: "in done\n"))
    }
}
