public import Control

/// One change of a directory: what every way of administering produces, and what the audit log is
/// made of.
public enum Change: Hashable, Sendable, Codable {
    /// The account has another display name.
    case account(name: String)
    /// An actor is new, or other than before.
    case upsertActor(Directory.Actor)
    /// An actor is gone, with its memberships and clients.
    case removeActor(ActorID)
    /// A group is new, or other than before, members included.
    case upsertGroup(Directory.Group)
    /// A group is gone; it has no policies.
    case removeGroup(GroupID)
    /// An actor joined a group.
    case addMember(group: GroupID, actor: ActorID)
    /// An actor left a group.
    case removeMember(group: GroupID, actor: ActorID)
    /// A site is new, or other than before.
    case upsertSite(Directory.Site)
    /// A site is gone; nothing is in it.
    case removeSite(SiteID)
    /// A resource is new, or other than before.
    case upsertResource(Directory.Resource)
    /// A resource is gone; it has no policies.
    case removeResource(ResourceID)
    /// A policy is new, or other than before.
    case upsertPolicy(Directory.Policy)
    /// A policy is gone.
    case removePolicy(PolicyID)
    /// A client is new, or other than before.
    case upsertClient(Directory.Client)
    /// A client is gone.
    case removeClient(ClientID)
    /// A gateway is new, or other than before.
    case upsertGateway(Directory.Gateway)
    /// A gateway is gone.
    case removeGateway(GatewayID)
    /// An identity provider is new, or other than before.
    case upsertProvider(Directory.Provider)
    /// An identity provider is gone; no policy names it.
    case removeProvider(ProviderID)
    /// A stock relay is new, or other than before.
    case upsertRelay(Directory.Relay)
    /// A stock relay is gone.
    case removeRelay(RelayID)
    /// The nameservers are others.
    case dns(DNSSettings)
    /// The account's ranges are others.
    case addresses(AddressPlan)
    /// The policy tests are others.
    case tests([PolicyTest])
}
