internal import Bytes
internal import CLinux
internal import Glibc
internal import IP
internal import SansIO

/// The datagram exchanges that a loop does for its machine, on connected, marked sockets, so that
/// an answer can be forged only by who guesses port and identifier, or sees the question.
///
/// A socket has a random port, which the kernel gives it, and takes questions for one server until
/// it is a second old: a port is gone before somebody could have found it by trying all, and a busy
/// resolver does without making a socket for each question. Each question has a socket to itself
/// until there are many; then the questions of one turn share one, by runs. That makes none of them
/// easier to guess: whoever forges an answer needs the port of its socket and its own identifier
/// still, which are as many possibilities as before (RFC 5452 section 7.2).
///
/// What is begun leaves with ``send(at:in:)``, the questions of a run in one call.
struct ExchangeTable: ~Copyable {
    enum Limits {
        /// Exchanges at the same time.
        static var open: Int { 1_000 }
        /// A question without answer is given up after this time.
        static var lifetime: Duration { .seconds(10) }
        /// For how long a socket takes questions.
        static var reuse: Duration { .seconds(1) }
        /// Sockets for one server that take questions, until questions share them.
        static var sockets: Int { 16 }
        /// Questions to one socket, then it is the next one's turn.
        static var run: Int { 16 }
        /// Bytes of a question that may leave in one packet with others: small enough for every
        /// link.
        static var segmentByteCount: Int { 512 }
        /// Bytes of an answer; the largest that UDP can carry.
        static var answerByteCount: Int { 65_535 }
        /// Datagrams that are looked at in one turn: wrong ones must not hold up the loop.
        static var datagramsPerTurn: Int { AnswerVectors.Limits.messages }
    }

    /// A question that is over.
    struct Ended: Equatable {
        let token: UInt64
        /// The answer; nil: it failed.
        let bytes: [UInt8]?
    }

    private struct Slot {
        /// -1: free.
        var socket: Int32 = -1
        /// Counts the sockets that were here.
        var generation: UInt32 = 0
        var server = Endpoint.unspecified
        var underWay = 0
        /// Whether it takes no questions any more.
        var isOld = false
    }

    private struct Question {
        /// -1: free.
        var slot = -1
        /// Counts the questions that were here.
        var use: UInt32 = 0
        var token: UInt64 = 0
        var identifier: UInt16 = 0
        var isSent = false
    }

    /// Places in the order of their deadlines, which all have the same distance; those that need
    /// none any more stay in.
    private struct Order {
        private var entries: [(deadline: Instant, place: Int, use: UInt32)] = []
        private var head = 0

        var first: (deadline: Instant, place: Int, use: UInt32)? {
            head < entries.count ? entries[head] : nil
        }

        mutating func append(_ deadline: Instant, _ place: Int, _ use: UInt32) {
            entries.append((deadline, place, use))
        }

        mutating func removeFirst() {
            head += 1
            guard head == entries.count || head > Limits.open else { return }
            entries.removeFirst(head)
            head = 0
        }
    }

    /// The sockets for one server that take questions, and whose turn it is.
    private struct Pool {
        var slots: [Int] = []
        var next = 0
    }

    /// A question that has not left yet.
    private struct Waiting {
        let question: Int
        let use: UInt32
        let range: Range<Int>
    }

    private let mark: UInt32
    private var slots: [Slot] = []
    private var freeSlots: [Int] = []
    private var questions: [Question] = []
    private var freeQuestions: [Int] = []
    /// Questions by token.
    private var byToken = PlaceIndex()
    /// Questions by socket and identifier.
    private var byAnswer = PlaceIndex()
    private var asking = Order()
    private var aging = Order()
    private var pools: [Endpoint: Pool] = [:]
    private var waiting: [Waiting] = []
    private var text: [UInt8] = []
    private var vectors = AnswerVectors()
    /// Whether the kernel takes questions of a run in one packet.
    private var joins = true
    /// What is over and was not taken yet.
    private var ended: [Ended] = []

    init(mark: UInt32) { self.mark = mark }

    deinit { for slot in slots where slot.socket >= 0 { _ = Glibc.close(slot.socket) } }

