import Glibc
import Testing

@testable import Linux

@Suite("Threads of our own")
struct DedicatedThreadTests {
    @Test("a patient thread interrupts nobody when it is woken; others stay as they are")
    func patience() throws {
        let batch: Int32 = 3
        let policies = try DedicatedThread.run {
            let before = sched_getscheduler(0)
            DedicatedThread.wakePatiently()
            return (before, sched_getscheduler(0))
        }
        #expect(policies.0 != batch)
        #expect(policies.1 == batch)
        #expect(try DedicatedThread.run { sched_getscheduler(0) } == policies.0)
    }
}
