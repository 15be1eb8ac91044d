import Bytes
import DNS
import IP
import Testing

@Suite struct RecordFrameTests {
    @Test func `frames say where records, times to live and data lie`() throws {
        let owner = try name("www.example.com")
        var message = Message(query: Question(owner, .any), id: 1)
        let kinds = try MessageTests.everyKind()
        message.answers = kinds.enumerated().map { index, data in
            Record(owner, timeToLive: UInt32(index) + 1, data)
        }
        message.authorities = [Record(owner, timeToLive: 77, kinds[0])]
        message.additionals = [Record(owner, timeToLive: 88, kinds[1])]
        let wire = message.wire()
        let frames = try MessageView(wire.rawSpan).recordFrames()
        #expect(frames.map(\.type) == kinds.map(\.type) + [.a, .aaaa, .opt])
        #expect(
            frames.dropLast().map { wire.rawSpan.uint32(at: $0.timeToLiveOffset) }
                == (1...14).map { UInt32($0) } + [77, 88]
        )
        #expect(frames.suffix(3).map(\.section) == [.authority, .additional, .additional])
        #expect(frames.last?.data == wire.count..<wire.count)
        #expect(frames[0].data.count == 4 && Array(wire[frames[0].data]) == [192, 0, 2, 1])
        for (frame, next) in zip(frames, frames.dropFirst()) {
            #expect(frame.data.upperBound == next.start)
        }
    }

    @Test func `a message without records has no frames`() throws {
        let wire = Message(query: Question(.root, .ns), id: 1, edns: nil).wire()
        let frames = try MessageView(wire.rawSpan).recordFrames()
        #expect(frames.isEmpty)
    }
}
