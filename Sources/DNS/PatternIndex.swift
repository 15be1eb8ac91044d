/// Finds all patterns that a name matches, however many there are: a tree of the patterns' parts
/// from the right.
///
/// A look-up takes time in the labels of the name, and in the distinct labels with `*` or `?`
/// inside them below one suffix; `**` in the middle of a pattern adds a factor of labels.
public struct PatternIndex<Value: Comparable & Sendable>: Sendable {
    /// The end of a path of parts.
    private struct Node: Sendable {
        /// What led here from `parent`.
        let part: NamePattern.Part
        let parent: Int
        /// The ranks of the parts so far, for the order of what is found.
        let ranks: [UInt8]
        /// What stands for the pattern that ends here, in order.
        var values: [Value] = []
        var literalChildCount = 0
        var wildcardChildren: [Int] = []
        var anyChild: Int?
        /// The next node whose edge has the same hash.
        var next: Int?

        var hasChildren: Bool {
            literalChildCount > 0 || !wildcardChildren.isEmpty || anyChild != nil
        }

        var isEmpty: Bool { values.isEmpty && !hasChildren }
    }

    private var nodes: [Node] = [Node(part: .anyLabels, parent: -1, ranks: [])]
    private var free: [Int] = []
    /// Literal children, by the hash of parent and label; chained where hashes collide.
    private var edges: [UInt64: Int] = [:]
    /// How many pairs of pattern and value it holds.
    public private(set) var count = 0

    public init() {}

    /// Adds `value` for `pattern`; the same pair is held once.
    public mutating func insert(_ pattern: NamePattern, _ value: Value) {
        var node = 0
        for part in pattern.parts { node = child(of: node, part) ?? addChild(of: node, part) }
        let place = nodes[node].values.firstIndex { !($0 < value) } ?? nodes[node].values.count
        guard place == nodes[node].values.count || value < nodes[node].values[place] else { return }
        nodes[node].values.insert(value, at: place)
        count += 1
    }

    /// Takes `value` away from `pattern`; nothing happens where it is not there.
    public mutating func remove(_ pattern: NamePattern, _ value: Value) {
        var node = 0
        for part in pattern.parts {
            guard let next = child(of: node, part) else { return }
            node = next
        }
        guard let place = nodes[node].values.firstIndex(of: value) else { return }
        nodes[node].values.remove(at: place)
        count -= 1
        while node != 0, nodes[node].isEmpty {
            let parent = nodes[node].parent
            removeChild(node, of: parent)
            node = parent
        }
    }

    /// The values of all patterns that `name` matches: the most specific first, then the lower.
    public func matches(of name: Name) -> [Value] {
        var search = Search(name)
        visit(0, at: 0, &search)
        guard search.found.count > 1 else {
            return search.found.first.map { nodes[$0].values } ?? []
        }
        var all: [(ranks: [UInt8], value: Value)] = []
        for node in search.found {
            for value in nodes[node].values { all.append((nodes[node].ranks, value)) }
        }
        all.sort { left, right in
            if left.ranks != right.ranks {
                if NamePattern.isMoreSpecific(left.ranks, than: right.ranks) { return true }
                if NamePattern.isMoreSpecific(right.ranks, than: left.ranks) { return false }
            }
            return left.value < right.value
        }
        return all.map(\.value)
    }

    /// Whether a name below `name`, not `name` itself, may match a pattern.
    public func hasPattern(below name: Name) -> Bool {
        var search = Search(name)
        search.isForBelow = true
        visit(0, at: 0, &search)
        return search.isAbove
    }

    /// Whether `name` matches any pattern.
    public func hasMatch(of name: Name) -> Bool {
        var search = Search(name)
        visit(0, at: 0, &search)
        return !search.found.isEmpty
    }
}

// MARK: - Search

extension PatternIndex {
    /// One look-up on its way.
    private struct Search {
        let wire: [UInt8]
        let labels: LabelRanges
        /// Nodes whose patterns match.
        var found: [Int] = []
        /// For nodes of `**`, the fewest labels that they were entered after: what lies behind more
        /// of them was searched then.
        var entered: [(node: Int, position: Int)] = []
        /// Whether it is about what lies below the name, and whether something does.
        var isForBelow = false
        var isAbove = false

        init(_ name: Name) {
            wire = name.wire
            labels = LabelRanges(of: name)
        }
    }

