internal import Control

/// What a directory holds, behind one reference: a copy of a directory costs one count, and a
/// decision copies nothing.
///
/// Unchecked because it changes: only by ``make(_:)``, which ``Directory`` calls when nobody else
/// has the reference.
final class DirectoryStorage: @unchecked Sendable {
    let portal: PortalURL?
    var account = ""
    var actors = Table<Directory.Actor>()
    var groups = Table<Directory.Group>()
    var sites = Table<Directory.Site>()
    var resources = Table<Directory.Resource>()
    var policies = Table<Directory.Policy>()
    var clients = Table<Directory.Client>()
    var gateways = Table<Directory.Gateway>()
    var providers = Table<Directory.Provider>()
    var relays = Table<Directory.Relay>()
    var dns = DNSSettings()
    var addresses = AddressPlan.standard
    var tests: [PolicyTest] = []
    var index = PolicyIndex()

    init(portal: PortalURL?) { self.portal = portal }

    init(copying other: DirectoryStorage) {
        (portal, account) = (other.portal, other.account)
        (actors, groups, sites) = (other.actors, other.groups, other.sites)
        (resources, policies) = (other.resources, other.policies)
        (clients, gateways, providers) = (other.clients, other.gateways, other.providers)
        relays = other.relays
        (dns, addresses, tests) = (other.dns, other.addresses, other.tests)
        index = other.index
    }
}
