internal import Bytes
internal import IP
internal import SansIO
internal import STUN
internal import Testing

/// A client and its relay, with a network of 20 ms each way between them.
struct Play {
    static let ipv4 = endpoint("192.0.2.1:3478")
    static let ipv6 = endpoint("[2001:db8::1]:3478")
    static let bridge = endpoint("127.0.0.1:40000")

    var client: TURNClient
    var relay = ScriptedRelay()
    var now = Instant.start
    /// Endpoints that nothing gets to or from.
    var cut: [Endpoint] = []
    /// The time of one way.
    var delay = Duration.milliseconds(20)
    /// What the client said, in order.
    var events: [TURNEvent] = []
    /// When each came.
    var times: [(event: TURNEvent, at: Duration)] = []
    /// What is on its way to the client.
    private var flying: [(at: Instant, bytes: [UInt8], from: Endpoint)] = []

    init(_ endpoints: [Endpoint] = [Play.ipv4], seed: UInt64 = 1) {
        client = TURNClient(
            server: Self.server(endpoints),
            random: RandomSource(seed: seed),
            at: .start
        )
    }

    static func server(_ endpoints: [Endpoint] = [Play.ipv4]) -> TURNServer {
        let (username, password) = ("9999999999:me", "secret")
        return TURNServer(
            id: "relay",
            endpoints: endpoints,
            username: username,
            password: password
        )
    }

    /// Takes what the client has to say, and answers it.
    mutating func settle() {
        for _ in 0..<1_000 {
            guard let output = client.pollOutput() else { return }
            switch output {
            case .event(let event):
                events.append(event)
                times.append((event, Instant.start.duration(to: now)))
            case .send(let bytes, let remote):
                guard !cut.contains(remote), let answer = relay.answer(bytes, at: remote) else {
                    continue
                }
                flying.append((now + delay * 2, answer, remote))
            }
        }
        Issue.record("outputs without end")
    }

    /// Goes on for `duration`, from deadline to deadline.
    mutating func run(_ duration: Duration) {
        let end = now + duration
        settle()
        for _ in 0..<100_000 {
            let arrival = flying.first?.at
            let deadline = client.nextDeadline
            guard let next = [arrival, deadline].compactMap({ $0 }).min(), next <= end else {
                now = end
                return
            }
            now = max(now, next)
            if let arrival, arrival <= now {
                let (_, bytes, remote) = flying.removeFirst()
                if !cut.contains(remote) {
                    _ = client.receive(bytes.rawSpan, from: remote, at: now)
                }
            } else {
                client.advance(to: now)
            }
            settle()
            if let deadline = client.nextDeadline, deadline <= now {
                client.advance(to: now)
                settle()
                if let deadline = client.nextDeadline, deadline <= now {
                    Issue.record("a deadline that does not go away")
                    return
                }
            }
        }
        Issue.record("time without end")
    }

    /// The log since the last call.
    mutating func takeLog() -> [String] {
        defer { relay.log = [] }
        return relay.log
    }

    /// The events since the last call, without round-trip times.
    mutating func takeEvents() -> [TURNEvent] {
        defer { events = [] }
        return events.filter { if case .roundTrip = $0 { false } else { true } }
    }

    /// A client whose allocation stands.
    static func standing(_ endpoints: [Endpoint] = [Play.ipv4]) -> Play {
        var play = Play(endpoints)
        play.run(.seconds(1))
        #expect(play.client.isAllocated)
        _ = play.takeLog()
        _ = play.takeEvents()
        return play
    }
}
