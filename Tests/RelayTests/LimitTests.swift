import Bytes
import IP
import STUN
import SansIO
import Testing

@testable import Relay

@Suite("Quotas, rates, and bytes for strangers")
struct LimitTests {
    private let peer = endpoint("192.0.2.7:700")

    @Test("7.2: 486 when a credential has as many allocations as it may, by its name")
    func allocationQuota() {
        let stage = Stage { $0.quotas.allocations = 2 }
        func visit(_ port: Int, _ name: String, _ expiry: UInt64) -> Visitor {
            Visitor(stage, at: "203.0.113.9:\(port)", name: name, expiry: Stage.unixStart + expiry)
        }
        let first = visit(1_001, "ada", 5_000)
        #expect(first.allocate()?.isSuccess == true)
        #expect(visit(1_002, "ada", 6_000).allocate()?.isSuccess == true)
        let third = visit(1_003, "ada", 7_000)
        #expect(third.allocate()?.code == 486)
        #expect(visit(1_004, "bob", 5_000).allocate()?.isSuccess == true)
        first.refresh(0)
        #expect(third.allocate()?.isSuccess == true)
        #expect(stage.counters.quotaReached == 1)
    }

    @Test("bytes a second of a credential, both ways and over all its allocations")
    func bytesPerSecond() {
        let stage = Stage { $0.quotas.bytesPerSecond = 100_000 }
        let (one, other) = (Visitor(stage), Visitor(stage, at: "203.0.113.9:5001"))
        for visitor in [one, other] {
            visitor.allocate()
            visitor.bind(0x4000, peer)
        }
        let data = [UInt8](repeating: 1, count: 1_000)
        let first = (0..<80).reduce(0) { count, _ in count + one.channel(0x4000, data).count }
        let second = (0..<80).reduce(0) { count, _ in count + other.channel(0x4000, data).count }
        #expect(first + second == 100)
        #expect(stage.counters.bandwidthLimited == 60)
        stage.pass(.milliseconds(500))
        let third = (0..<80).reduce(0) { count, _ in count + one.channel(0x4000, data).count }
        #expect(third == 50)
    }

    @Test("datagrams a second, and beginning anew gives no more of them")
    func packetsPerSecond() {
        let stage = Stage { $0.quotas.packetsPerSecond = 10 }
        let visitor = Visitor(stage)
        visitor.allocate()
        visitor.bind(0x4000, peer)
        let sent = (0..<30).reduce(0) { count, _ in count + visitor.channel(0x4000, [1]).count }
        #expect(sent == 10)
        visitor.refresh(0)
        visitor.allocate()
        visitor.bind(0x4000, peer)
        #expect(visitor.channel(0x4000, [1]).isEmpty)
        stage.pass(.seconds(2))
        #expect(visitor.channel(0x4000, [1]).count == 1)
    }

    @Test("requests a second of one source address, whatever its ports; others are not held up")
    func requestRate() {
        let stage = Stage { $0.quotas.requestsPerSecond = 10 }
        var answers = 0
        for number in 0..<100 {
            let visitor = Visitor(stage, at: "203.0.113.9:\(2_000 + number)")
            answers += visitor.send(visitor.bare(.binding).bytes).count
        }
        #expect(answers == 20)
        #expect(stage.counters.requestsLimited == 80)
        let other = Visitor(stage, at: "203.0.113.10:2000")
        #expect(other.send(other.bare(.binding).bytes).count == 1)
        stage.pass(.seconds(1))
        let visitor = Visitor(stage, at: "203.0.113.9:2000")
        answers = (0..<20).reduce(0) { count, _ in
            count + visitor.send(visitor.bare(.binding).bytes).count
        }
        #expect(answers == 10)
    }

    @Test("sizes of the first answers, in bytes")
    func firstAnswers() {
        let visitor = Visitor(Stage())
        let binding = visitor.bare(.binding).bytes
        #expect(binding.count == 20)
        #expect(visitor.send(binding).map(\.bytes.count) == [32])
        let allocate = visitor.bare(.allocate) { $0.append(requestedTransport: 17) }.bytes
        #expect(allocate.count == 28)
        #expect(visitor.send(allocate).map(\.bytes.count) == [88])
    }

