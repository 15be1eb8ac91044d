internal import Bytes
internal import CLinux
internal import Glibc
internal import IP
internal import SansIO

/// The datagram exchanges that a loop does for its machine, each on a connected, marked socket that
/// has no other question under way, so that an answer can be forged only by who sees the question.
///
/// A socket has a random port, which the kernel gives it. Answered, it takes further questions for
/// the same server until it is a second old: a port is gone before somebody could have found it by
/// trying all, and a busy resolver does without making a socket for each question.
struct ExchangeTable: ~Copyable {
    enum Limits {
        /// Exchanges at the same time.
        static var open: Int { 1_000 }
        /// A question without answer gives its socket back after this time.
        static var lifetime: Duration { .seconds(10) }
        /// For how long a socket takes further questions.
        static var reuse: Duration { .seconds(1) }
        /// Bytes of an answer; the largest that UDP can carry.
        static var answerByteCount: Int { 65_535 }
        /// Datagrams that are looked at in one turn: wrong ones must not hold up the loop.
        static var datagramsPerTurn: Int { 16 }
    }

    enum Outcome {
        case nothing
        case answered(token: UInt64, [UInt8])
        case failed(token: UInt64)
    }

    private struct Slot {
        var socket: Int32 = -1
        /// Counts the sockets that were here.
        var generation: UInt32 = 0
        /// Counts the questions that were here, and the rests between them.
        var use: UInt32 = 0
        /// The question under way; nil while the socket rests.
        var token: UInt64?
        /// The first two bytes of the question, which the answer repeats.
        var identifier: (UInt8, UInt8) = (0, 0)
        var server = Endpoint.unspecified
        var madeAt = Instant(nanoseconds: 0)
    }

    /// Slots in the order of their deadlines, which all have the same distance; used ones stay in.
    private struct Order {
        private var entries: [(deadline: Instant, slot: Int, use: UInt32)] = []
        private var head = 0

        var first: (deadline: Instant, slot: Int, use: UInt32)? {
            head < entries.count ? entries[head] : nil
        }

        mutating func append(_ deadline: Instant, _ slot: Int, _ use: UInt32) {
            entries.append((deadline, slot, use))
        }

        mutating func removeFirst() {
            head += 1
            guard head == entries.count || head > Limits.open else { return }
            entries.removeFirst(head)
            head = 0
        }
    }

    private let mark: UInt32
    private var slots: [Slot] = []
    private var free: [Int] = []
    private var slotOfToken: [UInt64: Int] = [:]
    private var asking = Order()
    private var resting = Order()
    /// Sockets that rest, by the server that they are connected to.
    private var idle: [Endpoint: [Int]] = [:]
    private var buffer: [UInt8] = []

    init(mark: UInt32) { self.mark = mark }

    deinit { for slot in slots where slot.socket >= 0 { _ = Glibc.close(slot.socket) } }

    /// When the oldest is given up, or its socket closed; nil when none is open.
    var nextDeadline: Instant? {
        [asking.first?.deadline, resting.first?.deadline].compactMap(\.self).min()
    }

    /// Sends the question; false when it failed at once. A token in use is replaced.
    mutating func begin(
        _ exchange: Exchange,
        at now: Instant,
        in queue: borrowing EventQueue
    ) -> Bool {
        if let slot = slotOfToken[exchange.token] { close(slot, in: queue) }
        guard slotOfToken.count < Limits.open else { return false }
        guard
            let index = reuse(for: exchange, at: now, in: queue)
                ?? make(exchange, at: now, in: queue)
        else { return false }
        slots[index].use &+= 1
        slots[index].token = exchange.token
        slots[index].identifier = (exchange.bytes.first ?? 0, exchange.bytes.dropFirst().first ?? 0)
        slotOfToken[exchange.token] = index
        asking.append(now.advanced(by: Limits.lifetime), index, slots[index].use)
        return true
    }

    /// Sends the question on a socket that rests; nil when none does, or none can.
    private mutating func reuse(
        for exchange: Exchange,
        at now: Instant,
        in queue: borrowing EventQueue
    ) -> Int? {
        while let index = idle[exchange.server]?.popLast() {
            if slots[index].madeAt.duration(to: now) < Limits.reuse,
                (try? Self.send(exchange.bytes, on: slots[index].socket)) != nil
            {
                return index
            }
            close(index, in: queue)
        }
        return nil
    }

