internal import SansIO

/// What happens when, earliest first; what is due at one instant happens in the order of adding.
struct EventHeap {
    private struct Event {
        var due: Instant
        var order: UInt64
        var action: () -> Void

        static func isBefore(_ one: Event, _ other: Event) -> Bool {
            (one.due, one.order) < (other.due, other.order)
        }
    }

    private var events: [Event] = []
    private var added: UInt64 = 0

    /// When the next event is due; nil when nothing will ever happen.
    var next: Instant? { events.first?.due }

    mutating func add(at due: Instant, _ action: @escaping () -> Void) {
        events.append(Event(due: due, order: added, action: action))
        added += 1
        var place = events.count - 1
        while place > 0 {
            let parent = (place - 1) / 2
            guard Event.isBefore(events[place], events[parent]) else { break }
            events.swapAt(place, parent)
            place = parent
        }
    }

    /// Takes the next event's action.
    mutating func popFirst() -> (() -> Void)? {
        guard let first = events.first else { return nil }
        let last = events.removeLast()
        guard !events.isEmpty else { return first.action }
        events[0] = last
        var place = 0
        while true {
            var least = place
            for child in [2 * place + 1, 2 * place + 2] where child < events.count {
                if Event.isBefore(events[child], events[least]) { least = child }
            }
            guard least != place else { return first.action }
            events.swapAt(place, least)
            place = least
        }
    }
}