    /// When the oldest is given up, or its socket closed; nil when none is open.
    var nextDeadline: Instant? {
        [asking.first?.deadline, aging.first?.deadline].compactMap(\.self).min()
    }

    /// Takes what is over since the last time.
    mutating func takeEnded() -> [Ended] {
        guard !ended.isEmpty else { return [] }
        defer { ended.removeAll(keepingCapacity: true) }
        return ended
    }
}

// MARK: - Asking

extension ExchangeTable {
    /// Makes the question ready to be sent; false when it failed at once. A token in use is
    /// replaced.
    mutating func begin(
        _ exchange: Exchange,
        at now: Instant,
        in queue: borrowing EventQueue
    ) -> Bool {
        if let index = question(of: exchange.token) { forget(index, in: queue) }
        guard byToken.count < Limits.open else { return false }
        let identifier = Self.identifier(exchange.bytes)
        guard let slot = choose(exchange.server, identifier, at: now, in: queue) else {
            return false
        }
        let index = freeQuestions.popLast() ?? questions.count
        if index == questions.count { questions.append(Question()) }
        questions[index].slot = slot
        questions[index].use &+= 1
        questions[index].token = exchange.token
        questions[index].identifier = identifier
        questions[index].isSent = false
        slots[slot].underWay += 1
        byToken.insert(index, Self.hash(exchange.token))
        if let before = question(slot, identifier) {
            byAnswer.remove(before, Self.hash(slot, identifier))
        }
        byAnswer.insert(index, Self.hash(slot, identifier))
        asking.append(now.advanced(by: Limits.lifetime), index, questions[index].use)
        let range = text.count..<text.count + exchange.bytes.count
        text += exchange.bytes
        waiting.append(Waiting(question: index, use: questions[index].use, range: range))
        return true
    }

    /// The first two bytes of a question, which its answer repeats.
    private static func identifier(_ bytes: [UInt8]) -> UInt16 {
        UInt16(bytes.first ?? 0) << 8 | UInt16(bytes.count > 1 ? bytes[1] : 0)
    }

    /// No secret is in it: tokens and identifiers are the machine's, not those of whom it asks.
    private static func hash(_ token: UInt64) -> UInt32 {
        UInt32(truncatingIfNeeded: token &* 0x9e37_79b9_7f4a_7c15 >> 32)
    }

    private static func hash(_ slot: Int, _ identifier: UInt16) -> UInt32 {
        hash(UInt64(slot) << 16 | UInt64(identifier))
    }

    private func question(of token: UInt64) -> Int? {
        byToken.first(Self.hash(token)) { questions[$0].token == token }
    }

    private func question(_ slot: Int, _ identifier: UInt16) -> Int? {
        byAnswer.first(Self.hash(slot, identifier)) {
            questions[$0].slot == slot && questions[$0].identifier == identifier
        }
    }

    /// The socket for a question: one that nobody uses, a new one, or where there are many, each in
    /// its turn for a run. Nil where none can be had.
    private mutating func choose(
        _ server: Endpoint,
        _ identifier: UInt16,
        at now: Instant,
        in queue: borrowing EventQueue
    ) -> Int? {
        retireOld(at: now, in: queue)
        guard let pool = pools[server] else { return make(server, at: now, in: queue) }
        if pool.slots.count < Limits.sockets {
            if let resting = pool.slots.last(where: { slots[$0].underWay == 0 }) { return resting }
            return make(server, at: now, in: queue)
        }
        var place = pool.next
        let last = waiting.last.map { questions[$0.question].slot }
        if last == pool.slots[place % pool.slots.count] {
            let run = waiting.suffix(Limits.run).count { questions[$0.question].slot == last }
            if run == Limits.run { place += 1 }
        } else {
            place += 1
        }
        // Two questions with one identifier could not be told apart.
        for _ in 0..<pool.slots.count {
            place %= pool.slots.count
            if question(pool.slots[place], identifier) == nil {
                pools[server]?.next = place
                return pool.slots[place]
            }
            place += 1
        }
        return make(server, at: now, in: queue)
    }

