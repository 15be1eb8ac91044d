internal import Bytes
internal import Glibc
internal import IP
internal import SansIO

/// The UDP sockets that a loop serves: those of its main port, and those of the ports that its
/// machine asked for. Each has a slot, and in it what a full socket has not taken yet.
struct SocketTable: ~Copyable {
    enum Limits {
        /// Ports open at the same time beside the main one.
        static var ports: Int { 16_384 }
        /// Bytes that may wait for all full sockets together.
        static var backlogByteCount: Int { 16 << 20 }
    }

    /// What became of a request to open a port.
    enum Opening: Equatable {
        case open
        /// The kernel's reason.
        case refused(SystemError)
    }

    private struct Slot {
        /// -1: the slot is free.
        var descriptor: Int32
        var family: IPFamily
        var port: UInt16
        /// The address that it is bound to; nil for all.
        var address: IPAddress?
        var backlog = Backlog()
    }

    /// The port of the main sockets.
    let port: UInt16
    private let mark: UInt32
    private var slots: [Slot] = []
    private var free: [Int] = []
    /// The main sockets are the first slots; the first of each family, -1 for none.
    private let mainCount: Int
    private let main: (ipv4: Int, ipv6: Int)
    /// Slot by port, -1 for none; empty until a port is opened, so that finding one is one read.
    private var slotOfPort: (ipv4: [Int32], ipv6: [Int32]) = ([], [])
    /// How many ports are open beside the main one.
    private(set) var portCount = 0
    /// Slots whose socket is full.
    private var blocked: [Int] = []
    private var backlogByteCount = 0

    /// Takes over the main sockets.
    ///
    /// - Parameters:
    ///   - sockets: Those of the main port.
    ///   - mark: The firewall mark of the ports' sockets.
    init(_ sockets: consuming UDPSockets, mark: UInt32) {
        port = sockets.port
        self.mark = mark
        let all = sockets.take()
        mainCount = all.count
        main = (
            all.firstIndex { $0.family == .ipv4 } ?? -1, all.firstIndex { $0.family == .ipv6 } ?? -1
        )
        for socket in all {
            slots.append(
                Slot(
                    descriptor: socket.descriptor,
                    family: socket.family,
                    port: port,
                    address: socket.address
                )
            )
        }
    }

    /// A table without sockets.
    init() { (port, mark, mainCount, main) = (0, 0, 0, (-1, -1)) }

    deinit { for slot in slots where slot.descriptor >= 0 { _ = Glibc.close(slot.descriptor) } }

    /// Gives the main sockets away, to be closed by the new owner.
    mutating func takeMain(from queue: borrowing EventQueue) -> [Int32] {
        mainSlots.map { index in
            queue.remove(slots[index].descriptor)
            defer { slots[index].descriptor = -1 }
            return slots[index].descriptor
        }
    }

    /// The slots of the main sockets.
    var mainSlots: Range<Int> { 0..<mainCount }

    /// The socket of `slot`; -1 when there is none.
    func descriptor(_ slot: Int) -> Int32 {
        slots.indices.contains(slot) ? slots[slot].descriptor : -1
    }

    /// The port of `slot`'s socket.
    func port(_ slot: Int) -> UInt16 { slots[slot].port }

    /// The slot of the socket that `run` leaves through; -1 when there is none.
    func slot(of run: Outbox.Run) -> Int {
        let isIPv4 = run.remote.address.isIPv4
        if run.local.port == 0 || run.local.port == port {
            let first = isIPv4 ? main.ipv4 : main.ipv6
            return mainCount <= 2 ? first : bound(to: run.local.address, isIPv4) ?? first
        }
        if slotOfPort.ipv4.isEmpty { return -1 }
        let port = Int(run.local.port)
        return Int(isIPv4 ? slotOfPort.ipv4[port] : slotOfPort.ipv6[port])
    }

    private func bound(to address: IPAddress, _ isIPv4: Bool) -> Int? {
        mainSlots.first { slots[$0].address == address && address.isIPv4 == isIPv4 }
    }
}

// MARK: - Ports

extension SocketTable {
    /// Opens `port` in the families asked for; what is open of it already stays. Of a port that
    /// cannot be opened as asked for, nothing new is kept.
    mutating func open(
        _ port: UInt16,
        ipv4: Bool,
        ipv6: Bool,
        in queue: borrowing EventQueue
    ) -> Opening {
        if slotOfPort.ipv4.isEmpty {
            let none = [Int32](repeating: -1, count: Int(UInt16.max) + 1)
            slotOfPort = (none, none)
        }
        let wanted = (ipv4 ? [IPFamily.ipv4] : []) + (ipv6 ? [IPFamily.ipv6] : [])
        let missing = wanted.filter { slot(port, $0) < 0 }
        guard port != 0, port != self.port, !wanted.isEmpty else {
            return .refused(SystemError(call: "bind", code: EADDRINUSE))
        }
        let isNew = slot(port, .ipv4) < 0 && slot(port, .ipv6) < 0
        guard !isNew || portCount < Limits.ports else {
            return .refused(SystemError(call: "socket", code: EMFILE))
        }
        for (index, family) in missing.enumerated() {
            do throws(SystemError) {
                try add(port, family, in: queue)
            } catch {
                for family in missing[..<index] { remove(port, family, in: queue) }
                return .refused(error)
            }
        }
        if isNew { portCount += 1 }
        return .open
    }

