internal import Bytes
internal import Control
internal import DNS
internal import IP

// What the gateway's tables are made of, as one process writes it down for the next.
extension Array where Element == UInt8 {
    mutating func append(_ address: IPAddress) {
        append(bigEndian: address.high)
        append(bigEndian: address.low)
    }

    mutating func append(_ prefix: IPPrefix) {
        append(prefix.address)
        append(UInt8(truncatingIfNeeded: prefix.bitCount))
    }

    mutating func append(_ plan: AddressPlan) {
        for prefixes in [plan.tunnel, plan.proxies, plan.sentinels] {
            append(list: prefixes) { $0.append($1) }
        }
    }

    mutating func append(_ identity: GatewayIdentity) {
        for text in [identity.id.text, identity.name, identity.site.id.text, identity.site.name] {
            append(text: text)
        }
        append(list: identity.tunnel) { $0.append($1) }
    }

    mutating func append(_ resource: ResourceForGateway) {
        append(text: resource.id.text)
        append(text: resource.name)
        switch resource.address {
        case .internet: append(0)
        case .prefix(let prefix):
            append(1)
            append(prefix)
        case .name(let pattern):
            append(2)
            append(text: pattern)
        }
        append(optional: resource.alias) { $0.append(text: $1) }
        append(list: resource.filters) { bytes, filter in
            bytes.append(text: filter.transport.rawValue)
            bytes.append(bigEndian: filter.ports.lowerBound)
            bytes.append(bigEndian: filter.ports.upperBound)
        }
        append(text: resource.family.rawValue)
    }
}

extension ByteReader {
    /// Bounds of what is read back of the portal's lists.
    private enum Bounds {
        static var prefixes: Int { 65_536 }
        static var tunnel: Int { 65_536 }
        static var filters: Int { 65_536 }
    }

    mutating func address() throws -> IPAddress {
        IPAddress(high: try uint64(), low: try uint64())
    }

    mutating func addresses(max countMax: Int = Bounds.tunnel) throws -> [IPAddress] {
        try list(max: countMax) { try $0.address() }
    }

    mutating func prefix() throws -> IPPrefix {
        let address = try address()
        guard let prefix = IPPrefix(address, bitCount: Int(try uint8())) else {
            throw StorageError.malformed
        }
        return prefix
    }

    mutating func plan() throws -> AddressPlan {
        let tunnel = try list(max: Bounds.prefixes) { try $0.prefix() }
        let proxies = try list(max: Bounds.prefixes) { try $0.prefix() }
        let sentinels = try list(max: Bounds.prefixes) { try $0.prefix() }
        return AddressPlan(tunnel: tunnel, proxies: proxies, sentinels: sentinels)
    }

    mutating func gatewayIdentity() throws -> GatewayIdentity {
        let (id, name) = (try text(), try text())
        let site = SiteReference(id: SiteID(try text()), name: try text())
        return GatewayIdentity(
            id: GatewayID(id),
            name: name,
            site: site,
            tunnel: try addresses()
        )
    }

    mutating func name() throws -> Name { try Name(wire: try counted(max: Name.Limits.byteCount)) }

    mutating func resource() throws -> ResourceForGateway {
        let (id, name) = (try text(), try text())
        let address: ResourceAddress =
            switch try uint8() {
            case 0: .internet
            case 1: .prefix(try prefix())
            case 2: .name(try text())
            default: throw StorageError.malformed
            }
        let alias = try optional { try $0.text() }
        let filters = try list(max: Bounds.filters) { reader in
            let word = try reader.text()
            let (lower, upper) = (try reader.uint16(), try reader.uint16())
            guard let transport = Filter.Transport(rawValue: word), lower <= upper else {
                throw StorageError.malformed
            }
            return Filter(transport, ports: lower...upper)
        }
        guard let family = ServedFamilies(rawValue: try text()) else {
            throw StorageError.malformed
        }
        return ResourceForGateway(
            id: ResourceID(id),
            name: name,
            address: address,
            alias: alias,
            filters: filters,
            family: family
        )
    }
}
