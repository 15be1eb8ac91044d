/// Finds places in a table by the hash of what is kept there: a hash table with linear probing that
/// holds places and their hashes, never keys, so that a miss touches nothing else.
///
/// Where others choose the keys, the hash must depend on a secret, or they choose keys that fall
/// together.
public struct PlaceIndex: Sendable {
    @usableFromInline struct Entry: Sendable {
        /// One more than the place; 0 for none.
        @usableFromInline var number: UInt32 = 0
        @usableFromInline var hash: UInt32 = 0

        @usableFromInline init(number: UInt32 = 0, hash: UInt32 = 0) {
            (self.number, self.hash) = (number, hash)
        }
    }

    @usableFromInline var entries: [Entry] = []
    /// How many places it holds.
    public private(set) var count = 0

    public init() {}

    @usableFromInline var mask: Int { entries.count - 1 }

    /// The place with this hash that `isSought` names.
    @inlinable public func first(_ hash: UInt32, where isSought: (Int) -> Bool) -> Int? {
        guard !entries.isEmpty else { return nil }
        var position = Int(hash) & mask
        while entries[position].number != 0 {
            if entries[position].hash == hash {
                let place = Int(entries[position].number) - 1
                if isSought(place) { return place }
            }
            position = (position + 1) & mask
        }
        return nil
    }

    /// Puts in a place, which is not in it yet.
    public mutating func insert(_ place: Int, _ hash: UInt32) {
        if (count + 1) * 4 > entries.count * 3 { grow() }
        put(Entry(number: UInt32(place) + 1, hash: hash))
        count += 1
    }

    private mutating func put(_ new: Entry) {
        var position = Int(new.hash) & mask
        while entries[position].number != 0 { position = (position + 1) & mask }
        entries[position] = new
    }

    private mutating func grow() {
        let old = entries
        entries = [Entry](repeating: Entry(), count: max(16, old.count * 2))
        for entry in old where entry.number != 0 { put(entry) }
    }

    /// Takes a place out. What stands behind it moves up, so that no search ends at the gap.
    public mutating func remove(_ place: Int, _ hash: UInt32) {
        guard count > 0 else { return }
        let number = UInt32(place) + 1
        var gap = Int(hash) & mask
        while entries[gap].number != number {
            guard entries[gap].number != 0 else { return }
            gap = (gap + 1) & mask
        }
        var next = (gap + 1) & mask
        while entries[next].number != 0 {
            let home = Int(entries[next].hash) & mask
            if (next - home) & mask >= (next - gap) & mask {
                entries[gap] = entries[next]
                gap = next
            }
            next = (next + 1) & mask
        }
        entries[gap] = Entry()
        count -= 1
    }
}