    @Test(
        "who sends with another's address makes the relay send no more than he sends",
        arguments: ["binding", "allocate", "refresh", "unknown", "fingerprint", "integrity"]
    )
    func amplification(kind: String) {
        let stage = Stage()
        let visitor = Visitor(stage)
        var (received, sent) = (0, 0)
        for _ in 0..<5_000 {
            var writer = visitor.bare(
                kind == "binding" || kind == "unknown"
                    ? .binding : kind == "refresh" ? .refresh : .allocate
            )
            if kind == "unknown" {
                writer.append(STUNAttributeType(rawValue: 1_000), [])
            }
            if kind == "fingerprint" { writer.appendFingerprint() }
            if kind == "integrity" {
                writer.append(.username, "1:a")
                writer.append(.realm, "culvert")
                writer.append(.nonce, "guessed")
                writer.seal(.sha1, key: [1].rawSpan)
            }
            received += writer.bytes.count
            sent += visitor.send(writer.bytes).reduce(0) { $0 + $1.bytes.count }
            stage.now = stage.now.advanced(by: .milliseconds(10))
        }
        #expect(sent <= received + SourceLedger.Limits.credit, "\(sent) for \(received)")
        #expect(sent > received / 2, "and who is no liar is answered")
    }

    @Test("one credit for a source, not for each of its ports; in IPv6 for each /64")
    func oneCredit() {
        let stage = Stage()
        var sent = 0
        for number in 0..<400 as Range<UInt64> {
            let address = IPAddress(high: 0x2001_0db8_0007_0000, low: number << 20 | 1)
            let place = Endpoint(address, port: 9_000).description
            let visitor = Visitor(stage, at: place)
            sent += visitor.send(visitor.bare(.allocate).bytes).reduce(0) { $0 + $1.bytes.count }
        }
        #expect(sent <= 400 * 20 + SourceLedger.Limits.credit)
        #expect(stage.counters.answersLimited > 200)
    }

    @Test("a flood in somebody's name does not keep his requests from being answered for long")
    func victim() {
        let stage = Stage { $0.quotas.requestsPerSecond = 1_000_000 }
        let visitor = Visitor(stage)
        for port in 0..<3_000 {
            let liar = Visitor(stage, at: "203.0.113.9:\(10_000 + port)")
            liar.send(liar.bare(.allocate).bytes)
        }
        let request = visitor.bare(.allocate) { $0.append(requestedTransport: 17) }.bytes
        var tries = 0
        var answer: Answer?
        while answer == nil, tries < 7 {
            tries += 1
            answer = Answer(visitor.send(request).first)
            stage.pass(.milliseconds(500 << tries))
        }
        #expect(answer?.code == 401)
        #expect(tries <= 5)
        visitor.learn(answer)
        #expect(visitor.allocate()?.isSuccess == true)
        // Now the address has been seen to be his: the next ones are answered at once.
        for port in 0..<20 {
            let neighbour = Visitor(stage, at: "203.0.113.9:\(20_000 + port)")
            #expect(neighbour.send(neighbour.bare(.allocate).bytes).count == 1)
        }
    }

    @Test("a keepalive each 25 s is always answered, and those of clients at any rate")
    func keepalives() {
        let stage = Stage()
        let visitor = Visitor(stage)
        for _ in 0..<1_000 {
            #expect(visitor.send(visitor.bare(.binding).bytes).count == 1)
            stage.pass(.seconds(25))
        }
        visitor.allocate()
        for _ in 0..<500 {
            #expect(visitor.send(visitor.bare(.binding).bytes).count == 1)
            stage.pass(.milliseconds(10))
        }
    }

    @Test("permissions of an allocation are bounded: 508")
    func permissions() {
        let stage = Stage()
        let visitor = Visitor(stage)
        visitor.allocate()
        var answer: Answer?
        for block in 0..<Relay.Limits.permissionsPerAllocation / 64 {
            answer = visitor.ask(.createPermission) { writer in
                for number in 0..<64 {
                    let address = IPAddress(ipv4: 0x0808_0000 + UInt32(block * 64 + number))
                    writer.append(.xorPeerAddress, Endpoint(address, port: 0))
                }
            }
            stage.now = stage.now.advanced(by: .milliseconds(1))
        }
        #expect(answer?.isSuccess == true)
        #expect(visitor.permit(peer)?.code == 508)
        #expect(visitor.permit(endpoint("8.8.0.1:9"))?.isSuccess == true, "a known one")
        #expect(stage.relay.status(at: stage.now).permissions == 8_192)
        stage.pass(.seconds(300))
        #expect(stage.relay.status(at: stage.now).permissions == 0)
    }
}
