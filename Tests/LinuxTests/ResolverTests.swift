internal import Bytes
internal import CLinux
internal import Glibc
internal import IP
internal import SansIO
internal import Testing

@testable internal import Linux

@Suite("resolv.conf")
struct ResolverTests {
    /// A folder of its own with a file in it; removed at the end.
    struct Place: ~Copyable {
        let folder: String
        var path: String { folder + "/resolv.conf" }
        var configuration: ResolverConfiguration {
            ResolverConfiguration(path: path, folder: folder + "/state")
        }

        init(
            _ text: String? =
                "options edns0\nnameserver 192.0.2.1\nsearch a.example\nnameserver ::7"
        )
            throws
        {
            var random = Kernel.randomSource()
            folder = "/tmp/cvlx-\(random.next())"
            try SystemError.check("mkdir") { unsafe mkdir(folder, 0o755) }
            try SystemError.check("mkdir") { unsafe mkdir(folder + "/state", 0o755) }
            if let text { try TextFile.replace(path, Array(text.utf8)) }
        }

        deinit {
            for name in ["/resolv.conf", "/other"] { TextFile.remove(folder + name) }
            for name in ["original", "written", "edited", "link"] {
                TextFile.remove(folder + "/state/resolv.conf." + name)
            }
            _ = unsafe rmdir(folder + "/state")
            _ = unsafe rmdir(folder)
        }

        func text() throws -> String { String(decoding: try TextFile.read(path), as: UTF8.self) }
    }

    static let sentinels = (1...4).map { IPAddress(ipv4: 0x6464_6f00 + UInt32($0)) }

    @Test("reads servers, search list and options, and passes over the rest")
    func reads() {
        let text = """
            # comment
            nameserver 192.0.2.1
            nameserver\t2001:db8::1
            nameserver 192.0.2.1
            nameserver fe80::1%lo
            nameserver fe80::2
            nameserver fe80::3%nowhere
            nameserver nonsense
            domain old.example
            search a.example  b.example
            options ndots:2 edns0
            sortlist 10.0.0.0
            """
        let file = ResolverFile(Array(text.utf8))
        let loopback = IPAddress("fe80::1").map { $0.onLink(1) }
        let expected = [IPAddress("192.0.2.1"), IPAddress("2001:db8::1"), loopback]
        #expect(file.nameservers == expected.compactMap { $0 })
        #expect(loopback?.link == 1)
        #expect(file.search == ["a.example", "b.example"])
        #expect(file.options == ["ndots:2", "edns0"])
        #expect(!file.isMarked)
        #expect(ResolverFile([]) == ResolverFile(Array("\n\n".utf8)))
    }

    @Test("the first three servers are written, and all goes back byte for byte")
    func lifeCycle() throws {
        let place = try Place()
        let before = try place.text()
        let configuration = place.configuration
        #expect(try configuration.activate(nameservers: Self.sentinels) == .written(count: 3))
        let file = try ResolverFile.read(place.path)
        #expect(file.nameservers == Array(Self.sentinels.prefix(3)))
        #expect(file.search == ["a.example"])
        #expect(file.options == ["edns0"], "other options are kept")
        #expect(try configuration.hostConfiguration().nameservers.count == 2)
        #expect(try configuration.restore() == .restored)
        #expect(try place.text() == before)
        #expect(try configuration.restore() == .nothingToDo)
    }

    @Test("owner and rights of the file stay as they were")
    func rights() throws {
        let place = try Place()
        _ = unsafe chmod(place.path, 0o640)
        _ = try place.configuration.activate(nameservers: Self.sentinels, search: ["b.example"])
        var status = stat()
        _ = unsafe stat(place.path, &status)
        #expect(status.st_mode & 0o777 == 0o640)
        #expect(try ResolverFile.read(place.path).search == ["b.example"])
    }

    @Test("after a crash the next start finds the original, and it is not lost by starting twice")
    func crash() throws {
        let place = try Place()
        let before = try place.text()
        _ = try place.configuration.activate(nameservers: Self.sentinels)
        // Another process: nothing is remembered but what is on the disk.
        let other = place.configuration
        #expect(try other.activate(nameservers: [Self.sentinels[3]]) == .written(count: 1))
        #expect(try other.hostConfiguration().nameservers.count == 2)
        #expect(try other.restore() == .restored)
        #expect(try place.text() == before)
    }

