public import Control

/// Something in a directory that has a name of its own.
public protocol TableRow: Hashable, Sendable, Codable {
    /// The kind of the identifier.
    associatedtype Tag
    /// Its identifier.
    var id: Identifier<Tag> { get }
    /// The name that no other row of the table may have, in lower case; nil where names may repeat.
    var uniqueName: String? { get }
}

/// Rows by identifier and by name; every row has a slot, a small number that stays its own.
///
/// Rows are iterated in the order of their slots, which follows from the table's history alone.
public struct Table<Row: TableRow>: Sendable {
    private var rows: [Row?] = []
    private var slots: [Identifier<Row.Tag>: Int] = [:]
    private var names: [String: Int] = [:]
    private var free: [Int] = []

    /// An empty table.
    public init() {}

    /// How many rows there are.
    public var count: Int { slots.count }

    /// One more than the highest slot ever used.
    var slotCount: Int { rows.count }

    /// The row called `id`.
    public subscript(id: Identifier<Row.Tag>) -> Row? { slots[id].flatMap { rows[$0] } }

    /// The row with the unique name `name`, whatever its case.
    public subscript(named name: String) -> Row? { names[name.lowercased()].flatMap { rows[$0] } }

    /// The row in `slot`.
    subscript(slot slot: Int) -> Row? { rows[slot] }

    /// The slot of the row called `id`.
    func slot(of id: Identifier<Row.Tag>) -> Int? { slots[id] }

    /// Puts a row in, in place of the one with the same identifier.
    ///
    /// - Returns: Its slot.
    @discardableResult
    mutating func set(_ row: Row) -> Int {
        let slot: Int
        if let old = slots[row.id] {
            slot = old
            if let name = rows[old]?.uniqueName { names[name] = nil }
            rows[slot] = row
        } else if let reused = free.popLast() {
            slot = reused
            rows[slot] = row
        } else {
            slot = rows.count
            rows.append(row)
        }
        slots[row.id] = slot
        if let name = row.uniqueName { names[name] = slot }
        return slot
    }

    /// Changes the row in `slot` in place; its name stays.
    mutating func update(slot: Int, _ change: (inout Row) -> Void) {
        guard var row = rows[slot] else { return }
        // Emptied first, so that nothing is copied.
        rows[slot] = nil
        change(&row)
        rows[slot] = row
    }

    /// Takes a row out.
    mutating func remove(_ id: Identifier<Row.Tag>) {
        guard let slot = slots.removeValue(forKey: id) else { return }
        if let name = rows[slot]?.uniqueName { names[name] = nil }
        rows[slot] = nil
        free.append(slot)
    }
}

extension Table: Sequence {
    /// Goes through the rows.
    public struct Iterator: IteratorProtocol {
        fileprivate var rows: IndexingIterator<[Row?]>

        public mutating func next() -> Row? {
            while let row = rows.next() {
                if let row { return row }
            }
            return nil
        }
    }

    public func makeIterator() -> Iterator { Iterator(rows: rows.makeIterator()) }

    public var underestimatedCount: Int { count }
}

extension Table: Equatable {
    /// Whether both hold the same rows, wherever they lie.
    public static func == (lhs: Self, rhs: Self) -> Bool {
        lhs.count == rhs.count && lhs.allSatisfy { rhs[$0.id] == $0 }
    }
}
