internal import Bytes
internal import IP

/// One way to a peer: from where, to where.
struct Path: Hashable {
    /// Unspecified stands for the kernel's choice, and for a relay's lent address.
    var local: Endpoint
    var remote: Endpoint
    /// The number of our own relay that it goes through; 0: none.
    var relay: UInt32

    init(local: Endpoint, remote: Endpoint, relay: UInt32 = 0) {
        (self.local, self.remote, self.relay) = (local, remote, relay)
    }

    /// Whether it goes through a relay of ours.
    var isRelayed: Bool { relay != 0 }
}

/// What paths must know of one of our own relays: which peers its lent addresses reach.
struct RelayEnd: Equatable {
    /// Stands in ``Path/relay``.
    var number: UInt32
    /// Whether it lends an address of the family.
    var hasIPv4: Bool
    var hasIPv6: Bool
    /// Whether it lies in a private network itself, and so may reach private addresses.
    var isPrivate: Bool
    /// Whether it is to be given up: paths through it are kept only while nothing else works.
    var isLeaving: Bool

    /// Whether it may have a way to `address`.
    func reaches(_ address: IPAddress) -> Bool {
        (address.isIPv4 ? hasIPv4 : hasIPv6) && (isPrivate || !address.isPrivate)
    }
}

extension IPAddress {
    private static let privateNetworks = [
        "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "127.0.0.0/8",
        "169.254.0.0/16", "fc00::/7", "fe80::/10", "::1/128",
    ].compactMap { IPPrefix($0) }

    /// Whether it means another host in every network: nobody outside can reach it.
    var isPrivate: Bool { Self.privateNetworks.contains { $0.contains(self) } }
}
