internal import IP
internal import SansIO

/// The addresses of peers that shall be permitted, and which of them are (RFC 8656 9).
struct PermissionTable: Sendable {
    enum State: Sendable, Equatable {
        /// To be asked for at this time.
        case missing(due: Instant)
        /// A request is on its way.
        case asked
        /// Until when it surely holds, and when it is asked for again.
        case permitted(until: Instant, due: Instant)
        /// It stood and a request for more time is on its way.
        case renewing(until: Instant)
        /// The relay does not want to; asked again at this time.
        case refused(due: Instant)
    }

    struct Entry: Sendable {
        let address: IPAddress
        /// Asked for by itself.
        var isWanted = false
        /// Channels that need it.
        var channelCount = 0
        var state: State

        /// When something is to be done; nil: an answer is waited for.
        var due: Instant? {
            switch state {
            case .missing(let due), .permitted(_, let due), .refused(let due): due
            case .asked, .renewing: nil
            }
        }

        /// Whether the relay lets data pass, or will when the next ones reach it.
        var isUsable: Bool {
            switch state {
            case .asked, .permitted, .renewing: true
            case .missing, .refused: false
            }
        }
    }

    /// Sorted by address.
    private var entries: [Entry] = []
    /// No entry is due before; nil: none is due ever.
    private(set) var nextDue: Instant?

    var count: Int { entries.count }

    /// The entry of an address; O(log n).
    subscript(address: IPAddress) -> Entry? {
        let index = index(of: address)
        return isHere(address, index) ? entries[index] : nil
    }

    /// Changes what is wanted; makes the entry or drops it as needed. False: there is no room.
    mutating func change(
        _ address: IPAddress,
        limit: Int,
        at now: Instant,
        _ body: (inout Entry) -> Void
    ) -> Bool {
        let index = index(of: address)
        if !isHere(address, index) {
            guard entries.count < limit else { return false }
            entries.insert(Entry(address: address, state: .missing(due: now)), at: index)
        }
        body(&entries[index])
        note(entries[index].due)
        if !entries[index].isWanted, entries[index].channelCount <= 0 { entries.remove(at: index) }
        return true
    }

    /// A new state for the addresses that are still wanted.
    mutating func set(_ addresses: [IPAddress], to state: (Entry) -> State) {
        for address in addresses {
            let index = index(of: address)
            guard isHere(address, index) else { continue }
            entries[index].state = state(entries[index])
            note(entries[index].due)
        }
    }

    /// Everything is to be asked for anew: the relay knows nothing.
    mutating func reset(at now: Instant) {
        for index in entries.indices { entries[index].state = .missing(due: now) }
        nextDue = entries.isEmpty ? nil : now
    }

    /// Requests on their way are given up: what stood stands, what did not is asked for again.
    mutating func forgetRequests(at now: Instant) {
        for index in entries.indices { entries[index].state = entries[index].unanswered(due: now) }
        nextDue = entries.isEmpty ? nil : now
    }

    /// Up to `countMax` addresses that are due by now, or by `horizon` where they stand; marked as
    /// asked for.
    mutating func takeDue(_ countMax: Int, at now: Instant, horizon: Instant) -> [IPAddress] {
        var taken: [IPAddress] = []
        nextDue = nil
        for index in entries.indices {
            if taken.count < countMax, entries[index].take(at: now, horizon: horizon) {
                taken.append(entries[index].address)
            }
            note(entries[index].due)
        }
        return taken
    }

    private mutating func note(_ due: Instant?) {
        if let due, due != .never { nextDue = min(nextDue ?? due, due) }
    }

    private func isHere(_ address: IPAddress, _ index: Int) -> Bool {
        index < entries.count && entries[index].address == address
    }

    /// Where the address is, or would be.
    private func index(of address: IPAddress) -> Int {
        var (low, high) = (0, entries.count)
        while low < high {
            let middle = (low + high) / 2
            if entries[middle].address < address { low = middle + 1 } else { high = middle }
        }
        return low
    }
}

extension PermissionTable.Entry {
    /// Marks it as asked for, if it is due.
    fileprivate mutating func take(at now: Instant, horizon: Instant) -> Bool {
        switch state {
        case .missing(let due), .refused(let due):
            guard due <= now else { return false }
            state = .asked
        case .permitted(let until, let due):
            guard due <= horizon else { return false }
            state = .renewing(until: until)
        case .asked, .renewing: return false
        }
        return true
    }

    /// What it is after a request that nobody answered, to be asked for again at `due`.
    func unanswered(due: Instant) -> PermissionTable.State {
        switch state {
        case .asked: .missing(due: due)
        case .renewing(let until):
            until > due ? .permitted(until: until, due: due) : .missing(due: due)
        case .missing, .permitted, .refused: state
        }
    }
}