    /// Closes `port`; returns how many waiting datagrams are lost with it.
    mutating func close(_ port: UInt16, in queue: borrowing EventQueue) -> Int {
        guard !slotOfPort.ipv4.isEmpty else { return 0 }
        guard slot(port, .ipv4) >= 0 || slot(port, .ipv6) >= 0 else { return 0 }
        portCount -= 1
        return remove(port, .ipv4, in: queue) + remove(port, .ipv6, in: queue)
    }

    private func slot(_ port: UInt16, _ family: IPFamily) -> Int {
        Int(family == .ipv4 ? slotOfPort.ipv4[Int(port)] : slotOfPort.ipv6[Int(port)])
    }

    private mutating func setSlot(_ port: UInt16, _ family: IPFamily, _ slot: Int) {
        switch family {
        case .ipv4: slotOfPort.ipv4[Int(port)] = Int32(slot)
        case .ipv6: slotOfPort.ipv6[Int(port)] = Int32(slot)
        }
    }

    private mutating func add(
        _ port: UInt16,
        _ family: IPFamily,
        in queue: borrowing EventQueue
    ) throws(SystemError) {
        let socket = try FileDescriptor(datagrams: family)
        _ = try socket.prepareForPackets(family, mark: mark, buffers: .port)
        try socket.bind(to: SocketAddress(any: family, port: port))
        let index = free.last ?? slots.count
        try queue.add(socket.raw, .socket(index), .readable)
        let slot = Slot(descriptor: socket.take(), family: family, port: port)
        if free.popLast() == nil {
            slots.append(slot)
        } else {
            slots[index] = slot
        }
        setSlot(port, family, index)
    }

    @discardableResult
    private mutating func remove(
        _ port: UInt16,
        _ family: IPFamily,
        in queue: borrowing EventQueue
    ) -> Int {
        let index = slot(port, family)
        guard index >= 0 else { return 0 }
        let lost = dropBacklog(index)
        queue.remove(slots[index].descriptor)
        _ = Glibc.close(slots[index].descriptor)
        slots[index].descriptor = -1
        setSlot(port, family, -1)
        free.append(index)
        return lost
    }
}

// MARK: - What waits for full sockets

extension SocketTable {
    /// Whether any socket is full.
    var isAnyBlocked: Bool { !blocked.isEmpty }

    /// Whether something waits for the socket of `slot`.
    func isBlocked(_ slot: Int) -> Bool {
        !blocked.isEmpty && slot >= 0 && !slots[slot].backlog.isEmpty
    }

    /// When the longest wait has been too long; nil while nothing waits.
    var nextDeadline: Instant? {
        var earliest: Instant?
        for slot in blocked {
            guard let deadline = slots[slot].backlog.deadline else { continue }
            earliest = earliest.map { min($0, deadline) } ?? deadline
        }
        return earliest
    }

    /// Keeps a copy of a run for the full socket of `slot`; false when there is no room.
    mutating func postpone(
        _ run: Outbox.Run,
        _ bytes: RawSpan,
        _ slot: Int,
        at now: Instant
    ) -> Bool {
        guard backlogByteCount + bytes.byteCount <= Limits.backlogByteCount else { return false }
        let wasEmpty = slots[slot].backlog.isEmpty
        guard slots[slot].backlog.append(run, bytes, at: now) else { return false }
        backlogByteCount += bytes.byteCount
        if wasEmpty { blocked.append(slot) }
        return true
    }

    /// What waits longest for the socket of `slot`.
    func firstWaiting(_ slot: Int) -> Backlog.Entry? { slots[slot].backlog.first }

    /// What waited longest was sent.
    mutating func removeFirstWaiting(_ slot: Int, at now: Instant) {
        backlogByteCount -= slots[slot].backlog.first?.bytes.count ?? 0
        slots[slot].backlog.removeFirst(at: now)
        if slots[slot].backlog.isEmpty { blocked.removeAll { $0 == slot } }
    }

    /// Drops what waits for the socket of `slot`; returns how many datagrams that were.
    mutating func dropBacklog(_ slot: Int) -> Int {
        guard isBlocked(slot) else { return 0 }
        backlogByteCount -= slots[slot].backlog.byteCount
        blocked.removeAll { $0 == slot }
        return slots[slot].backlog.removeAll()
    }

    /// Slots whose sockets took nothing for too long.
    func overdue(at now: Instant) -> [Int] {
        blocked.filter { slot in slots[slot].backlog.deadline.map { $0 <= now } ?? false }
    }
}
