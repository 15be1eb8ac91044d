internal import Bytes
internal import Glibc
internal import IP
internal import Synchronization
internal import Testing

@testable internal import Linux

extension KernelTests {
    @Suite("Devices and sockets")
    struct DeviceTests {
        @Test("a tunnel device has the MTU, is up, and has no address of its own")
        func configured() throws {
            let namespace = try NetworkNamespace()
            let device = try make(in: namespace) {
                let device = try TunnelDevice(name: "cvlxt")
                try device.configure()
                return device
            }
            #expect(device.name == "cvlxt")
            let offloads = device.offloads
            #expect(offloads.contains([.checksum, .tcp]))
            let text = try run("ip address show dev cvlxt", in: namespace)
            #expect(text.contains("mtu 1280"))
            #expect(text.contains("qlen 10000"))
            #expect(text.contains("UP"))
            #expect(!text.contains("inet6"), "no automatic link-local address")
        }

        @Test("a taken name and an impossible one are errors that say so")
        func names() throws {
            let namespace = try NetworkNamespace()
            let first = try make(in: namespace) { try TunnelDevice(name: "cvlxt") }
            #expect(throws: TunnelError.nameTaken("cvlxt")) {
                _ = try make(in: namespace) { try TunnelDevice(name: "cvlxt") }
            }
            let index = first.index
            #expect(index > 0)
            for name in ["", "a/b", "sixteen-letters-", "a b"] {
                #expect(throws: TunnelError.invalidName(name)) {
                    _ = try make(in: namespace) { try TunnelDevice(name: name) }
                }
            }
        }

        @Test("a port in use gives another one, the same for both families, and a note")
        func portTaken() throws {
            let namespace = try NetworkNamespace()
            let first = try make(in: namespace) { try UDPSockets(preferredPort: 52_625) }
            let notes = Mutex<[UDPSockets.Note]>([])
            let port = first.port
            #expect(port == 52_625)
            let second = try make(in: namespace) {
                try UDPSockets(preferredPort: 52_625) { note in notes.withLock { $0.append(note) } }
            }
            let taken = second.port
            #expect(taken != 52_625)
            #expect(notes.withLock { $0 } == [.portTaken(preferred: 52_625, taken: taken)])
            let families = second.families
            #expect(families == [.ipv4, .ipv6])
            let bound = try second.all.map { try boundPort(of: $0.descriptor) }
            #expect(bound == [taken, taken])
        }

        @Test("a host without IPv6 gets its IPv4 socket, routes and addresses")
        func withoutIPv6() throws {
            let namespace = try NetworkNamespace()
            try run(
                "sysctl -q net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.default.disable_ipv6=1",
                in: namespace
            )
            let prefixes = try ["100.96.0.0/11", "fd77::/64"].map { try #require(IPPrefix($0)) }
            let report = try NetlinkTests.apply(prefixes, in: namespace)
            #expect(report.missingFamilies == [.ipv6])
            let text = try run("ip route get 100.97.1.1", in: namespace)
            #expect(text.contains("dev cvlxt"))
        }

        @Test("a written file is a change of the network")
        func watchedFile() async throws {
            let place = try ResolverTests.Place()
            let path = place.path
            let monitor = try NetworkMonitor(
                ignoring: nil,
                files: [path],
                quiet: .milliseconds(50)
            )
            var changes = monitor.changes.makeAsyncIterator()
            try TextFile.replace(path, [1])
            await changes.next()
            #expect(monitor.takeKinds().contains(.files))
            try TextFile.overwrite(path, [2])
            await changes.next()
            monitor.stop()
            _ = place.folder
        }
    }
}
