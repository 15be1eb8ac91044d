internal import SansIO
internal import WireGuard

/// Two tunnels, and between them a network that the input plays: one byte says what, the next ones
/// how. Messages are made, kept, changed, delivered to either side in any order and at any time.
/// Nothing may trap, a packet opens at most once, and only as it was sealed.
struct WireGuardPlay: ~Copyable {
    /// Bounds of one input.
    private enum Limits {
        static var steps: Int { 200 }
    }

    static func run(_ input: [UInt8]) {
        guard var play = try? WireGuardPlay(input) else { return }
        play.run()
    }

    private var input: [UInt8]
    private var ends: TunnelPair
    private var now = Instant(nanoseconds: 1_000_000_000)
    private var messages: [[UInt8]] = []
    private var opened: Set<[UInt8]> = []

    init(_ input: [UInt8]) throws(HandshakeError) {
        self.input = input.reversed()
        ends = try TunnelPair()
    }

    mutating func run() {
        for _ in 0..<Limits.steps {
            guard let step = input.popLast() else { return }
            let toGateway = step & 1 == 0
            switch step >> 1 & 7 {
            case 0: keep(try? ends.initiate(byGateway: toGateway, at: now))
            case 1: keep(ends.seal(Int(input.popLast() ?? 0), byGateway: toGateway, at: now))
            case 2, 3: deliver(chosen(), toGateway: toGateway)
            case 4: deliver(changed(chosen()), toGateway: toGateway)
            case 5: deliver(raw(), toGateway: toGateway)
            case 6: now = now.advanced(by: .milliseconds(Int(input.popLast() ?? 0) * 97))
            default: now = now.advanced(by: .seconds(Int(input.popLast() ?? 0)))
            }
            ends.advance(to: now)
        }
    }

    private mutating func keep(_ message: [UInt8]?) {
        if let message { messages.append(message) }
    }

    private mutating func chosen() -> [UInt8] {
        let index = Int(input.popLast() ?? 0)
        return messages.isEmpty ? [] : messages[messages.count - 1 - index % messages.count]
    }

    private mutating func changed(_ message: [UInt8]) -> [UInt8] {
        var message = message
        for _ in 0..<Int(input.popLast() ?? 0) % 4 where !message.isEmpty {
            message[Int(input.popLast() ?? 0) % message.count] = input.popLast() ?? 0
        }
        message.removeLast(min(message.count, Int(input.popLast() ?? 0) % 8))
        ends.sign(&message)
        return message
    }

    private mutating func raw() -> [UInt8] {
        let count = min(input.count, Int(input.popLast() ?? 0))
        let bytes = Array(input.suffix(count))
        input.removeLast(bytes.count)
        return bytes
    }

    private mutating func deliver(_ message: [UInt8], toGateway: Bool) {
        let (plain, answer) = ends.receive(message, byGateway: toGateway, at: now)
        keep(answer)
        guard let plain, !plain.isEmpty else { return }
        precondition(messages.contains(message), "opened what was not sealed")
        precondition(opened.insert(message).inserted, "opened twice")
    }
}
