internal import NIOCore
internal import Testing

@testable internal import Daemon

@Suite("Messages inside a stream")
struct StreamFrameTests {
    /// A Binding request with `count` bytes of attributes.
    private static func stun(_ count: Int) -> [UInt8] {
        [0, 1, UInt8(count >> 8), UInt8(count & 255), 0x21, 0x12, 0xa4, 0x42]
            + [UInt8](repeating: 7, count: 12 + count)
    }

    /// Channel data of `count` bytes, as datagrams carry it.
    private static func channel(_ count: Int) -> [UInt8] {
        [0x40, 3, UInt8(count >> 8), UInt8(count & 255)] + [UInt8](repeating: 9, count: count)
    }

    private static func padded(_ message: [UInt8]) -> [UInt8] {
        message + [UInt8](repeating: 0, count: (4 - message.count % 4) % 4)
    }

    private static func cut(_ stream: [UInt8], every step: Int) throws -> [[UInt8]] {
        var cutter = StreamFrameCutter()
        var messages: [[UInt8]] = []
        for start in stride(from: 0, to: stream.count, by: step) {
            cutter.append(ByteBuffer(bytes: stream[start..<min(start + step, stream.count)]))
            while let message = try cutter.next() {
                messages.append(Array(message.readableBytesView))
            }
        }
        return messages
    }

    @Test("messages come out whole however the stream was cut")
    func cutting() throws {
        let messages = [
            Self.stun(0), Self.channel(1), Self.channel(4), Self.stun(8), Self.channel(0),
            Self.channel(1_299), Self.stun(400), Self.channel(3),
        ]
        let stream = messages.flatMap(Self.padded)
        for step in [1, 2, 3, 4, 5, 7, 19, 20, 21, 64, 1_000, stream.count] {
            #expect(try Self.cut(stream, every: step) == messages, "\(step) bytes a read")
        }
    }

    @Test("a message whose padding has not come yet waits for it")
    func padding() throws {
        #expect(try Self.cut(Self.channel(5), every: 9).isEmpty)
        #expect(try Self.cut(Self.padded(Self.channel(5)), every: 12) == [Self.channel(5)])
    }

    struct Garbage: Sendable, CustomTestStringConvertible {
        let testDescription: String
        let bytes: [UInt8]
        let failure: StreamFrame.Failure
    }

    @Test(
        "what is neither STUN nor channel data ends the stream at once",
        arguments: [
            Garbage(testDescription: "TLS", bytes: [0x16, 3, 1, 0], failure: .noCookie(0)),
            Garbage(testDescription: "RTP", bytes: [0x80], failure: .unknownStart(0x80)),
            Garbage(
                testDescription: "a length that no STUN message has",
                bytes: [0, 1, 0, 2],
                failure: .oddLength(2)
            ),
            Garbage(
                testDescription: "longer than a datagram",
                bytes: [0x40, 0, 0xff, 0xff],
                failure: .tooLong(65_539)
            ),
        ]
    )
    func garbage(_ garbage: Garbage) {
        var cutter = StreamFrameCutter()
        let filled = garbage.bytes + [UInt8](repeating: 0, count: 8)
        cutter.append(ByteBuffer(bytes: filled))
        var failure: StreamFrame.Failure?
        do throws(StreamFrame.Failure) { _ = try cutter.next() } catch { failure = error }
        if case .noCookie = garbage.failure {
            guard case .noCookie = failure else {
                Issue.record("\(String(describing: failure))")
                return
            }
        } else {
            #expect(failure == garbage.failure)
        }
    }

    @Test("a conversation begins with STUN; HTTP looks like channel data, and ends it at once")
    func opening() throws {
        var cutter = StreamFrameCutter()
        #expect(try !cutter.hasOpening())
        cutter.append(ByteBuffer(bytes: Self.stun(4).dropLast()))
        #expect(try !cutter.hasOpening())
        cutter.append(ByteBuffer(bytes: [7]))
        #expect(try cutter.hasOpening())
        var other = StreamFrameCutter()
        other.append(ByteBuffer(string: "GET / HTTP/1.1"))
        #expect(throws: StreamFrame.Failure.unknownStart(0x47)) { try other.hasOpening() }
    }

    @Test("random bytes give messages or an error, and nothing else")
    func random() throws {
        var generator = SystemRandomNumberGenerator()
        for _ in 0..<2_000 {
            var cutter = StreamFrameCutter()
            let count = Int.random(in: 0...64, using: &generator)
            var bytes = (0..<count).map { _ in UInt8.random(in: 0...255, using: &generator) }
            if count > 8, Bool.random(using: &generator) {
                bytes.replaceSubrange(0..<8, with: [0, 1, 0, 4, 0x21, 0x12, 0xa4, 0x42])
            }
            cutter.append(ByteBuffer(bytes: bytes))
            for _ in 0...64 {
                guard let message = try? cutter.next() else { break }
                #expect(message.readableBytes <= count)
            }
        }
    }

    @Test("a datagram is padded, and one that is no message is refused")
    func writing() {
        #expect(Self.frame(of: Self.channel(5)) == Self.padded(Self.channel(5)))
        #expect(Self.frame(of: Self.padded(Self.channel(6))) == Self.padded(Self.channel(6)))
        for wrong in [[], [0x40], [4, 0, 0, 0], Array(Self.stun(8).dropLast())] as [[UInt8]] {
            #expect(Self.frame(of: wrong) == nil)
        }
    }

    private static func frame(of datagram: [UInt8]) -> [UInt8]? {
        var stream = ByteBuffer()
        let isWritten = stream.writeStreamFrame(of: ByteBuffer(bytes: datagram))
        return isWritten ? Array(stream.readableBytesView) : nil
    }
}
