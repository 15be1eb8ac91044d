/// The nodes of a ``PrefixTable``: a path-compressed binary trie for each family, in one array.
///
/// A node is held (somebody stored a value for it) or a fork with two children. Nodes keep their
/// index as long as they are held.
struct PrefixTrie: Sendable {
    private struct Node {
        var key: IPAddress
        /// Leading bits of the 128 that count; IPv4 starts at 96.
        var bitCount: Int32
        var isHeld = false
        var parent: Int32 = none
        var zero: Int32 = none
        var one: Int32 = none
    }

    private static let none: Int32 = -1

    private var nodes: [Node] = []
    private var free: [Int32] = []
    private var ipv4Root = none
    private var ipv6Root = none

    /// Nodes in use: fewer than twice the held ones.
    var nodeCount: Int { nodes.count - free.count }

    private func root(isIPv4: Bool) -> Int32 { isIPv4 ? ipv4Root : ipv6Root }

    private subscript(index: Int32) -> Node {
        get { nodes[Int(index)] }
        set { nodes[Int(index)] = newValue }
    }
}

// MARK: - Look-up

extension PrefixTrie {
    /// The longest held prefix that contains `address`.
    func longest(_ address: IPAddress) -> Int? {
        var index = root(isIPv4: address.isIPv4)
        var found = Self.none
        while index != Self.none {
            let node = nodes[Int(index)]
            guard Self.commonBits(node.key, address) >= node.bitCount else { break }
            if node.isHeld { found = index }
            guard node.bitCount < 128 else { break }
            index = Self.bit(address, node.bitCount) ? node.one : node.zero
        }
        return found == Self.none ? nil : Int(found)
    }

    /// The next shorter held prefix that contains all of node `index`.
    func covering(_ index: Int) -> Int? {
        var next = nodes[index].parent
        while next != Self.none {
            if self[next].isHeld { return Int(next) }
            next = self[next].parent
        }
        return nil
    }

    /// The node of exactly this prefix, if held.
    func node(of prefix: IPPrefix) -> Int? {
        let bits = Self.bits(prefix)
        var index = root(isIPv4: prefix.address.isIPv4)
        while index != Self.none {
            let node = self[index]
            guard node.bitCount <= bits, Self.commonBits(node.key, prefix.address) >= node.bitCount
            else { return nil }
            if node.bitCount == bits { return node.isHeld ? Int(index) : nil }
            index = Self.bit(prefix.address, node.bitCount) ? node.one : node.zero
        }
        return nil
    }

    /// The prefix of node `index`.
    func prefix(_ index: Int) -> IPPrefix? {
        let node = nodes[index]
        return IPPrefix(node.key, bitCount: Int(node.bitCount) - (node.key.isIPv4 ? 96 : 0))
    }

    /// All held nodes: IPv4 first, then by address, shorter prefixes first.
    var ordered: [Int] {
        var found: [Int] = []
        var open = [ipv6Root, ipv4Root]
        while let index = open.popLast() {
            guard index != Self.none else { continue }
            if self[index].isHeld { found.append(Int(index)) }
            open.append(self[index].one)
            open.append(self[index].zero)
        }
        return found
    }

    private static func bits(_ prefix: IPPrefix) -> Int32 {
        Int32(prefix.bitCount) + (prefix.address.isIPv4 ? 96 : 0)
    }

    private static func commonBits(_ one: IPAddress, _ other: IPAddress) -> Int32 {
        let high = one.high ^ other.high
        guard high == 0 else { return Int32(high.leadingZeroBitCount) }
        return 64 + Int32((one.low ^ other.low).leadingZeroBitCount)
    }

    /// Bit `position`, from the front, 0…127.
    private static func bit(_ address: IPAddress, _ position: Int32) -> Bool {
        position < 64
            ? address.high >> UInt64(63 - position) & 1 == 1
            : address.low >> UInt64(127 - position) & 1 == 1
    }
}

// MARK: - Change

extension PrefixTrie {
    /// The node of this prefix, made and held if it is not.
    mutating func insert(_ prefix: IPPrefix) -> Int {
        let bits = Self.bits(prefix)
        var parent = Self.none
        var index = root(isIPv4: prefix.address.isIPv4)
        while index != Self.none {
            let node = self[index]
            let common = min(Self.commonBits(node.key, prefix.address), node.bitCount, bits)
            if common < node.bitCount {
                return Int(split(index, at: common, prefix.address, bits))
            }
            if node.bitCount == bits {
                self[index].isHeld = true
                return Int(index)
            }
            parent = index
            index = Self.bit(prefix.address, node.bitCount) ? node.one : node.zero
        }
        let leaf = make(Node(key: prefix.address, bitCount: bits, isHeld: true))
        attach(leaf, below: parent)
        return Int(leaf)
    }

    /// Puts a node between `index` and its parent: the wanted prefix itself, or a fork to it.
    private mutating func split(
        _ index: Int32,
        at common: Int32,
        _ address: IPAddress,
        _ bits: Int32
    ) -> Int32 {
        let parent = self[index].parent
        let wanted = make(Node(key: address, bitCount: bits, isHeld: true))
        guard common < bits else {
            attach(wanted, below: parent)
            attach(index, below: wanted)
            return wanted
        }
        let fork = make(Node(key: address, bitCount: common))
        attach(fork, below: parent)
        attach(index, below: fork)
        attach(wanted, below: fork)
        return wanted
    }

    /// Node `index` is not held any more; nodes that no look-up needs go.
    mutating func remove(_ index: Int) {
        let index = Int32(index)
        self[index].isHeld = false
        let parent = self[index].parent
        collapse(index)
        if parent != Self.none { collapse(parent) }
    }

    /// Drops the node if it is neither held nor a fork; its only child takes its place.
    private mutating func collapse(_ index: Int32) {
        let node = self[index]
        guard !node.isHeld, node.zero == Self.none || node.one == Self.none else { return }
        let child = node.zero == Self.none ? node.one : node.zero
        if node.parent == Self.none {
            setRoot(child, isIPv4: node.key.isIPv4)
        } else if self[node.parent].zero == index {
            self[node.parent].zero = child
        } else {
            self[node.parent].one = child
        }
        if child != Self.none { self[child].parent = node.parent }
        free.append(index)
    }

    private mutating func make(_ node: Node) -> Int32 {
        if let index = free.popLast() {
            self[index] = node
            return index
        }
        nodes.append(node)
        return Int32(nodes.count - 1)
    }

    private mutating func attach(_ index: Int32, below parent: Int32) {
        self[index].parent = parent
        if parent == Self.none {
            setRoot(index, isIPv4: self[index].key.isIPv4)
        } else if Self.bit(self[index].key, self[parent].bitCount) {
            self[parent].one = index
        } else {
            self[parent].zero = index
        }
    }

    private mutating func setRoot(_ index: Int32, isIPv4: Bool) {
        if isIPv4 { ipv4Root = index } else { ipv6Root = index }
    }
}
