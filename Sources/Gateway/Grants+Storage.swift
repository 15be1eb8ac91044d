internal import Bytes
internal import Control
internal import SansIO

// Grants in the hands of the next process. Resources keep their numbers, since flows and names
// refer to them.
extension Grants {
    func write(to bytes: inout [UInt8]) {
        bytes.append(bigEndian: revision)
        bytes.append(bigEndian: lastNumber)
        bytes.append(list: resources) {
            $0.append(bigEndian: $1.number)
            $0.append($1.resource)
        }
        bytes.append(list: leases) {
            $0.append(text: $1.id.text)
            $0.append(bigEndian: $1.revision)
            $0.append(bigEndian: $1.resource)
            $0.append(bigEndian: $1.end.nanoseconds)
        }
    }

    init(reading reader: inout ByteReader) throws {
        let (revision, lastNumber) = (try reader.uint32(), try reader.uint32())
        // A number is never given twice; there is no end of them in one process's life.
        guard lastNumber < .max / 2 else { throw StorageError.malformed }
        var resources = try reader.list(max: Limits.leases) { reader in
            let number = try reader.uint32()
            return try GrantedResource(try reader.resource(), number: number)
        }
        let leases = try reader.list(max: Limits.leases) { reader in
            LiveLease(
                id: LeaseID(try reader.text()),
                revision: try reader.uint64(),
                resource: try reader.uint32(),
                end: Instant(nanoseconds: try reader.uint64())
            )
        }
        guard Set(leases.map(\.id)).count == leases.count else { throw StorageError.malformed }
        var places: [UInt32: Int] = [:]
        for (place, resource) in resources.enumerated() {
            guard resource.number <= lastNumber, places[resource.number] == nil else {
                throw StorageError.malformed
            }
            places[resource.number] = place
        }
        for lease in leases {
            guard let place = places[lease.resource] else { throw StorageError.malformed }
            resources[place].leaseCount += 1
        }
        guard resources.allSatisfy({ $0.leaseCount > 0 }) else { throw StorageError.malformed }
        self.init(
            leases: leases,
            resources: resources,
            revision: revision,
            lastNumber: lastNumber
        )
    }
}
