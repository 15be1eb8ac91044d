import Bytes
import DNS
import SansIO
import Testing

@Suite struct MessageRandomTests {
    @Test func `any bytes, and any mutation of a message, are a value or an error`() throws {
        let owner = try name("www.example.com")
        var message = Message(query: Question(owner, .any), id: 1)
        message.answers = try MessageTests.everyKind().map { Record(owner, timeToLive: 9, $0) }
        let wire = message.wire()
        var random = RandomSource(seed: 1035)
        var readable = 0
        for step in 0..<4_000 {
            var mutant = step % 4 == 0 ? random.bytes(random.below(80)) : wire
            for _ in 0..<random.below(6) where !mutant.isEmpty {
                mutant[random.below(mutant.count)] = UInt8(truncatingIfNeeded: random.next())
            }
            if step % 5 == 0 { mutant.removeLast(random.below(mutant.count + 1)) }
            _ = try? MessageView(mutant.rawSpan).header
            guard let read = try? Message(mutant.rawSpan) else { continue }
            readable += 1
            // What was read can be written, and then means the same.
            var again = try Message(read.wire().rawSpan)
            again.header = read.header
            #expect(again == read)
        }
        #expect(readable > 100)
    }

    @Test func `the view accepts whatever the whole reading accepts`() throws {
        let owner = try name("www.example.com")
        var message = Message(query: Question(owner, .mx), id: 1)
        message.answers = [Record(owner, timeToLive: 9, .mx(preference: 1, owner))]
        let wire = message.wire()
        var random = RandomSource(seed: 7)
        for _ in 0..<4_000 {
            var mutant = wire
            mutant[random.below(mutant.count)] = UInt8(truncatingIfNeeded: random.next())
            guard let read = try? Message(mutant.rawSpan) else { continue }
            let view = try MessageView(mutant.rawSpan)
            #expect(view.question == read.questions.first)
            #expect(view.edns == read.edns)
        }
    }
}
