public import Bytes
internal import DNS
internal import Foundation
internal import IP
public import NIOCore
public import NIOPosix
internal import Synchronization

/// Finds the portal's addresses by asking the host's original name servers, around the tunnel.
///
/// `getaddrinfo` would ask our own stub. The hosts file comes first; when no server answers, the
/// addresses that were good last are used.
public final class HostLookup: Resolver, Sendable {
    /// Bounds of a look-up.
    public enum Limits {
        /// Until the next server is asked.
        public static var time: TimeAmount { .seconds(2) }
        /// Servers that are asked.
        public static var servers: Int { 4 }
    }

    private let mark: UInt32?
    private let servers: @Sendable () -> [Endpoint]
    private let lastGood = Mutex<[String: [IPAddress]]>([:])

    /// - Parameters:
    ///   - mark: The firewall mark that keeps the questions out of the tunnel.
    ///   - lastGood: Addresses by host name that worked before.
    ///   - servers: The host's original name servers, read anew for each look-up.
    public init(
        mark: UInt32?,
        lastGood: [String: [String]] = [:],
        servers: @escaping @Sendable () -> [Endpoint]
    ) {
        self.mark = mark
        self.servers = servers
        let known = lastGood.mapValues { $0.compactMap { IPAddress($0) } }
        self.lastGood.withLock { $0 = known }
    }

    /// What ``init(mark:lastGood:servers:)`` takes, to be kept on disk.
    public var known: [String: [String]] {
        lastGood.withLock { $0.mapValues { $0.map(\.description) } }
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

    private func addresses(of host: String, _ family: IPFamily) async -> [IPAddress] {
        if let literal = IPAddress(host) { return literal.family == family ? [literal] : [] }
        let listed = Self.hostsFile(host).filter { $0.family == family }
        guard listed.isEmpty, let name = Name(host) else { return listed }
        let question = Question(name, family == .ipv4 ? .a : .aaaa)
        for server in servers().prefix(Limits.servers) {
            guard let found = try? await ask(server, question) else { continue }
            if !found.isEmpty {
                lastGood.withLock {
                    let others = ($0[host] ?? []).filter { $0.family != family }
                    $0[host] = others + found
                }
            }
            return found
        }
        return lastGood.withLock { ($0[host] ?? []).filter { $0.family == family } }
    }

    /// - Throws: When the server does not answer in time, or answers with anything but NOERROR or
    ///   NXDOMAIN.
    private func ask(_ server: Endpoint, _ question: Question) async throws -> [IPAddress] {
        let channel = try await MarkedConnection.datagramBootstrap(mark: mark)
            .connect(host: server.address.description, port: Int(server.port)) { channel in
                channel.eventLoop.makeCompletedFuture {
                    try NIOAsyncChannel<
                        AddressedEnvelope<ByteBuffer>, AddressedEnvelope<ByteBuffer>
                    >(
                        wrappingChannelSynchronously: channel
                    )
                }
            }
        let deadline = channel.channel.eventLoop.scheduleTask(in: Limits.time) {
            channel.channel.close(promise: nil)
        }
        defer { deadline.cancel() }
        let identifier = UInt16.random(in: 0...UInt16.max)
        let query = Message(query: question, id: identifier)
        return try await channel.executeThenClose { inbound, outbound in
            let to = try SocketAddress(
                ipAddress: server.address.description,
                port: Int(server.port)
            )
            let bytes = ByteBuffer(bytes: query.wire(byteCountMax: Message.Limits.byteCount))
            try await outbound.write(AddressedEnvelope(remoteAddress: to, data: bytes))
            for try await envelope in inbound {
                guard let answer = try? Message(Array(envelope.data.readableBytesView).rawSpan),
                    answer.header.id == identifier, answer.header.isResponse,
                    answer.questions == [question]
                else { continue }
                switch answer.responseCode {
                case .noError: return answer.addresses()?.records.compactMap(\.data.address) ?? []
                case .nameError: return []
                default: throw ChannelError.eof
                }
            }
            throw ChannelError.eof
        }
    }

    private static func hostsFile(_ host: String) -> [IPAddress] {
        let text = String(
            decoding: FileManager.default.contents(atPath: "/etc/hosts") ?? Data(),
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
