internal import Bytes
internal import CLinux
internal import Foundation
internal import Glibc
internal import IP
internal import SansIO
internal import Synchronization
internal import Testing

@testable internal import Linux

/// A folder that goes with the test.
private struct Folder: ~Copyable {
    let path: String
    init() throws {
        path = "/tmp/culvert-succession-\(getpid())-\(UInt32.random(in: 0..<UInt32.max))"
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    }
    deinit { try? FileManager.default.removeItem(atPath: path) }
}

@Suite("What one process leaves to the next")
struct SuccessionTests {
    @Test("a sealed memory file is read as often as wanted, and changed by nobody")
    func sealed() throws {
        var bytes = [UInt8](0..<200)
        let file = try SealedMemory.make(wiping: &bytes)
        #expect(bytes.isEmpty)
        for _ in 0..<2 { #expect(try SealedMemory.read(file) == [UInt8](0..<200)) }
        #expect(throws: SystemError.self) { try file.writeAll([1]) }
        #expect(ftruncate(file.raw, 10) < 0)
        #expect(ftruncate(file.raw, 1_000) < 0)
    }

    @Test("a memory file that is not sealed, or no memory file, is refused")
    func unsealed() throws {
        let open = FileDescriptor(taking: unsafe culvert_sealable_memory_file("test"))
        try open.writeAll([1, 2, 3])
        #expect(throws: SystemError.self) { _ = try SealedMemory.read(open) }
        let null = try FileDescriptor(open: "/dev/null", flags: O_RDWR)
        #expect(throws: SystemError.self) { _ = try SealedMemory.read(null) }
    }

    @Test("a ticket lets one through, whoever has a copy of it")
    func ticket() throws {
        let ticket = try OneTimeTicket.make()
        let copy = FileDescriptor(taking: dup(ticket.raw))
        let null = try FileDescriptor(open: "/dev/null", flags: O_RDWR)
        let uses = [OneTimeTicket.use(copy), OneTimeTicket.use(copy), OneTimeTicket.use(ticket)]
        let isTicket = OneTimeTicket.use(null)
        #expect(uses == [true, false, false])
        #expect(!isTicket)
    }

    @Test("descriptors arrive by their names, and the end of their giver is seen")
    func passed() throws {
        let folder = try Folder()
        let path = folder.path + "/takeover.sock"
        let socket = try SuccessionSocket(listeningAt: path)
        var state = [UInt8]("the state".utf8)
        var given = DescriptorSet()
        given.add(try SealedMemory.make(wiping: &state), as: DescriptorSet.Name.state)
        given.add(try OneTimeTicket.make(), as: DescriptorSet.Name.ticket)
        given.add(try FileDescriptor(datagrams: .ipv4), as: DescriptorSet.Name.socket)
        given.add(try FileDescriptor(datagrams: .ipv6), as: DescriptorSet.Name.socket)
        let successor = try #require(try Connection(to: path))
        try Connection.give(given, socket.accept())
        #expect(successor.waits())
        var received = try successor.receive()
        #expect(received.names == given.names)
        let file = Connection(received.take(DescriptorSet.Name.state))
        let text = try file.map { try SealedMemory.read($0.descriptor) }
        #expect(text == [UInt8]("the state".utf8))
        #expect(successor.waits(), "the end of the connection")
        #expect(throws: SceneryError.self) { _ = try successor.receive() }
    }

    @Test("nobody listens: that is no error")
    func nobody() throws {
        let folder = try Folder()
        let path = folder.path + "/takeover.sock"
        #expect(try Connection(to: path) == nil)
        do { _ = try SuccessionSocket(listeningAt: path) }
        #expect(try Connection(to: path) == nil, "what is left there is nobody")
        _ = try SuccessionSocket(listeningAt: path)
    }

    @Test("the service manager keeps descriptors by name, and has them when we go on")
    func stored() throws {
        let folder = try Folder()
        let manager = try FakeManager(folder.path + "/notify")
        let service = try #require(
            ServiceManager { $0 == "NOTIFY_SOCKET" ? folder.path + "/notify" : nil }
        )
        var set = DescriptorSet()
        set.add(try OneTimeTicket.make(), as: DescriptorSet.Name.ticket)
        set.add(try FileDescriptor(datagrams: .ipv4), as: DescriptorSet.Name.socket)
        try service.store(set)
        #expect(
            manager.messages == [
                "FDSTORE=1\nFDPOLL=0\nFDNAME=culvert-ticket 1",
                "FDSTORE=1\nFDPOLL=0\nFDNAME=culvert-udp 1",
                "BARRIER=1 1",
            ]
        )
        try service.forget(["culvert-udp"])
        manager.wait(for: 4)
        #expect(manager.messages.last == "FDSTOREREMOVE=1\nFDNAME=culvert-udp 0")
    }

    @Test("without a manager nothing is kept")
    func unmanaged() {
        #expect(ServiceManager { _ in nil } == nil)
        #expect(ServiceManager { _ in "" } == nil)
    }

    @Test("a restart is told from a stop, by the manager's own words")
    func jobs() {
        let unit = "culvert-gateway.service"
        let restart = " 812 culvert-gateway.service restart running\n"
        let stop = " 813 culvert-gateway.service stop    running\n"
        #expect(ServiceManager.hasRestart(of: unit, in: restart))
        #expect(!ServiceManager.hasRestart(of: unit, in: stop))
        #expect(!ServiceManager.hasRestart(of: unit, in: "No jobs running.\n"))
        #expect(!ServiceManager.hasRestart(of: "other.service", in: restart))
        #expect(ServiceManager.unit(in: "0::/system.slice/\(unit)\n") == unit)
        #expect(ServiceManager.unit(in: "0::/system.slice/\(unit)/sub\n") == unit)
        #expect(ServiceManager.unit(in: "0::/user.slice/user-0.slice/session-1.scope\n") == nil)
        #expect(ServiceManager.unit(in: "") == nil)
    }
}

