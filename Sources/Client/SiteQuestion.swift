public import Control
public import DNS

/// A question that only a resource's own site can answer: for records of a protected name that are
/// no addresses. It goes through the tunnel to the resolver of the gateway, and nowhere else.
public struct SiteQuestion: Hashable, Sendable {
    /// The resolver's name for it; comes back with the answer.
    public let token: UInt64
    /// The resources that the name belongs to, the most specific first.
    public let resources: [ResourceID]
    /// Whose records are asked for.
    public let name: Name
    /// The query, with an ID and an EDNS size of our own.
    public let bytes: [UInt8]
    /// Whether it came by TCP, and is to be asked by TCP.
    public let isStream: Bool

    init(token: UInt64, resources: [ResourceID], name: Name, bytes: [UInt8], isStream: Bool) {
        (self.token, self.resources, self.name) = (token, resources, name)
        (self.bytes, self.isStream) = (bytes, isStream)
    }
}
