internal import Bytes
internal import IP
internal import SansIO

/// The channels of one client: numbers that were dealt, and what the relay knows of them
/// (RFC 8656 12).
///
/// A number belongs to one peer until the relay has surely forgotten it for five minutes; the same
/// peer gets the same number again at any time, also from the next allocation.
struct ChannelTable: Sendable {
    enum State: Sendable, Equatable {
        /// To be bound at this time, when it is wanted.
        case idle(due: Instant)
        /// The first request is on its way.
        case asked
        /// Until when it surely is, and when it is bound again.
        case bound(until: Instant, due: Instant)
        /// Bound, and a request for more time is on its way.
        case renewing(until: Instant)
    }

    struct Channel: Sendable {
        let peer: Endpoint
        var isWanted = true
        var state: State
        /// Until when the relay may hold it, counted from the last request; nil: not at all.
        var heldUntil: Instant?
        /// From when on another peer may have the number.
        var freeAt: Instant

        /// When something is to be done; nil: nothing, or an answer is waited for.
        var due: Instant? {
            switch state {
            case .idle(let due): isWanted ? due : nil
            case .bound(_, let due): isWanted ? due : heldUntil
            case .asked, .renewing: nil
            }
        }

        var isBound: Bool {
            switch state {
            case .bound, .renewing: true
            case .idle, .asked: false
            }
        }
    }

    /// The numbers that are dealt (RFC 8656 12).
    static let numbers: ClosedRange<UInt16> = 0x4000...0x4fff

    /// By number, from the first.
    private var channels: [Channel] = []
    private var numbers: [Endpoint: UInt16] = [:]
    /// Where the search for a number that is free again goes on.
    private var cursor = 0
    /// No channel is due before; nil: none is due ever.
    private(set) var nextDue: Instant?

    /// The channel of a number; nil: never dealt.
    subscript(number: UInt16) -> Channel? {
        let index = Int(number) - Int(Self.numbers.lowerBound)
        return channels.indices.contains(index) ? channels[index] : nil
    }

    /// The number of a peer, whatever its state.
    func number(of peer: Endpoint) -> UInt16? { numbers[peer] }

    /// A peer wants a channel: the number that it had, a new one, or one that is free again; nil:
    /// there is none.
    mutating func want(_ peer: Endpoint, at now: Instant) -> UInt16? {
        if let number = numbers[peer] {
            change(number) { channel in
                channel.isWanted = true
                if case .bound(let until, _) = channel.state, until <= now {
                    channel.state = .idle(due: now)
                }
            }
            return number
        }
        let index: Int
        let channel = Channel(peer: peer, state: .idle(due: now), freeAt: now)
        if channels.count < Self.numbers.count {
            index = channels.count
            channels.append(channel)
        } else if let free = freeIndex(at: now) {
            index = free
            numbers[channels[index].peer] = nil
            channels[index] = channel
        } else {
            return nil
        }
        let number = Self.numbers.lowerBound + UInt16(index)
        numbers[peer] = number
        note(channel.due)
        return number
    }

    /// Changes a channel.
    mutating func change(_ number: UInt16, _ body: (inout Channel) -> Void) {
        let index = Int(number) - Int(Self.numbers.lowerBound)
        guard channels.indices.contains(index) else { return }
        body(&channels[index])
        note(channels[index].due)
    }

    /// Nothing is bound: there is another allocation, or none.
    mutating func reset(at now: Instant) {
        for index in channels.indices {
            channels[index].state = .idle(due: now)
            channels[index].heldUntil = nil
            note(channels[index].due)
        }
    }

    /// Requests on their way are given up: what stood stands, what did not is asked for again.
    mutating func forgetRequests(at now: Instant) {
        for index in channels.indices {
            channels[index].state = channels[index].unanswered(due: now)
            note(channels[index].due)
        }
    }

    /// Up to `countMax` numbers to be bound by now, marked as asked for; those that are not wanted
    /// and have run out are idle afterwards.
    mutating func takeDue(_ countMax: Int, at now: Instant) -> [UInt16] {
        var taken: [UInt16] = []
        nextDue = nil
        for index in channels.indices {
            if taken.count < countMax, let due = channels[index].due, due <= now {
                if channels[index].isWanted {
                    taken.append(Self.numbers.lowerBound + UInt16(index))
                    channels[index].state = channels[index].asked
                } else {
                    channels[index].state = .idle(due: now)
                    channels[index].heldUntil = nil
                }
            }
            note(channels[index].due)
        }
        return taken
    }

    /// The next number that nobody wants and that rested long enough, going round.
    private mutating func freeIndex(at now: Instant) -> Int? {
        for _ in channels.indices {
            cursor = (cursor + 1) % channels.count
            if !channels[cursor].isWanted, channels[cursor].freeAt <= now { return cursor }
        }
        return nil
    }

    private mutating func note(_ due: Instant?) {
        if let due, due != .never { nextDue = min(nextDue ?? due, due) }
    }
}

extension ChannelTable.Channel {
    /// What it is when a request goes out.
    fileprivate var asked: ChannelTable.State {
        switch state {
        case .idle, .asked: .asked
        case .bound(let until, _), .renewing(let until): .renewing(until: until)
        }
    }

    /// What it is after a request that nobody answered, to be asked for again at `due`.
    func unanswered(due: Instant) -> ChannelTable.State {
        switch state {
        case .asked: .idle(due: due)
        case .renewing(let until): until > due ? .bound(until: until, due: due) : .idle(due: due)
        case .idle, .bound: state
        }
    }
}