    @Test("a file that somebody else has put there since is respected")
    func foreign() throws {
        let place = try Place()
        let configuration = place.configuration
        _ = try configuration.activate(nameservers: Self.sentinels)
        let foreign = "nameserver 198.51.100.1\n"
        try TextFile.replace(place.path, Array(foreign.utf8))
        #expect(throws: ResolverError.changedByOthers(path: place.path)) {
            try configuration.activate(nameservers: [Self.sentinels[3]])
        }
        #expect(try configuration.hostConfiguration().nameservers.count == 1)
        #expect(try configuration.restore() == .changedByOthers)
        #expect(try place.text() == foreign)
        #expect(try configuration.activate(nameservers: Self.sentinels) == .written(count: 3))
    }

    @Test("edits of our file are kept aside when the original goes back")
    func edited() throws {
        let place = try Place()
        let before = try place.text()
        let configuration = place.configuration
        _ = try configuration.activate(nameservers: Self.sentinels)
        let edited = try place.text() + "options rotate\n"
        try TextFile.overwrite(place.path, Array(edited.utf8))
        #expect(throws: ResolverError.changedByOthers(path: place.path)) {
            try configuration.activate(nameservers: [Self.sentinels[3]])
        }
        let kept = place.folder + "/state/resolv.conf.edited"
        #expect(try configuration.restore() == .restoredOverEdits(kept: kept))
        #expect(try place.text() == before)
        #expect(try TextFile.read(kept) == Array(edited.utf8))
    }

    @Test("a symbolic link is left alone, and its target is named")
    func symbolicLink() throws {
        let place = try Place(nil)
        let target = place.folder + "/other"
        try TextFile.replace(target, Array("nameserver 192.0.2.9\n".utf8))
        _ = unsafe symlink(target, place.path)
        let configuration = place.configuration
        #expect(throws: ResolverError.symbolicLink(path: place.path, target: target)) {
            try configuration.activate(nameservers: Self.sentinels)
        }
        #expect(try configuration.hostConfiguration().nameservers.count == 1)
        #expect(try configuration.restore() == .nothingToDo)
    }

    @Test("what says that servers are to be believed about DNSSEC is not carried over to ours")
    func trustAD() throws {
        let place = try Place(
            "nameserver ::1\noptions edns0 trust-ad\noptions trust-ad\nsortlist 10.0.0.0\n"
        )
        let before = try place.text()
        _ = try place.configuration.activate(nameservers: Self.sentinels)
        let text = try place.text()
        #expect(text.hasSuffix("options edns0\nsortlist 10.0.0.0\n"))
        #expect(!text.contains("trust-ad"))
        _ = try place.configuration.restore()
        #expect(try place.text() == before)
    }

    @Test(
        "a link to a file of systemd-resolved gives way where that is asked for, and comes back",
        arguments: [
            "../run/systemd/resolve/stub-resolv.conf", "/run/systemd/resolve/resolv.conf",
            "/usr/lib/systemd/resolv.conf",
        ]
    )
    func linkToResolved(target: String) throws {
        let place = try Place(nil)
        _ = unsafe symlink(target, place.path)
        let configuration = place.configuration
        let source: ResolverConfiguration.Source =
            target.hasSuffix("resolve/resolv.conf") ? .resolvedServers : .resolved
        #expect(try configuration.source() == source)
        #expect(throws: ResolverError.symbolicLink(path: place.path, target: target)) {
            try configuration.activate(nameservers: Self.sentinels)
        }
        // The second time, ours is in place already.
        for _ in 0..<2 {
            let activation = try configuration.activate(
                nameservers: Self.sentinels,
                replacesResolved: true
            )
            #expect(activation == .written(count: 3))
            #expect(try ResolverFile.read(place.path).isMarked)
            #expect(try configuration.source() == source, "without us")
        }
        #expect(try place.configuration.restore() == .restored)
        var buffer = [UInt8](repeating: 0, count: 100)
        let count = unsafe readlink(place.path, &buffer, buffer.count)
        #expect(String(decoding: buffer.prefix(max(count, 0)), as: UTF8.self) == target)
        #expect(try configuration.restore() == .nothingToDo)
    }

    @Test("a link that somebody has put in place of our file is respected")
    func foreignLink() throws {
        let place = try Place()
        let configuration = place.configuration
        _ = try configuration.activate(nameservers: Self.sentinels)
        let target = place.folder + "/other"
        try TextFile.replace(target, Array("nameserver 192.0.2.9\n".utf8))
        try TextFile.link(place.path, to: target)
        #expect(throws: ResolverError.symbolicLink(path: place.path, target: target)) {
            try configuration.activate(nameservers: Self.sentinels, replacesResolved: true)
        }
        #expect(try configuration.source() == .other(target: target))
        #expect(try configuration.restore() == .changedByOthers)
        #expect(try place.text() == "nameserver 192.0.2.9\n")
    }

    @Test(
        "whom programs ask: the file's servers, or resolved by its address",
        arguments: zip(["192.0.2.1", "127.0.0.53", "127.0.0.1"], [false, true, false])
    )
    func source(server: String, isResolved: Bool) throws {
        let place = try Place("nameserver \(server)\n")
        #expect(try place.configuration.source() == (isResolved ? .resolved : .file))
    }

    @Test("without servers the host's own file is in place")
    func noServers() throws {
        let place = try Place()
        let before = try place.text()
        let configuration = place.configuration
        #expect(try configuration.activate(nameservers: []) == .untouched)
        #expect(try place.text() == before)
        _ = try configuration.activate(nameservers: Self.sentinels)
        #expect(try configuration.activate(nameservers: []) == .untouched)
        #expect(try place.text() == before)
    }

    @Test("everybody may read our file, whatever the process's umask", .enabled(if: geteuid() == 0))
    func readable() throws {
        let place = try Place(nil)
        let configuration = place.configuration
        // A thread with a mount namespace of its own has an umask of its own.
        let activation = try DedicatedThread.run { () -> ResolverConfiguration.Activation? in
            guard culvert_unshare_mounts() == 0 else { return nil }
            _ = umask(0o077)
            return try? configuration.activate(nameservers: Self.sentinels)
        }
        #expect(activation == .written(count: 3))
        var status = stat()
        _ = unsafe stat(place.path, &status)
        #expect(status.st_mode & 0o777 == 0o644)
    }

    @Test("a host without the file gets one, which is empty afterwards")
    func missing() throws {
        let place = try Place(nil)
        let configuration = place.configuration
        #expect(try configuration.activate(nameservers: Self.sentinels) == .written(count: 3))
        #expect(try configuration.restore() == .restored)
        #expect(try place.text() == "")
    }

    @Test("our file without its original is an error that says what to do")
    func lost() throws {
        let place = try Place()
        let configuration = place.configuration
        _ = try configuration.activate(nameservers: Self.sentinels)
        let original = place.folder + "/state/resolv.conf.original"
        TextFile.remove(original)
        let expected = ResolverError.originalLost(path: place.path, original: original)
        #expect(throws: expected) { try configuration.restore() }
        #expect(expected.description.contains("Write"))
    }

    @Test("a file that is a mount of its own is written in place", .enabled(if: geteuid() == 0))
    func bindMount() throws {
        let place = try Place()
        let before = try place.text()
        let (path, configuration) = (place.path, place.configuration)
        // The mount is seen by this thread's namespace only, and goes with it.
        let texts: Result<[String], SystemError> = try DedicatedThread.run {
            do throws(SystemError) {
                try TestMount.bindOnItself(path)
                var texts: [String] = []
                _ = try? configuration.activate(nameservers: Self.sentinels)
                texts.append(String(decoding: try TextFile.read(path), as: UTF8.self))
                _ = try? configuration.restore()
                texts.append(String(decoding: try TextFile.read(path), as: UTF8.self))
                return .success(texts)
            } catch {
                return .failure(error)
            }
        }
        let seen = try texts.get()
        #expect(seen[0].contains("nameserver 100.100.111.1\n"))
        #expect(seen[1] == before)
        #expect(try place.text() == before, "the same file without the mount")
    }
}