/// A connection in a test, which cannot look into what is not copyable.
private final class Connection: Equatable {
    let descriptor: FileDescriptor

    init?(_ descriptor: consuming FileDescriptor?) {
        guard let descriptor else { return nil }
        self.descriptor = descriptor
    }

    convenience init?(to path: String) throws {
        self.init(try SuccessionSocket.connect(to: path))
    }

    func waits() -> Bool { SuccessionSocket.wait(for: descriptor, .seconds(10)) }

    func receive() throws -> DescriptorSet {
        guard let set = try DescriptorSet.receive(from: descriptor) else {
            throw SceneryError(description: "ended")
        }
        return set
    }

    static func give(_ set: borrowing DescriptorSet, _ to: consuming FileDescriptor?) throws {
        guard let to else { throw SceneryError(description: "nobody asked") }
        try set.send(over: to)
    }

    static func == (lhs: Connection, rhs: Connection) -> Bool { lhs === rhs }
}

/// Notes what it is told, each with its number of descriptors, which it closes.
private final class FakeManager: Sendable {
    private let all: Mutex<[String]>
    private let socket: FileDescriptor

    init(_ path: String) throws {
        let address = try LocalAddress(path)
        socket = try FileDescriptor(socket: AF_UNIX, type: Int32(SOCK_DGRAM.rawValue))
        let raw = socket.raw
        try SystemError.check("bind") { unsafe address.withPointer { unsafe bind(raw, $0, $1) } }
        all = Mutex([])
        try DedicatedThread.start(name: "fake-manager") { while self.note() {} }
    }

    /// Waits for a message; noted before its descriptors are closed, so that whoever waits for
    /// that finds it.
    private func note() -> Bool {
        guard let message = try? DescriptorMessage.receive(from: socket) else { return false }
        all.withLock { $0.append("\(message.text) \(message.descriptors.count)") }
        for descriptor in message.descriptors { close(descriptor) }
        return true
    }

    var messages: [String] { all.withLock { $0 } }

    func wait(for count: Int) {
        let end = SystemClock.now().advanced(by: .seconds(10))
        while messages.count < count, SystemClock.now() < end { sched_yield() }
    }
}
