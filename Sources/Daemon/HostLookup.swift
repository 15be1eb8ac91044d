public import Bytes
internal import DNS
internal import Foundation
internal import IP
public import NIOCore
public import NIOPosix
internal import Synchronization

/// Finds the addresses of the portal, of relays and of nameservers known by name, by asking the
/// host's original name servers, around the tunnel.
///
/// `getaddrinfo` would ask our own stub. The hosts file comes first; what was found counts for its
/// time to live, as long as the same servers are there; when no server answers, the addresses that
/// were good last are used.
public final class HostLookup: Resolver, Sendable {
    /// Bounds of a look-up.
    public enum Limits {
        /// Until the next server is asked.
        public static var time: TimeAmount { .seconds(2) }
        /// Servers that are asked.
        public static var servers: Int { 4 }
        /// Names whose addresses are kept.
        public static var names: Int { 256 }
        /// Addresses of a name that count.
        public static var addresses: Int { 16 }
        /// For how long an answer counts at most.
        public static var timeToLive: TimeAmount { .hours(1) }
        /// For how long it counts that there is no address.
        public static var negativeTimeToLive: TimeAmount { .seconds(5) }
    }

    private struct Key: Hashable {
        let host: String
        let family: IPFamily
    }

    private struct Entry {
        let addresses: [IPAddress]
        let until: NIODeadline
    }

    private struct Memory {
        var lastGood: [String: [IPAddress]]
        var found: [Key: Entry] = [:]
        /// Who was asked; others may know other addresses.
        var servers: [Endpoint] = []
    }

    private let mark: UInt32?
    private let servers: @Sendable () -> [Endpoint]
    private let hostsFile: String
    private let memory: Mutex<Memory>

    /// - Parameters:
    ///   - mark: The firewall mark that keeps the questions out of the tunnel.
    ///   - lastGood: Addresses by host name that worked before.
    ///   - hostsFile: Where names are listed that nobody is asked for.
    ///   - servers: The host's original name servers, read anew for each look-up.
    public init(
        mark: UInt32?,
        lastGood: [String: [String]] = [:],
        hostsFile: String = "/etc/hosts",
        servers: @escaping @Sendable () -> [Endpoint]
    ) {
        (self.mark, self.servers, self.hostsFile) = (mark, servers, hostsFile)
        let known = lastGood.mapValues { $0.compactMap { IPAddress($0) } }
        memory = Mutex(Memory(lastGood: known))
    }

    /// What ``init(mark:lastGood:hostsFile:servers:)`` takes, to be kept on disk.
    public var known: [String: [String]] {
        memory.withLock { $0.lastGood.mapValues { $0.map(\.description) } }
    }

    public func initiateAQuery(host: String, port: Int) -> EventLoopFuture<[SocketAddress]> {
        answer(host, port, .ipv4)
    }

    public func initiateAAAAQuery(host: String, port: Int) -> EventLoopFuture<[SocketAddress]> {
        answer(host, port, .ipv6)
    }

    public func cancelQueries() {}

    private func answer(
        _ host: String,
        _ port: Int,
        _ family: IPFamily
    ) -> EventLoopFuture<[SocketAddress]> {
        MultiThreadedEventLoopGroup.singleton.next().makeFutureWithTask { [self] in
            try await addresses(of: host, family).map {
                try SocketAddress(ipAddress: $0.description, port: port)
            }
        }
    }

    /// The addresses of a family; none when nobody knows any.
    func addresses(of host: String, _ family: IPFamily) async -> [IPAddress] {
        if let literal = IPAddress(host) { return literal.family == family ? [literal] : [] }
        let listed = Self.listed(host, in: hostsFile).filter { $0.family == family }
        guard listed.isEmpty, let name = Name(host) else { return listed }
        let servers = Array(servers().prefix(Limits.servers))
        let key = Key(host: host.lowercased(), family: family)
        if let found = recall(key, servers) { return found }
        let question = Question(name, family == .ipv4 ? .a : .aaaa)
        for server in servers {
            guard let found = try? await ask(server, question) else { continue }
            keep(found.addresses, found.timeToLive, key, servers)
            return found.addresses
        }
        return memory.withLock { ($0.lastGood[key.host] ?? []).filter { $0.family == family } }
    }

    private func recall(_ key: Key, _ servers: [Endpoint]) -> [IPAddress]? {
        memory.withLock { memory in
            if memory.servers != servers { (memory.servers, memory.found) = (servers, [:]) }
            guard let entry = memory.found[key], NIODeadline.now() < entry.until else { return nil }
            return entry.addresses
        }
    }

    private func keep(
        _ addresses: [IPAddress],
        _ timeToLive: TimeAmount,
        _ key: Key,
        _ servers: [Endpoint]
    ) {
        let now = NIODeadline.now()
        memory.withLock { memory in
            if memory.found.count >= Limits.names {
                memory.found = memory.found.filter { now < $0.value.until }
            }
            if memory.servers == servers, memory.found.count < Limits.names {
                memory.found[key] = Entry(addresses: addresses, until: now + timeToLive)
            }
            let isKnown = memory.lastGood[key.host] != nil
            guard !addresses.isEmpty, isKnown || memory.lastGood.count < Limits.names else {
                return
            }
            let others = (memory.lastGood[key.host] ?? []).filter { $0.family != key.family }
            memory.lastGood[key.host] = others + addresses
        }
    }

    /// - Throws: When the server does not answer in time, or answers with anything but NOERROR or
    ///   NXDOMAIN.
    private func ask(
        _ server: Endpoint,
        _ question: Question
    ) async throws -> (addresses: [IPAddress], timeToLive: TimeAmount) {
        let wire = Message(query: question, id: 0).wire(byteCountMax: Message.Limits.byteCount)
        guard let query = OutgoingQuery(wire) else { throw UpstreamFailure.garbled }
        let deadline = NIODeadline.now() + Limits.time
        var bytes = try await DatagramQuestion.ask(query, server, mark: mark, until: deadline)
        if let header = try? Header(bytes.rawSpan), header.isTruncated {
            let target = UpstreamTarget(upstream: Upstream(server), mark: mark, lookup: self)
            let stream = try await StreamConversation.connect(
                target,
                tls: nil,
                counters: UpstreamCounters()
            )
            defer { stream.close() }
            bytes = try await stream.ask(query, until: NIODeadline.now() + Limits.time)
        }
        guard let answer = try? Message(bytes.rawSpan) else { throw UpstreamFailure.garbled }
        guard answer.responseCode == .noError || answer.responseCode == .nameError else {
            throw UpstreamFailure.garbled
        }
        let records = (answer.addresses()?.records ?? []).prefix(Limits.addresses)
        let wanted = records.filter { $0.data.type == question.type }
        guard !wanted.isEmpty else { return ([], Limits.negativeTimeToLive) }
        // Aliases on the way live no longer than what they lead to is used.
        let seconds = answer.answers.map(\.timeToLive).min() ?? 0
        return (
            wanted.compactMap(\.data.address),
            min(.seconds(Int64(seconds)), Limits.timeToLive)
        )
    }

    private static func listed(_ host: String, in path: String) -> [IPAddress] {
        let text = String(
            decoding: FileManager.default.contents(atPath: path) ?? Data(),
            as: UTF8.self
        )
        return text.split(separator: "\n").compactMap { line in
            let words = line.prefix { $0 != "#" }.split(whereSeparator: \.isWhitespace)
            guard words.dropFirst().contains(where: { $0.lowercased() == host.lowercased() }) else {
                return nil
            }
            return words.first.flatMap { IPAddress(String($0)) }
        }
    }
}
