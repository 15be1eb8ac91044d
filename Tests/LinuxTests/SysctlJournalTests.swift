internal import Glibc
internal import Testing

@testable internal import Linux

extension KernelTests {
    @Suite("Settings and numbers that outlive a killed gateway")
    struct SysctlJournalTests {
        /// Settings of a router are all as they were, whatever the kernel changes along with them.
        @Test("settings that the kernel changes along with forwarding are put back too")
        func disturbed() throws {
            let namespace = try NetworkNamespace()
            try run("ip link set lo up", in: namespace)
            try run(
                "sysctl -qw net.ipv4.conf.all.accept_redirects=0 net.ipv4.conf.lo.forwarding=1 "
                    + "net.ipv6.conf.lo.forwarding=1",
                in: namespace
            )
            let before = try settings(in: namespace)
            _ = try make(in: namespace) {
                var journal = SysctlJournal()
                try Forwarding.enable(&journal)
                _ = Forwarding.track(sessions: 1, &journal)
                journal.undo()
            }
            #expect(try settings(in: namespace) == before)
        }

        @Test("what a killed process has changed is put back by the next one")
        func killed() throws {
            let namespace = try NetworkNamespace()
            let folder = try TestFolder()
            let path = folder.path
            let before = try settings(in: namespace)
            _ = try make(in: namespace) {
                var journal = try SysctlJournal(folder: path)
                try Forwarding.enable(&journal)
            }
            #expect(try settings(in: namespace) != before)
            _ = try make(in: namespace) {
                var journal = try SysctlJournal(folder: path)
                // It finds all as it wants it.
                try Forwarding.enable(&journal)
                journal.undo()
            }
            #expect(try settings(in: namespace) == before)
            #expect(try run("ls \(path)", in: namespace).isEmpty)
        }

        @Test("what was changed after a process was killed is left alone")
        func changedSince() throws {
            let namespace = try NetworkNamespace()
            let folder = try TestFolder()
            let path = folder.path
            let name = "net.ipv4.conf.all.src_valid_mark"
            let values = try make(in: namespace) {
                do {
                    var journal = try SysctlJournal(folder: path)
                    try journal.set(name, "1")
                }
                try Sysctl.write(name, "0")
                var journal = try SysctlJournal(folder: path)
                try Sysctl.write(name, "1")
                journal.undo()
                return try Sysctl.read(name)
            }
            #expect(values == "1")
        }

        @Test("the last of two gateways puts everything back")
        func shared() throws {
            let namespace = try NetworkNamespace()
            let folder = try TestFolder()
            let path = folder.path
            let before = try settings(in: namespace)
            let kept = try make(in: namespace) {
                var first = try SysctlJournal(folder: path)
                try Forwarding.enable(&first)
                var second = try SysctlJournal(folder: path)
                try Forwarding.enable(&second)
                first.undo()
                let between = try Sysctl.read("net.ipv4.ip_forward")
                _ = consume first
                second.undo()
                return between
            }
            #expect(kept == "1")
            #expect(try settings(in: namespace) == before)
        }

        @Test("gateways of one namespace have numbers of their own, and clean up after the dead")
        func slots() throws {
            let namespace = try NetworkNamespace()
            let folder = try TestFolder()
            let path = folder.path
            let numbers = try make(in: namespace) {
                let first = try GatewaySlot(folder: path)
                var numbers = [first.number]
                do {
                    let second = try GatewaySlot(folder: path)
                    numbers.append(second.number)
                    try GatewayFirewall(tunnelInterface: "x0", ranges: []).install()
                    try GatewayFirewall(tunnelInterface: "x1", ranges: [], number: 1).install()
                    try GatewaySlot.removeRemains(folder: path)
                    numbers.append(second.plan.table == first.plan.table ? 1 : 0)
                }
                return numbers
            }
            #expect(numbers == [0, 1, 0])
            let both = try run("nft list tables", in: namespace)
            #expect(both == "table inet culvert\ntable inet culvert-1\n")
            _ = try make(in: namespace) { try GatewaySlot.removeRemains(folder: path) }
            #expect(try run("nft list tables", in: namespace).isEmpty)
        }

        @Test("what a host lacks is named, and nothing that it has")
        func missing() throws {
            let namespace = try NetworkNamespace()
            let names = try make(in: namespace) {
                try Forwarding.missing(sessions: 1 << 24).map(\.description)
            }
            #expect(names.contains("net.ipv4.ip_forward=1"))
            #expect(names.contains("net.ipv6.conf.all.forwarding=1"))
            #expect(names.contains("net.netfilter.nf_conntrack_max=16777216"))
            let rest = try make(in: namespace) {
                var journal = SysctlJournal()
                try Forwarding.enable(&journal)
                let unmet = Forwarding.track(sessions: 1 << 24, &journal).map(\.description)
                return (unmet, try Forwarding.missing(sessions: 1).map(\.description))
            }
            // Only the machine itself may have a larger table.
            #expect(rest.0 == ["net.netfilter.nf_conntrack_max=16777216"])
            #expect(rest.1.isEmpty)
        }

        @Test("an interface with an advertised default route goes on listening, others do not")
        func advertised() throws {
            let pair = try Pair()
            try run("ip -6 route add default via fd09::2 dev cvlxa proto ra", in: pair.near)
            let names = ["cvlxa", "lo"].map { "net/ipv6/conf/\($0)/accept_ra" }
            let values = try make(in: pair.near) {
                var journal = SysctlJournal()
                let before = try names.map { try Sysctl.read($0) }
                try Forwarding.enable(&journal)
                let during = try names.map { try Sysctl.read($0) }
                journal.undo()
                return (before, during, try names.map { try Sysctl.read($0) })
            }
            #expect(values.0 == ["1", "1"])
            #expect(values.1 == ["2", "1"])
            #expect(values.2 == values.0)
        }

        private func settings(in namespace: borrowing NetworkNamespace) throws -> String {
            try run("sysctl -a -r net.ipv[46]|conntrack_(icmp|max)", in: namespace)
        }
    }
}

/// A folder that goes with the test.
struct TestFolder: ~Copyable {
    let path: String

    init() throws {
        path = "/tmp/culvert-journal-\(getpid())-\(UInt32.random(in: 0...(.max)))"
        guard unsafe mkdir(path, 0o700) == 0 else { throw SceneryError(description: path) }
    }

    deinit { _ = try? Subprocess.run("/bin/rm", ["-r", path]) }
}