    /// `node` was reached by the first `position` labels from the right.
    private func visit(_ node: Int, at position: Int, _ search: inout Search) {
        if position == search.labels.count {
            if !nodes[node].values.isEmpty { search.found.append(node) }
            if search.isForBelow, nodes[node].hasChildren { search.isAbove = true }
        } else {
            visitChildren(of: node, at: position, &search)
        }
        if let any = nodes[node].anyChild { enter(any, at: position, &search) }
    }

    private func visitChildren(of node: Int, at position: Int, _ search: inout Search) {
        let label = search.labels[position]
        if nodes[node].literalChildCount > 0 {
            var next = edges[Self.hash(node, search.wire, label)]
            while let candidate = next {
                if nodes[candidate].parent == node, isLiteral(candidate, search.wire, label) {
                    visit(candidate, at: position + 1, &search)
                    break
                }
                next = nodes[candidate].next
            }
        }
        for candidate in nodes[node].wildcardChildren {
            if case .wildcard(let pattern) = nodes[candidate].part,
                pattern.matches(search.wire, label)
            {
                visit(candidate, at: position + 1, &search)
            }
        }
    }

    /// A `**` after the first `position` labels: it may swallow none, some or all of the rest.
    private func enter(_ node: Int, at position: Int, _ search: inout Search) {
        var end = search.labels.count
        if let before = search.entered.firstIndex(where: { $0.node == node }) {
            end = search.entered[before].position
            guard position < end else { return }
            search.entered[before].position = position
        } else {
            search.entered.append((node, position))
            if !nodes[node].values.isEmpty { search.found.append(node) }
            if search.isForBelow { search.isAbove = true }
        }
        guard nodes[node].literalChildCount > 0 || !nodes[node].wildcardChildren.isEmpty else {
            return
        }
        for swallowed in position..<end { visitChildren(of: node, at: swallowed, &search) }
    }

    private func isLiteral(_ node: Int, _ wire: [UInt8], _ range: Range<Int>) -> Bool {
        guard case .literal(let label) = nodes[node].part, label.count == range.count else {
            return false
        }
        for index in 0..<label.count where label[index] != wire[range.lowerBound + index].folded {
            return false
        }
        return true
    }

    /// Hash of an edge: FNV-1a over the label, then mixed with the parent.
    private static func hash(_ parent: Int, _ wire: [UInt8], _ range: Range<Int>) -> UInt64 {
        var hash: UInt64 = 0xcbf2_9ce4_8422_2325 ^ UInt64(truncatingIfNeeded: parent)
        for index in range { hash = (hash ^ UInt64(wire[index].folded)) &* 0x100_0000_01b3 }
        return hash
    }
}

// MARK: - Tree

extension PatternIndex {
    private func child(of node: Int, _ part: NamePattern.Part) -> Int? {
        switch part {
        case .literal(let label):
            var next = edges[Self.hash(node, label, label.indices)]
            while let candidate = next {
                if nodes[candidate].parent == node, nodes[candidate].part == part {
                    return candidate
                }
                next = nodes[candidate].next
            }
            return nil
        case .wildcard: return nodes[node].wildcardChildren.first { nodes[$0].part == part }
        case .anyLabels: return nodes[node].anyChild
        }
    }

    private mutating func addChild(of parent: Int, _ part: NamePattern.Part) -> Int {
        let ranks = nodes[parent].ranks + [NamePattern.rank(of: part)]
        var node = Node(part: part, parent: parent, ranks: ranks)
        let index = free.popLast() ?? nodes.count
        switch part {
        case .literal(let label):
            let hash = Self.hash(parent, label, label.indices)
            node.next = edges[hash]
            edges[hash] = index
            nodes[parent].literalChildCount += 1
        case .wildcard: nodes[parent].wildcardChildren.append(index)
        case .anyLabels: nodes[parent].anyChild = index
        }
        if index == nodes.count { nodes.append(node) } else { nodes[index] = node }
        return index
    }

    private mutating func removeChild(_ node: Int, of parent: Int) {
        switch nodes[node].part {
        case .literal(let label):
            let hash = Self.hash(parent, label, label.indices)
            if edges[hash] == node {
                edges[hash] = nodes[node].next
            } else {
                var before = edges[hash]
                while let candidate = before, nodes[candidate].next != node {
                    before = nodes[candidate].next
                }
                if let before { nodes[before].next = nodes[node].next }
            }
            nodes[parent].literalChildCount -= 1
        case .wildcard: nodes[parent].wildcardChildren.removeAll { $0 == node }
        case .anyLabels: nodes[parent].anyChild = nil
        }
        nodes[node] = Node(part: .anyLabels, parent: -1, ranks: [])
        free.append(node)
    }
}
