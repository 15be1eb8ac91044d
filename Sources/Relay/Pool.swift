internal import SansIO

/// Records that keep their number, up to a bound; numbers of removed ones are used again.
struct Pool<Record: Sendable>: Sendable {
    private var records: [Record] = []
    private var free: [UInt32] = []
    /// How many there may be.
    let countMax: Int

    init(countMax: Int) { self.countMax = countMax }

    /// How many there are.
    var count: Int { records.count - free.count }

    /// Whether no more can be put in.
    var isFull: Bool { count >= countMax }

    /// Numbers up to here have been given.
    var end: UInt32 { UInt32(records.count) }

    /// The record of a number that was given.
    subscript(_ number: UInt32) -> Record {
        get { records[Int(number)] }
        _modify { yield &records[Int(number)] }
    }

    /// The number of the new record; nil when full.
    mutating func insert(_ record: Record) -> UInt32? {
        guard !isFull else { return nil }
        if let number = free.popLast() {
            records[Int(number)] = record
            return number
        }
        records.append(record)
        return UInt32(records.count - 1)
    }

    /// Gives the number back; the record stays until it is overwritten.
    mutating func remove(_ number: UInt32) { free.append(number) }
}

extension TimerHeap {
    /// The deadline of what has `number` in its pool; nil takes it away.
    subscript(number: UInt32) -> Instant? {
        get { self[Int(number)] }
        set { self[Int(number)] = newValue }
    }

    /// Takes the earliest if it is due.
    mutating func popNumber(dueAt now: Instant) -> UInt32? { popDue(at: now).map { UInt32($0) } }
}
