extension NamePattern {
    /// One part's place in the order; lower is more specific.
    ///
    /// A literal, then `?`, then `*` (each with more literal bytes first), then the pattern's end,
    /// then any number of labels. The end stands before `**`, so that a name itself beats `*.name`.
    static func rank(of part: Part) -> UInt8 {
        switch part {
        case .literal: 0
        case .wildcard(let label):
            (label.hasStar ? 128 : 64) + UInt8(clamping: 63 - label.literalByteCount)
        case .anyLabels: 255
        }
    }

    /// The place of the end of a pattern among the ranks.
    static let endRank: UInt8 = 254

    /// Whether it is more specific than `other` for a name that both match: label by label from the
    /// right. Neither is, when the two differ only in what no label tells.
    public func isMoreSpecific(than other: NamePattern) -> Bool {
        Self.isMoreSpecific(ranks, than: other.ranks)
    }

    /// The ranks of the parts, rightmost first.
    var ranks: [UInt8] { parts.map(Self.rank) }

    static func isMoreSpecific(_ one: [UInt8], than other: [UInt8]) -> Bool {
        for index in 0..<max(one.count, other.count) {
            let left = index < one.count ? one[index] : endRank
            let right = index < other.count ? other[index] : endRank
            if left != right { return left < right }
        }
        return false
    }

    /// Whether `name` matches; for few patterns, see ``PatternIndex`` for many.
    public func matches(_ name: Name) -> Bool {
        let labels = LabelRanges(of: name)
        var (part, position) = (0, 0)
        // Steps back to the last `**` only, as inside a label.
        var lastAny: (part: Int, position: Int)?
        while part < parts.count || position < labels.count {
            if part < parts.count, parts[part] == .anyLabels {
                lastAny = (part, position)
                part += 1
            } else if part < parts.count, position < labels.count,
                fits(parts[part], name, labels[position])
            {
                part += 1
                position += 1
            } else if let any = lastAny, any.position < labels.count {
                lastAny = (any.part, any.position + 1)
                (part, position) = (any.part + 1, any.position + 1)
            } else {
                return false
            }
        }
        return true
    }

    private func fits(_ part: Part, _ name: Name, _ range: Range<Int>) -> Bool {
        switch part {
        case .literal(let label):
            label.count == range.count
                && zip(label, name.wire[range]).allSatisfy { $0 == $1.folded }
        case .wildcard(let label): label.matches(name.wire, range)
        case .anyLabels: true
        }
    }
}

/// Where the labels of a name lie in its wire form, counted from the right.
struct LabelRanges {
    /// Where each label's length byte stands.
    private var starts = InlineArray<128, UInt8>(repeating: 0)
    private let wire: [UInt8]
    private(set) var count = 0

    init(of name: Name) {
        wire = name.wire
        var (offset, count) = (0, 0)
        while wire[offset] != 0 {
            starts[count] = UInt8(offset)
            offset += 1 + Int(wire[offset])
            count += 1
        }
        self.count = count
    }

    /// Label `index` from the right, without its length byte.
    subscript(index: Int) -> Range<Int> {
        let start = Int(starts[count - 1 - index])
        return start + 1..<start + 1 + Int(wire[start])
    }
}
