internal import DNS
internal import IP

/// The hosts file of the gateway: names with addresses, which come before every nameserver.
struct HostsFile: Sendable {
    private var addressesByName: [Name: [IPAddress]] = [:]
    private var namesByAddress: [IPAddress: [Name]] = [:]

    init() {}

    /// - Parameter entries: Lines in order; a name that cannot be read is passed over.
    init(_ entries: [Gateway.HostEntry]) {
        for entry in entries {
            guard let name = Name(entry.name) else { continue }
            addressesByName[name, default: []] += entry.addresses
            for address in entry.addresses
            where namesByAddress[address]?.contains(name) != true {
                namesByAddress[address, default: []].append(name)
            }
        }
    }

    /// The addresses of `name`; nil when it is not listed.
    func addresses(of name: Name) -> [IPAddress]? { addressesByName[name] }

    /// The names of `address`, in the file's order.
    func names(of address: IPAddress) -> [Name] { namesByAddress[address] ?? [] }
}
