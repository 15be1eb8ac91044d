/// Values by network, found by address: the longest prefix that contains it, or all that do.
///
/// IPv4 and IPv6 are apart: `::/0` contains no IPv4 address. Order is by address and length alone,
/// so that equal tables behave equally. Complexity: every look-up walks one path of a
/// path-compressed trie, at most one node for each bit and in practice the logarithm of the count.
public struct PrefixTable<Value> {
    private var trie = PrefixTrie()
    /// By node.
    private var values: [Value?] = []
    /// How many networks have a value.
    public private(set) var count = 0

    public init() {}

    public var isEmpty: Bool { count == 0 }

    /// The value of exactly this network; nil removes it.
    public subscript(prefix: IPPrefix) -> Value? {
        get { trie.node(of: prefix).flatMap { values[$0] } }
        set {
            guard let newValue else { return _ = remove(prefix) }
            insert(newValue, for: prefix)
        }
    }

    /// Sets the value of a network.
    ///
    /// - Returns: The value that it had.
    @discardableResult
    public mutating func insert(_ value: Value, for prefix: IPPrefix) -> Value? {
        let node = trie.insert(prefix)
        while values.count <= node { values.append(nil) }
        let old = values[node]
        values[node] = value
        if old == nil { count += 1 }
        return old
    }

    /// Removes a network.
    ///
    /// - Returns: The value that it had.
    @discardableResult
    public mutating func remove(_ prefix: IPPrefix) -> Value? {
        guard let node = trie.node(of: prefix) else { return nil }
        let old = values[node]
        values[node] = nil
        trie.remove(node)
        count -= 1
        return old
    }

    public mutating func removeAll() { self = PrefixTable() }
}

extension PrefixTable: Sendable where Value: Sendable {}

// MARK: - Look-up

extension PrefixTable {
    /// The value of the longest prefix that contains `address`.
    public func value(for address: IPAddress) -> Value? {
        trie.longest(address).flatMap { values[$0] }
    }

    /// The longest prefix that contains `address`, and its value.
    public func longestMatch(_ address: IPAddress) -> (prefix: IPPrefix, value: Value)? {
        trie.longest(address).flatMap(entry)
    }

    /// The longest prefix that contains `address` and whose value is `wanted`; longer ones first.
    public func longestMatch(
        _ address: IPAddress,
        where wanted: (IPPrefix, Value) throws -> Bool
    ) rethrows -> (prefix: IPPrefix, value: Value)? {
        var next = trie.longest(address)
        while let node = next {
            if let found = entry(node), try wanted(found.prefix, found.value) { return found }
            next = trie.covering(node)
        }
        return nil
    }

    /// All prefixes that contain `address`, the longest first.
    public func matches(_ address: IPAddress) -> [(prefix: IPPrefix, value: Value)] {
        var all: [(prefix: IPPrefix, value: Value)] = []
        var next = trie.longest(address)
        while let node = next {
            if let found = entry(node) { all.append(found) }
            next = trie.covering(node)
        }
        return all
    }

    /// All networks with their values: IPv4 first, then by address, shorter prefixes first.
    public var entries: [(prefix: IPPrefix, value: Value)] {
        trie.ordered.compactMap(entry)
    }

    private func entry(_ node: Int) -> (prefix: IPPrefix, value: Value)? {
        guard let value = values[node], let prefix = trie.prefix(node) else { return nil }
        return (prefix, value)
    }
}
