internal import Bytes
internal import Control
internal import Daemon
internal import Foundation
internal import IP
internal import Linux
internal import SansIO
internal import WireGuard

/// What a role reads off its host.
enum HostFacts {
    /// The wall clock at this moment, for handshake timestamps that only grow.
    static func wallStart() -> WallStart {
        let wall = SystemClock.wall()
        return WallStart(
            unixNanoseconds: UInt64(max(0, wall.seconds)) * 1_000_000_000
                + UInt64(wall.nanoseconds),
            at: SystemClock.now()
        )
    }

    /// The name servers of a resolv.conf.
    static func nameServers(of path: String) -> [Endpoint] {
        resolverFile(path).nameservers.map { Endpoint($0, port: 53) }
    }

    /// What a resolv.conf says; nothing where there is none.
    static func resolverFile(_ path: String) -> ResolverFile {
        ResolverFile([UInt8](FileManager.default.contents(atPath: path) ?? Data()))
    }

    /// The lines of the hosts file.
    static func hostsFile() -> [(name: String, addresses: [IPAddress])] {
        let text = String(
            decoding: FileManager.default.contents(atPath: "/etc/hosts") ?? Data(),
            as: UTF8.self
        )
        var entries: [(name: String, addresses: [IPAddress])] = []
        for line in text.split(separator: "\n") {
            let words = line.prefix { $0 != "#" }.split(whereSeparator: \.isWhitespace)
            guard let address = words.first.flatMap({ IPAddress(String($0)) }) else { continue }
            for name in words.dropFirst().map({ $0.lowercased() }) {
                if let index = entries.firstIndex(where: { $0.name == name }) {
                    entries[index].addresses.append(address)
                } else {
                    entries.append((name, [address]))
                }
            }
        }
        return entries
    }

    /// Tells of changes of the host's network soon enough for a client to be reached again within a
    /// second of its new address.
    static func networkMonitor(ignoring interface: UInt32, files: [String]) throws -> NetworkMonitor
    {
        try inWords {
            try NetworkMonitor(
                ignoring: interface,
                files: files,
                quiet: .milliseconds(50),
                longest: .milliseconds(250)
            )
        }
    }

    /// A public key as the portal takes it.
    static func text(of key: [UInt8]) -> KeyText {
        guard let text = KeyText(bytes: key) else { preconditionFailure("a key has 32 bytes") }
        return text
    }

    /// A failure of the kernel's as a sentence.
    static func inWords<Value: ~Copyable>(_ body: () throws -> Value) throws -> Value {
        do { return try body() } catch let sentence as Sentence { throw sentence } catch {
            throw Sentence("\(error)")
        }
    }

    /// The operating system's name for the portal.
    static let system = "linux"
}
