// # FuzzEntries
//
// What is tried against hostile bytes, one entry for each parser and core: any bytes must end in a
// typed error or in silence, never in a trap, and what an entry promises besides (what was read
// means the same when written again, nothing waits for nothing, no packet goes where no lease
// permits) it checks with `precondition`. Knows nothing of libFuzzer: the fuzz targets and the test
// that replays the corpora call the same functions.

internal import Bytes

/// What bytes can be tried on.
public enum FuzzEntry: String, CaseIterable, Sendable {
    /// The whole client: packets, datagrams, queries, answers, messages, time.
    case client = "Client"
    /// Frames of a control channel, tokens and other texts of it.
    case control = "Control"
    /// DNS messages, names, patterns, the stub resolver, the log of names.
    case dns = "DNS"
    /// The whole gateway.
    case gateway = "Gateway"
    /// A packet of the tunnel device.
    case ip = "IP"
    /// Connections of either role: datagrams, and anything inside a session.
    case peering = "Peering"
    /// Configuration files, and the texts in them.
    case policy = "Policy"
    /// The whole relay.
    case relay = "Relay"
    /// STUN and TURN messages, and the client of a TURN server.
    case stun = "STUN"
    /// Packets that become packets of the other family, and their pieces.
    case translation = "Translation"
    /// Handshakes and sessions.
    case wireGuard = "WireGuard"

    /// Bounds of an input.
    public enum Limits {
        /// Bytes that are looked at.
        public static var byteCount: Int { 4_096 }
    }

    /// Tries `bytes`; returns when all went as promised, and stops the process when not.
    public func run(_ bytes: RawSpan) {
        let input = bytes.extracting(first: Limits.byteCount).array
        switch self {
        case .client: ClientPlay.run(input)
        case .control: ControlEntry.run(input)
        case .dns: DNSEntry.run(input)
        case .gateway: GatewayPlay.run(input)
        case .ip: IPEntry.run(input)
        case .peering: PeeringEntry.run(input)
        case .policy: PolicyEntry.run(input)
        case .relay: RelayPlay.run(input)
        case .stun: STUNEntry.run(input)
        case .translation: TranslationEntry.run(input)
        case .wireGuard: WireGuardPlay.run(input)
        }
    }

    /// Inputs made of real messages, to begin with; each with a name for its file.
    public var seeds: [(name: String, bytes: [UInt8])] {
        switch self {
        case .client: ClientSeeds.all
        case .control: ControlSeeds.all
        case .dns: DNSSeeds.all
        case .gateway: GatewaySeeds.all
        case .ip: IPSeeds.all
        case .peering: PeeringSeeds.all
        case .policy: PolicySeeds.all
        case .relay: RelaySeeds.all
        case .stun: STUNSeeds.all
        case .translation: TranslationSeeds.all
        case .wireGuard: WireGuardSeeds.all
        }
    }
}