    /// Makes a socket that is connected to the server; nil when that fails.
    private mutating func make(
        _ server: Endpoint,
        at now: Instant,
        in queue: borrowing EventQueue
    ) -> Int? {
        guard let socket = try? connect(server) else { return nil }
        let index = freeSlots.popLast() ?? slots.count
        if index == slots.count { slots.append(Slot()) }
        slots[index].generation &+= 1
        let key = EventKey.exchange(slot: index, generation: slots[index].generation)
        guard (try? queue.add(socket.raw, key, .readable)) != nil else {
            freeSlots.append(index)
            return nil
        }
        slots[index].socket = socket.take()
        (slots[index].server, slots[index].underWay, slots[index].isOld) = (server, 0, false)
        pools[server, default: Pool()].slots.append(index)
        aging.append(now.advanced(by: Limits.reuse), index, slots[index].generation)
        return index
    }

    private func connect(_ server: Endpoint) throws(SystemError) -> FileDescriptor {
        let socket = try FileDescriptor(
            socket: server.address.isIPv4 ? AF_INET : AF_INET6,
            type: Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_NONBLOCK.rawValue)
        )
        if mark != 0 { try socket.setOption(SOL_SOCKET, SO_MARK, Int32(bitPattern: mark)) }
        let address = SocketAddress(scoped: server)
        try SystemError.check("connect") {
            unsafe address.withPointer { unsafe Glibc.connect(socket.raw, $0, $1) }
        }
        return socket
    }
}

// MARK: - Sending

extension ExchangeTable {
    /// Sends what was begun.
    mutating func send(in queue: borrowing EventQueue) {
        guard !waiting.isEmpty else { return }
        var next = 0
        while next < waiting.count {
            let slot = slotOfWaiting(next)
            guard slot >= 0 else {
                next += 1
                continue
            }
            let count = runCount(from: next, slot)
            sendRun(next..<next + count, slot, in: queue)
            next += count
        }
        waiting.removeAll(keepingCapacity: true)
        text.removeAll(keepingCapacity: true)
    }

    /// The socket that a question waits for; -1 when the question is gone.
    private func slotOfWaiting(_ place: Int) -> Int {
        let question = questions[waiting[place].question]
        return question.use == waiting[place].use ? question.slot : -1
    }

    /// How many of the questions from `first` on may leave in one packet.
    private func runCount(from first: Int, _ slot: Int) -> Int {
        let size = waiting[first].range.count
        guard joins, size <= Limits.segmentByteCount else { return 1 }
        var next = first + 1
        while next < waiting.count, next - first < Limits.run, slotOfWaiting(next) == slot,
            waiting[next].range.count == size
        {
            next += 1
        }
        return next - first
    }

    private mutating func sendRun(
        _ run: Range<Int>,
        _ slot: Int,
        in queue: borrowing EventQueue
    ) {
        switch transmit(run, slot) {
        case 0:
            for place in run { questions[waiting[place].question].isSent = true }
        case EAGAIN, ENOBUFS: fail(run, in: queue)
        case EIO, EINVAL, EMSGSIZE, EOPNOTSUPP:
            guard run.count > 1 else { return fail(run, in: queue) }
            // Not the questions are refused: that they come together is.
            joins = false
            for place in run { sendRun(place..<place + 1, slot, in: queue) }
        default:
            // The kernel tells what became of an earlier question; this one may do better.
            failSent(of: slot, in: queue)
            guard slots[slot].socket >= 0, transmit(run, slot) == 0 else {
                return fail(run, in: queue)
            }
            for place in run { questions[waiting[place].question].isSent = true }
        }
    }

    /// Returns 0 or the errno.
    private func transmit(_ run: Range<Int>, _ slot: Int) -> Int32 {
        let size = waiting[run.lowerBound].range.count
        let range =
            waiting[run.lowerBound].range.lowerBound..<waiting[run.upperBound - 1].range.upperBound
        return vectors.send(text.rawSpan.extracting(range), by: size, on: slots[slot].socket)
    }

    private mutating func fail(_ run: Range<Int>, in queue: borrowing EventQueue) {
        for place in run where slotOfWaiting(place) >= 0 {
            end(waiting[place].question, with: nil, in: queue)
        }
    }
}

