internal import Bytes
internal import Control
internal import Foundation
internal import IP
internal import NIOPosix
internal import Policy

/// A stock TURN server of the configuration, as it was found.
enum StockRelay: Equatable, Sendable {
    /// It can be dealt.
    case found(RelayFacts)
    /// It cannot: why, and what to do, in a sentence.
    case unusable(String)

    /// Bounds of looking.
    enum Limits {
        /// Bytes of a secret's file.
        static let secretByteCount = 4_096
        /// How long names are looked up.
        static let lookup = Duration.seconds(3)
        /// Between two look-ups of the same names, in seconds.
        static let interval = 300.0
    }

    /// Looks at several at once; answers in their order.
    static func find(
        _ relays: [Directory.Relay]
    ) async -> [(relay: Directory.Relay, outcome: StockRelay)] {
        await withTaskGroup(of: (Int, StockRelay).self) { group in
            for (place, relay) in relays.enumerated() {
                group.addTask { (place, await find(relay)) }
            }
            var found: [(Int, StockRelay)] = []
            for await outcome in group { found.append(outcome) }
            return found.sorted { $0.0 < $1.0 }.map { (relays[$0.0], $0.1) }
        }
    }

    /// Reads the secret and looks the names up.
    static func find(_ relay: Directory.Relay) async -> StockRelay {
        guard let data = FileManager.default.contents(atPath: relay.secretFile) else {
            return .unusable(
                "\(relay.secretFile) cannot be read; it must hold the server's secret, and be "
                    + "readable by the user that the portal runs as."
            )
        }
        let text = String(decoding: data.prefix(Limits.secretByteCount), as: UTF8.self)
        let secret = text.trimmingCharacters(in: .whitespacesAndNewlines)
        guard !secret.isEmpty else {
            return .unusable("\(relay.secretFile) is empty; it must hold the server's secret.")
        }
        var endpoints: [[Endpoint]] = []
        for addresses in [relay.udp, relay.tcp, relay.tls] {
            var found: [Endpoint] = []
            for address in addresses { found += await resolve(address) }
            endpoints.append(Array(found.prefix(ChannelLimits.relayEndpoints)))
        }
        guard endpoints.contains(where: { !$0.isEmpty }) else {
            let names = relay.all.map(\.host).joined(separator: ", ")
            return .unusable("\(names) has no address now; look at the name and the nameserver.")
        }
        return .found(
            RelayFacts(
                id: relay.id,
                udp: endpoints[0],
                tcp: endpoints[1],
                tls: endpoints[2],
                tlsName: relay.tls.first?.host,
                region: relay.region,
                secret: .own(secret)
            )
        )
    }

    private static func resolve(_ address: RelayAddress) async -> [Endpoint] {
        if let known = address.address { return [Endpoint(known, port: address.port)] }
        let name = address.host
        let (answers, answer) = AsyncStream<[String]>.makeStream()
        // A look-up cannot be cancelled: its thread is left behind when it takes too long.
        NIOThreadPool.singleton.submit { _ in
            answer.yield(Host(name: name).addresses)
            answer.finish()
        }
        let clock = Task {
            try await Task.sleep(for: Limits.lookup)
            answer.finish()
        }
        defer { clock.cancel() }
        var found: [IPAddress] = []
        for await texts in answers { found += texts.compactMap { IPAddress($0) } }
        return Set(found).sorted().map { Endpoint($0, port: address.port) }
    }
}
