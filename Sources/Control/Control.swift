// # Control
//
// What clients, gateways, relays and the portal say to each other, as values: messages, the facts
// in them, refusals, tokens, protocol versions; and the parts of a session that both ends share as
// machines without input and output: revisions, back-off, heartbeat, answers to repeated requests.
//
// A message is one JSON object in one text frame, `{"type":"…", …}`; types are kebab-case, keys are
// camelCase, durations are whole seconds, keys are base64, addresses are text. Unknown fields are
// ignored; unknown types decode to `.unknown`; an element of a list that cannot be read is skipped
// where losing it is safe. The values are `Codable`; JSON itself is read and written at the edges,
// which check size and depth first (``JSONDepth``). Nothing here opens a connection, reads a clock
// or decides anything.

/// Bounds of a control channel, the same at both ends.
public enum ChannelLimits {
    /// Bytes of one frame: 1 MiB.
    public static var frameByteCount: Int { 1 << 20 }
    /// Objects and arrays inside one another.
    public static var depth: Int { 32 }
    /// Candidates of one peer; further ones are ignored.
    public static var candidates: Int { 12 }
    /// Relays of one role, and times of relays; further ones are ignored.
    public static var relays: Int { 16 }
    /// Addresses of one relay for one transport; further ones are ignored.
    public static var relayEndpoints: Int { 8 }
    /// Tunnel, proxy or sentinel addresses, and prefixes, in one list.
    public static var addresses: Int { 64 }
    /// Traffic filters of one resource.
    public static var filters: Int { 256 }
    /// Identifiers in one list.
    public static var identifiers: Int { 65_536 }
    /// Resources, grants and changes in one message; the frame's size bounds them earlier.
    public static var entries: Int { 65_536 }
    /// Versions, capabilities, upstreams, zones and failed conditions in one list.
    public static var words: Int { 1_024 }
    /// Bytes of an identifier.
    public static var identifierByteCount: Int { 128 }
}

/// Where the channel is on the portal.
public let controlPath = "/control"
