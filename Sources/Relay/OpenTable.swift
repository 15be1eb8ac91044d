internal import Bytes

/// What an ``OpenTable`` finds things by.
protocol TableKey: Equatable, Sendable {
    /// What free places hold.
    static var none: Self { get }
    /// Spread by secret numbers, so that nobody chooses keys that collide.
    func hash(_ seed: TableSeed) -> UInt64
}

/// The secret numbers of a table's hash.
struct TableSeed: Sendable {
    let first: UInt64
    let second: UInt64

    init(from generator: inout some RandomNumberGenerator) {
        (first, second) = (generator.next() | 1, generator.next() | 1)
    }

    /// Both halves of the product, folded.
    static func fold(_ left: UInt64, _ right: UInt64) -> UInt64 {
        let product = left.multipliedFullWidth(by: right)
        return product.high ^ product.low
    }

    /// The hash of an address and a word.
    func hash(_ high: UInt64, _ low: UInt64, _ word: UInt64) -> UInt64 {
        let address = Self.fold(high ^ first, low ^ second)
        return Self.fold(address ^ word ^ 0x9e37_79b9_7f4a_7c15, first ^ address.byteSwapped)
    }
}

/// Numbers by key, in one array without pointers: open addressing, linear probing, at most half
/// full, removal without tombstones. O(1) on average; grows only by insertion.
struct OpenTable<Key: TableKey>: Sendable {
    private struct Slot: Sendable {
        var key: Key
        var value: UInt32
    }

    private static var noValue: UInt32 { .max }
    private var slots: [Slot]
    private var mask: Int
    private let seed: TableSeed
    /// How many keys there are.
    private(set) var count = 0

    init(from generator: inout some RandomNumberGenerator) {
        seed = TableSeed(from: &generator)
        slots = Array(repeating: Slot(key: Key.none, value: Self.noValue), count: 16)
        mask = 15
    }

    /// The number of `key`.
    func find(_ key: Key) -> UInt32? {
        var place = home(of: key)
        while slots[place].value != Self.noValue {
            if slots[place].key == key { return slots[place].value }
            place = (place + 1) & mask
        }
        return nil
    }

    /// Sets the number of `key`, which is anything but `UInt32.max`.
    mutating func insert(_ value: UInt32, for key: Key) {
        if 2 * (count + 1) > slots.count { grow() }
        var place = home(of: key)
        while slots[place].value != Self.noValue {
            if slots[place].key == key {
                slots[place].value = value
                return
            }
            place = (place + 1) & mask
        }
        slots[place] = Slot(key: key, value: value)
        count += 1
    }

    mutating func remove(_ key: Key) {
        var place = home(of: key)
        while slots[place].key != key || slots[place].value == Self.noValue {
            guard slots[place].value != Self.noValue else { return }
            place = (place + 1) & mask
        }
        count -= 1
        closeGap(at: place)
    }

    /// Moves back what stands behind a place that became free and would not be found any more.
    private mutating func closeGap(at place: Int) {
        var gap = place
        var next = (gap + 1) & mask
        while slots[next].value != Self.noValue {
            let distance = (next - home(of: slots[next].key)) & mask
            if distance >= (next - gap) & mask {
                slots[gap] = slots[next]
                gap = next
            }
            next = (next + 1) & mask
        }
        slots[gap] = Slot(key: Key.none, value: Self.noValue)
    }

    private mutating func grow() {
        let old = slots
        slots = Array(
            repeating: Slot(key: Key.none, value: Self.noValue),
            count: old.count * 2
        )
        mask = slots.count - 1
        for slot in old where slot.value != Self.noValue {
            var place = home(of: slot.key)
            while slots[place].value != Self.noValue { place = (place + 1) & mask }
            slots[place] = slot
        }
    }

    private func home(of key: Key) -> Int { Int(truncatingIfNeeded: key.hash(seed)) & mask }
}

/// The client's side of an allocation: the 5-tuple without the protocol (RFC 8656 2.2). A stream's
/// bridge has an endpoint of its own.
struct ClientKey: TableKey {
    var remote: Endpoint
    var localHigh: UInt64
    var localLow: UInt64

    init(remote: Endpoint, local: Endpoint) {
        (self.remote, localHigh, localLow) = (remote, local.high, local.low)
    }

    static var none: ClientKey { ClientKey(remote: .unspecified, local: .unspecified) }

    func hash(_ seed: TableSeed) -> UInt64 {
        // The local address is one of few, and told apart by comparison.
        seed.hash(remote.high, remote.low, UInt64(remote.port))
    }
}

/// A peer of an allocation: an endpoint that has a channel, or (port 0) an address that has a
/// permission.
struct PeerKey: TableKey {
    var allocation: UInt32
    var peer: Endpoint

    static var none: PeerKey { PeerKey(allocation: .max, peer: .unspecified) }

    func hash(_ seed: TableSeed) -> UInt64 {
        seed.hash(peer.high, peer.low, UInt64(allocation) << 16 | UInt64(peer.port))
    }
}

/// A channel of an allocation by its number.
struct ChannelKey: TableKey {
    var allocation: UInt32
    var number: UInt16

    static var none: ChannelKey { ChannelKey(allocation: .max, number: 0) }

    func hash(_ seed: TableSeed) -> UInt64 {
        TableSeed.fold(UInt64(allocation) << 16 ^ UInt64(number) ^ seed.first, seed.second)
    }
}
