internal import Bytes
internal import IP
public import SansIO

extension Relay {
    /// How the relay is doing, for `culvert status` and metrics.
    public struct Status: Sendable, Equatable, Codable {
        /// One allocation.
        public struct AllocationStatus: Sendable, Equatable, Codable {
            /// Where the client is.
            public var client: String
            /// Whether it came by TCP or TLS.
            public var isStream: Bool
            /// The name in its credential.
            public var name: String
            /// What peers see.
            public var relayed: [String]
            public var permissions: Int
            public var channels: Int
            public var bytesToPeers: UInt64
            public var bytesToClient: UInt64
            /// Since when, and for how long without a refresh, in seconds.
            public var ageSeconds: Double
            public var remainingSeconds: Double
        }

        /// The public addresses that are lent.
        public var addresses: [String]
        /// Whether there are secrets, so that clients can be served.
        public var isReady: Bool
        public var allocations: [AllocationStatus]
        /// Credentials with allocations.
        public var credentials: Int
        public var permissions: Int
        public var channels: Int
        public var streams: Int
        public var counters: Counters
    }

    /// Allocations that stand or are being opened.
    public var allocationCount: Int { allocations.count }

    /// How it is doing at `now`; O(everything), for people and metrics.
    public func status(at now: Instant) -> Status {
        let numbers = (0..<allocations.end).filter {
            details[Int($0)] != nil && allocations[$0].isOpen
        }
        return Status(
            addresses: IPFamily.allCases.compactMap {
                configuration.publicAddress($0)?.description
            },
            isReady: !configuration.secrets.isEmpty && !isStopping,
            allocations: numbers.compactMap { status(of: $0, at: now) },
            credentials: credentials.count,
            permissions: permissions.count,
            channels: channels.count,
            streams: streams.count,
            counters: counters
        )
    }

    private func status(of number: UInt32, at now: Instant) -> Status.AllocationStatus? {
        guard let known = details[Int(number)] else { return nil }
        return Status.AllocationStatus(
            client: known.source.description,
            isStream: known.stream != nil,
            name: known.name,
            relayed: relayedAddresses(of: number).map(\.description),
            permissions: allocations[number].permissionCount,
            channels: allocations[number].channelCount,
            bytesToPeers: allocations[number].bytesToPeers,
            bytesToClient: allocations[number].bytesToClient,
            ageSeconds: known.opened.duration(to: now) / .seconds(1),
            remainingSeconds: now.duration(to: allocations[number].end) / .seconds(1)
        )
    }
}
