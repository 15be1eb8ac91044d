internal import Bytes
internal import DNS
internal import IP
internal import Peering

// Names in the hands of the next process. Packets and frames that wait do not go over: who sent
// them sends them again; neither do addresses that failed of late.
extension NameTable {
    func write(to bytes: inout [UInt8]) {
        bytes.append(list: entries) { bytes, entry in
            bytes.append(counted: entry.name.wire)
            bytes.append(list: entry.proxies) { $0.append($1) }
            bytes.append(list: entry.claims) {
                $0.append(bigEndian: $1.resource)
                $0.append(counted: $1.realName.wire)
            }
            bytes.append(bigEndian: entry.epoch)
        }
    }

    /// - Parameters:
    ///   - reader: Stands where the table begins.
    ///   - isKnown: Whether there is a resource with this number.
    /// - Throws: ``StorageError`` when it cannot be read, or does not fit together.
    init(reading reader: inout ByteReader, where isKnown: (UInt32) -> Bool) throws {
        self.init()
        let count = Int(try reader.uint32())
        guard count <= Limits.names else { throw StorageError.malformed }
        for _ in 0..<count {
            let name = try reader.name()
            let proxies = try reader.addresses(max: ControlFrame.Limits.proxies)
            let claims = try reader.list(max: Grants.Limits.leases) {
                Claim(resource: try $0.uint32(), realName: try $0.name())
            }
            let epoch = try reader.uint64()
            guard self[name] == nil, !claims.isEmpty,
                claims.allSatisfy({ isKnown($0.resource) })
            else { throw StorageError.malformed }
            for claim in claims {
                guard try bind(name, claim, proxies: proxies, epoch: epoch).isEmpty else {
                    throw StorageError.malformed
                }
            }
        }
    }
}
