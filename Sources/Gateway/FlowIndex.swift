internal import IP

/// Finds flows by their key: a hash table with linear probing that holds numbers of flows and their
/// hashes, never the keys, so that a flow costs eight bytes a side and a miss touches no flow.
///
/// Which keys fall together depends on a secret seed: neither a client nor a resource can choose
/// keys that do.
struct FlowIndex: Sendable {
    private struct Place: Sendable {
        var flow = NAT.none
        var hash: UInt32 = 0
    }

    private var places: [Place] = []
    private(set) var count = 0

    var byteCount: Int { places.capacity * MemoryLayout<Place>.stride }

    private var mask: Int { places.count - 1 }

    /// The flow with this hash that `isSought` names.
    func first(_ hash: UInt32, where isSought: (Int) -> Bool) -> Int? {
        guard count > 0 else { return nil }
        var place = Int(hash) & mask
        while places[place].flow != NAT.none {
            if places[place].hash == hash, isSought(Int(places[place].flow)) {
                return Int(places[place].flow)
            }
            place = (place + 1) & mask
        }
        return nil
    }

    /// Puts in a flow that is not there yet.
    mutating func insert(_ flow: Int, _ hash: UInt32) {
        if (count + 1) * 4 > places.count * 3 { grow() }
        put(Place(flow: UInt32(flow), hash: hash))
        count += 1
    }

    private mutating func put(_ new: Place) {
        var place = Int(new.hash) & mask
        while places[place].flow != NAT.none { place = (place + 1) & mask }
        places[place] = new
    }

    private mutating func grow() {
        let old = places
        places = [Place](repeating: Place(), count: max(16, old.count * 2))
        for place in old where place.flow != NAT.none { put(place) }
    }

    /// Takes a flow out. What stands behind it moves up, so that no search ends at the gap.
    mutating func remove(_ flow: Int, _ hash: UInt32) {
        guard count > 0 else { return }
        var gap = Int(hash) & mask
        while places[gap].flow != UInt32(flow) {
            guard places[gap].flow != NAT.none else { return }
            gap = (gap + 1) & mask
        }
        var next = (gap + 1) & mask
        while places[next].flow != NAT.none {
            let home = Int(places[next].hash) & mask
            if (next - home) & mask >= (next - gap) & mask {
                places[gap] = places[next]
                gap = next
            }
            next = (next + 1) & mask
        }
        places[gap] = Place()
        count -= 1
    }
}

extension FlowKey {
    /// A hash that differs with the secret `seed`.
    func hash(_ seed: UInt64) -> UInt32 {
        let ports =
            UInt64(transport.rawValue) << 32 | UInt64(sourcePort) << 16 | UInt64(destinationPort)
        let address = Self.fold(destination.high ^ seed, destination.low ^ ~seed)
        let mixed = Self.fold(address ^ seed, ports ^ 0x9e37_79b9_7f4a_7c15)
        return UInt32(truncatingIfNeeded: mixed ^ mixed >> 32)
    }

    private static func fold(_ a: UInt64, _ b: UInt64) -> UInt64 {
        let product = a.multipliedFullWidth(by: b)
        return product.high ^ product.low
    }
}
