internal import Bytes
internal import CLinux
internal import Glibc
internal import IP
internal import SansIO

/// The datagram exchanges that a loop does for its machine: a connected, marked socket each, with
/// a random port of its own, so that an answer can be forged only by who sees the question.
struct ExchangeTable: ~Copyable {
    enum Limits {
        /// Exchanges at the same time.
        static var open: Int { 1_000 }
        /// A question without answer gives its socket back after this time.
        static var lifetime: Duration { .seconds(10) }
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
        var generation: UInt32 = 0
        var token: UInt64 = 0
        /// The first two bytes of the question, which the answer repeats.
        var identifier: (UInt8, UInt8) = (0, 0)
    }

    private let mark: UInt32
    private var slots: [Slot] = []
    private var free: [Int] = []
    private var slotOfToken: [UInt64: Int] = [:]
    /// In the order of their deadlines, which all have the same distance; closed ones stay in.
    private var order: [(deadline: Instant, slot: Int, generation: UInt32)] = []
    private var head = 0
    private var buffer: [UInt8] = []

    init(mark: UInt32) { self.mark = mark }

    deinit { for slot in slots where slot.socket >= 0 { _ = Glibc.close(slot.socket) } }

    /// When the oldest is given up; nil when none is open.
    var nextDeadline: Instant? { head < order.count ? order[head].deadline : nil }

    /// Sends the question; false when it failed at once. A token in use is replaced.
    mutating func begin(
        _ exchange: Exchange,
        at now: Instant,
        in queue: borrowing EventQueue
    ) -> Bool {
        if let slot = slotOfToken[exchange.token] { close(slot, in: queue) }
        guard slotOfToken.count < Limits.open else { return false }
        let socket: FileDescriptor
        do throws(SystemError) {
            socket = try ask(exchange)
        } catch {
            return false
        }
        let index = free.popLast() ?? slots.count
        if index == slots.count { slots.append(Slot()) }
        slots[index].generation &+= 1
        let generation = slots[index].generation
        let key = EventKey.exchange(slot: index, generation: generation)
        guard (try? queue.add(socket.raw, key, .readable)) != nil else {
            free.append(index)
            return false
        }
        slots[index].socket = socket.take()
        slots[index].token = exchange.token
        slots[index].identifier = (exchange.bytes.first ?? 0, exchange.bytes.dropFirst().first ?? 0)
        slotOfToken[exchange.token] = index
        order.append((now.advanced(by: Limits.lifetime), index, generation))
        return true
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
        try SystemError.check("send") {
            unsafe exchange.bytes.withUnsafeBytes { bytes in
                unsafe Int32(
                    truncatingIfNeeded: send(
                        socket.raw,
                        bytes.baseAddress,
                        bytes.count,
                        Int32(MSG_NOSIGNAL)
                    )
                )
            }
        }
        return socket
    }

    /// The socket of `slot` is readable, or has failed.
    ///
    /// A datagram that does not begin with the question's identifier (RFC 1035 4.1.1) is not its
    /// answer, and is passed over.
    mutating func receive(
        slot index: Int,
        generation: UInt32,
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
                return .failed(token: slot.token)
            }
            if count >= 2, buffer[0] == slot.identifier.0, buffer[1] == slot.identifier.1 {
                close(index, in: queue)
                return .answered(token: slot.token, Array(buffer[..<count]))
            }
        }
        return .nothing
    }

    /// Closes what was not answered in time; returns how many.
    mutating func expire(at now: Instant, in queue: borrowing EventQueue) -> Int {
        var count = 0
        while head < order.count {
            let (deadline, index, generation) = order[head]
            let isOpen = slots[index].generation == generation && slots[index].socket >= 0
            if isOpen {
                guard deadline <= now else { break }
                close(index, in: queue)
                count += 1
            }
            head += 1
        }
        if head == order.count || head > Limits.open {
            order.removeFirst(head)
            head = 0
        }
        return count
    }

    private mutating func close(_ index: Int, in queue: borrowing EventQueue) {
        queue.remove(slots[index].socket)
        _ = Glibc.close(slots[index].socket)
        slots[index].socket = -1
        slotOfToken[slots[index].token] = nil
        free.append(index)
    }
}
