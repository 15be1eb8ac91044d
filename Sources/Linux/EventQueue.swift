internal import CLinux
internal import Glibc
internal import SansIO

/// Which descriptor an event is about.
enum EventKey: Equatable {
    case wake, timer, tunnel, second
    /// A UDP socket's slot. An event for a former owner of the slot is harmless: it costs a read
    /// that finds nothing.
    case socket(Int)
    /// An exchange's socket: its slot, and the slot's generation against events of a former owner.
    case exchange(slot: Int, generation: UInt32)

    var raw: UInt64 {
        switch self {
        case .wake: 0
        case .timer: 1
        case .tunnel: 2
        case .second: 3
        case .socket(let slot): 1 << 62 | UInt64(slot)
        case .exchange(let slot, let generation): 1 << 63 | UInt64(slot) << 32 | UInt64(generation)
        }
    }

    init?(raw: UInt64) {
        switch raw {
        case 0: self = .wake
        case 1: self = .timer
        case 2: self = .tunnel
        case 3: self = .second
        default:
            if raw >> 62 == 1 {
                self = .socket(Int(raw & 0x7fff_ffff))
                return
            }
            guard raw >> 63 == 1 else { return nil }
            self = .exchange(
                slot: Int(raw >> 32 & 0x7fff_ffff),
                generation: UInt32(truncatingIfNeeded: raw)
            )
        }
    }
}

/// What is asked of, or known about, a descriptor.
struct EventInterest: OptionSet {
    let rawValue: UInt32
    static let readable = EventInterest(rawValue: EPOLLIN.rawValue)
    static let writable = EventInterest(rawValue: EPOLLOUT.rawValue)
    static let failed = EventInterest(rawValue: EPOLLERR.rawValue | EPOLLHUP.rawValue)
}

/// epoll, level-triggered, with a wake-up descriptor and a timer on the clock of the machines.
@safe struct EventQueue: ~Copyable {
    enum Limits {
        /// Events taken by one wait.
        static var events: Int { 64 }
    }

    struct Event {
        var key = EventKey.wake
        var interest = EventInterest()
    }

    private let epoll: FileDescriptor
    private let timer: FileDescriptor
    private var armed: Instant?
    private var events = unsafe InlineArray<64, epoll_event>(repeating: epoll_event())

    init() throws(SystemError) {
        let epoll = FileDescriptor(
            taking: try SystemError.check("epoll_create1") {
                epoll_create1(Int32(EPOLL_CLOEXEC))
            }
        )
        let timer = FileDescriptor(
            taking: try SystemError.check("timerfd_create") {
                timerfd_create(CLOCK_BOOTTIME, Int32(TFD_CLOEXEC | TFD_NONBLOCK))
            }
        )
        try Self.control(epoll.raw, EPOLL_CTL_ADD, timer.raw, .timer, .readable)
        self.epoll = epoll
        self.timer = timer
    }

    func add(_ descriptor: Int32, _ key: EventKey, _ interest: EventInterest) throws(SystemError) {
        try Self.control(epoll.raw, EPOLL_CTL_ADD, descriptor, key, interest)
    }

    /// Changes what is asked of a descriptor. Cannot fail for one that was added.
    func change(_ descriptor: Int32, _ key: EventKey, _ interest: EventInterest) {
        _ = try? Self.control(epoll.raw, EPOLL_CTL_MOD, descriptor, key, interest)
    }

    func remove(_ descriptor: Int32) {
        var event = unsafe epoll_event()
        _ = unsafe epoll_ctl(epoll.raw, EPOLL_CTL_DEL, descriptor, &event)
    }

    private static func control(
        _ epoll: Int32,
        _ operation: Int32,
        _ descriptor: Int32,
        _ key: EventKey,
        _ interest: EventInterest
    ) throws(SystemError) {
        var event = unsafe epoll_event()
        unsafe event.events = interest.rawValue
        unsafe event.data.u64 = key.raw
        try SystemError.check("epoll_ctl") {
            unsafe epoll_ctl(epoll, operation, descriptor, &event)
        }
    }

    /// Waits until something happens or `deadline` comes.
    ///
    /// The timer is set only when it would fire too late: one that fires early costs a turn,
    /// setting it each time costs a system call.
    ///
    /// - Parameters:
    ///   - deadline: Nil waits for an event however long.
    ///   - now: The last reading of the clock; a deadline up to it does not wait.
    /// - Returns: How many events there are.
    mutating func wait(until deadline: Instant?, now: Instant) -> Int {
        var timeout: Int32 = -1
        if let deadline {
            if deadline <= now {
                timeout = 0
            } else if armed.map({ deadline < $0 }) ?? true {
                arm(deadline)
            }
        }
        let epoll = epoll.raw
        let count = unsafe withUnsafeMutablePointer(to: &events) { pointer in
            unsafe pointer.withMemoryRebound(to: epoll_event.self, capacity: Limits.events) {
                unsafe epoll_wait(epoll, $0, Int32(Limits.events), timeout)
            }
        }
        return max(0, Int(count))
    }

    /// Event `index` of the last wait.
    func event(_ index: Int) -> Event? {
        let event = unsafe events[index]
        guard let key = unsafe EventKey(raw: event.data.u64) else { return nil }
        return Event(key: key, interest: unsafe EventInterest(rawValue: event.events))
    }

    /// The timer has fired: it is not set any more.
    mutating func acknowledgeTimer() {
        var count: UInt64 = 0
        _ = unsafe Glibc.read(timer.raw, &count, 8)
        armed = nil
    }

    private mutating func arm(_ deadline: Instant) {
        var value = itimerspec()
        value.it_value.tv_sec = Int(deadline.nanoseconds / 1_000_000_000)
        value.it_value.tv_nsec = Int(deadline.nanoseconds % 1_000_000_000)
        _ = unsafe timerfd_settime(timer.raw, Int32(TFD_TIMER_ABSTIME), &value, nil)
        armed = deadline
    }
}