// MARK: - Answers and ends

extension ExchangeTable {
    /// The socket of `slot` is readable, or has failed; what is over then waits in
    /// ``takeEnded()``.
    ///
    /// A datagram that does not begin with the identifier of a question that this socket has sent
    /// (RFC 1035 4.1.1) is no answer, and is passed over.
    mutating func receive(slot index: Int, generation: UInt32, in queue: borrowing EventQueue) {
        guard index < slots.count, slots[index].generation == generation,
            slots[index].socket >= 0
        else { return }
        let count = vectors.receive(from: slots[index].socket)
        guard count >= 0 else {
            if errno != EAGAIN, errno != EINTR { closeFailed(index, in: queue) }
            return
        }
        for message in 0..<count {
            guard let question = question(answeredBy: message, at: index) else { continue }
            let answer = vectors.bytes(message).array
            end(question, with: answer, in: queue)
        }
    }

    private func question(answeredBy message: Int, at slot: Int) -> Int? {
        let bytes = vectors.bytes(message)
        guard bytes.byteCount >= 2,
            let question = question(slot, bytes.uint16(at: 0)), questions[question].isSent
        else { return nil }
        return question
    }

    /// Gives up what was not answered in time, and closes what is old and rests; returns how many
    /// of the former.
    mutating func expire(at now: Instant, in queue: borrowing EventQueue) -> Int {
        var count = 0
        while let first = asking.first {
            if questions[first.place].use == first.use, questions[first.place].slot >= 0 {
                guard first.deadline <= now else { break }
                forget(first.place, in: queue)
                count += 1
            }
            asking.removeFirst()
        }
        retireOld(at: now, in: queue)
        return count
    }

    /// Sockets that have reached their age take no question any more.
    private mutating func retireOld(at now: Instant, in queue: borrowing EventQueue) {
        while let first = aging.first {
            if slots[first.place].generation == first.use, slots[first.place].socket >= 0 {
                guard first.deadline <= now else { break }
                slots[first.place].isOld = true
                leavePool(first.place)
                closeUnused(first.place, in: queue)
            }
            aging.removeFirst()
        }
    }

    private mutating func leavePool(_ index: Int) {
        let server = slots[index].server
        pools[server]?.slots.removeAll { $0 == index }
        if pools[server]?.slots.isEmpty ?? false { pools[server] = nil }
    }

    private mutating func end(
        _ index: Int,
        with bytes: [UInt8]?,
        in queue: borrowing EventQueue
    ) {
        ended.append(Ended(token: questions[index].token, bytes: bytes))
        forget(index, in: queue)
    }

    /// The question is not under way any more.
    private mutating func forget(_ index: Int, in queue: borrowing EventQueue) {
        let (slot, question) = (questions[index].slot, questions[index])
        byToken.remove(index, Self.hash(question.token))
        byAnswer.remove(index, Self.hash(slot, question.identifier))
        questions[index].slot = -1
        freeQuestions.append(index)
        slots[slot].underWay -= 1
        closeUnused(slot, in: queue)
    }

    private mutating func closeUnused(_ index: Int, in queue: borrowing EventQueue) {
        guard slots[index].isOld, slots[index].underWay == 0 else { return }
        close(index, in: queue)
    }

    /// The server refuses: all that it was asked on this socket has failed.
    private mutating func failSent(of slot: Int, in queue: borrowing EventQueue) {
        for index in questions.indices where questions[index].slot == slot {
            if questions[index].isSent { end(index, with: nil, in: queue) }
        }
    }

    /// The socket is of no use any more.
    private mutating func closeFailed(_ slot: Int, in queue: borrowing EventQueue) {
        for index in questions.indices where questions[index].slot == slot {
            end(index, with: nil, in: queue)
        }
        guard slots[slot].socket >= 0 else { return }
        leavePool(slot)
        close(slot, in: queue)
    }

    private mutating func close(_ index: Int, in queue: borrowing EventQueue) {
        queue.remove(slots[index].socket)
        _ = Glibc.close(slots[index].socket)
        slots[index].socket = -1
        freeSlots.append(index)
    }
}