    /// Sends the question on a socket of its own; nil when that fails.
    private mutating func make(
        _ exchange: Exchange,
        at now: Instant,
        in queue: borrowing EventQueue
    ) -> Int? {
        guard let socket = try? ask(exchange) else { return nil }
        let index = free.popLast() ?? slots.count
        if index == slots.count { slots.append(Slot()) }
        slots[index].generation &+= 1
        let key = EventKey.exchange(slot: index, generation: slots[index].generation)
        guard (try? queue.add(socket.raw, key, .readable)) != nil else {
            free.append(index)
            return nil
        }
        slots[index].socket = socket.take()
        (slots[index].server, slots[index].madeAt) = (exchange.server, now)
        return index
    }

    private func ask(_ exchange: Exchange) throws(SystemError) -> FileDescriptor {
        let socket = try FileDescriptor(
            socket: exchange.server.address.isIPv4 ? AF_INET : AF_INET6,
            type: Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_NONBLOCK.rawValue)
        )
        if mark != 0 { try socket.setOption(SOL_SOCKET, SO_MARK, Int32(bitPattern: mark)) }
        let server = SocketAddress(scoped: exchange.server)
        try SystemError.check("connect") {
            unsafe server.withPointer { unsafe connect(socket.raw, $0, $1) }
        }
        try Self.send(exchange.bytes, on: socket.raw)
        return socket
    }

    private static func send(_ question: [UInt8], on socket: Int32) throws(SystemError) {
        try SystemError.check("send") {
            unsafe question.withUnsafeBytes { bytes in
                unsafe Int32(
                    truncatingIfNeeded: Glibc.send(
                        socket,
                        bytes.baseAddress,
                        bytes.count,
                        Int32(MSG_NOSIGNAL)
                    )
                )
            }
        }
    }

    /// The socket of `slot` is readable, or has failed.
    ///
    /// A datagram that does not begin with the question's identifier (RFC 1035 4.1.1) is not its
    /// answer, and is passed over; so is all that comes while the socket rests.
    mutating func receive(
        slot index: Int,
        generation: UInt32,
        at now: Instant,
        in queue: borrowing EventQueue
    ) -> Outcome {
        guard index < slots.count, slots[index].generation == generation,
            slots[index].socket >= 0
        else { return .nothing }
        let slot = slots[index]
        if buffer.isEmpty { buffer = [UInt8](repeating: 0, count: Limits.answerByteCount) }
        for _ in 0..<Limits.datagramsPerTurn {
            let count = unsafe buffer.withUnsafeMutableBytes { bytes in
                unsafe recv(slot.socket, bytes.baseAddress, bytes.count, 0)
            }
            if count < 0 {
                if errno == EAGAIN || errno == EINTR { return .nothing }
                close(index, in: queue)
                return slot.token.map { .failed(token: $0) } ?? .nothing
            }
            guard let token = slot.token, count >= 2, buffer[0] == slot.identifier.0,
                buffer[1] == slot.identifier.1
            else { continue }
            let answer = Array(buffer[..<count])
            rest(index, at: now, in: queue)
            return .answered(token: token, answer)
        }
        return .nothing
    }

    /// Lets the socket wait for another question, or closes it when it is old.
    private mutating func rest(_ index: Int, at now: Instant, in queue: borrowing EventQueue) {
        let end = slots[index].madeAt.advanced(by: Limits.reuse)
        guard now < end, let token = slots[index].token else { return close(index, in: queue) }
        slotOfToken[token] = nil
        slots[index].token = nil
        slots[index].use &+= 1
        // Not when it is too old for a question, but a full time later: so the order holds.
        resting.append(now.advanced(by: Limits.reuse), index, slots[index].use)
        idle[slots[index].server, default: []].append(index)
    }

    /// Closes what was not answered in time, and what rested long; returns how many of the former.
    mutating func expire(at now: Instant, in queue: borrowing EventQueue) -> Int {
        var count = 0
        while let first = asking.first {
            if slots[first.slot].use == first.use {
                guard first.deadline <= now else { break }
                close(first.slot, in: queue)
                count += 1
            }
            asking.removeFirst()
        }
        while let first = resting.first {
            if slots[first.slot].use == first.use {
                guard first.deadline <= now else { break }
                close(first.slot, in: queue)
            }
            resting.removeFirst()
        }
        return count
    }

    private mutating func close(_ index: Int, in queue: borrowing EventQueue) {
        queue.remove(slots[index].socket)
        _ = Glibc.close(slots[index].socket)
        slots[index].socket = -1
        slots[index].use &+= 1
        if let token = slots[index].token {
            slotOfToken[token] = nil
            slots[index].token = nil
        } else {
            let server = slots[index].server
            idle[server]?.removeAll { $0 == index }
            if idle[server]?.isEmpty ?? false { idle[server] = nil }
        }
        free.append(index)
    }
}
