internal import Bytes
internal import Control
internal import Foundation
internal import IP

/// Any bytes as a frame of a control channel, or as one of the texts that people paste. What can be
/// read must mean the same when it was written again.
enum ControlEntry {
    static func run(_ input: [UInt8]) {
        guard let choice = input.first else { return }
        let rest = Array(input.dropFirst())
        let text = String(decoding: rest, as: UTF8.self)
        switch choice & 7 {
        case 0: readAgain(FromRole.self, rest)
        case 1: readAgain(ToClient.self, rest)
        case 2: readAgain(ToGateway.self, rest)
        case 3: readToken(text)
        case 4: readBase64(text, rest)
        case 5: readTexts(text)
        case 6: readAgain(ToRelay.self, rest)
        default: play(rest)
        }
    }

    /// What an edge does with a frame: a message, or nothing.
    static func message<Message: ControlMessage>(_ type: Message.Type, _ frame: [UInt8]) -> Message?
    {
        guard (try? JSONDepth.check(frame.rawSpan)) != nil else { return nil }
        return try? JSONDecoder().decode(type, from: Data(frame))
    }

    private static func readAgain<Message: ControlMessage>(_ type: Message.Type, _ frame: [UInt8]) {
        guard let message = message(type, frame), let data = try? JSONEncoder().encode(message)
        else { return }
        precondition(
            self.message(type, Array(data)) == message,
            "written, the message means something else"
        )
    }

    private static func readToken(_ text: String) {
        do {
            let token = try Token(parsing: text)
            precondition((try? Token(parsing: token.text)) == token, "another token")
            let secret = Base64.encode(token.secret, as: .url)
            precondition(!"\(token)".contains(secret), "the secret is shown")
        } catch {
            precondition(!error.sentence.isEmpty)
        }
    }

    private static func readBase64(_ text: String, _ bytes: [UInt8]) {
        for alphabet in [Base64.Alphabet.standard, .url] {
            if let read = try? Base64.decode(text, as: alphabet) {
                precondition(Base64.encode(read, as: alphabet) == text, "two texts for one value")
            }
            let written = Base64.encode(bytes, as: alphabet)
            precondition((try? Base64.decode(written, as: alphabet)) == bytes)
        }
    }

    private static func readTexts(_ text: String) {
        readAgain(text) { Endpoint($0) }
        readAgain(text) { IPAddress($0) }
        readAgain(text) { IPPrefix($0) }
        readAgain(text) { KeyText($0) }
        readAgain(text) { PortalURL($0) }
        readAgain(text) { ProtocolVersion($0) }
        readAgain(text) { try? Filter(parsing: $0) }
    }

    private static func readAgain<Value: Equatable & CustomStringConvertible>(
        _ text: String,
        _ read: (String) -> Value?
    ) {
        guard let value = read(text) else { return }
        precondition(read(value.description) == value, "written, it means something else")
    }

    /// A session's parts, which count and wait.
    private static func play(_ input: [UInt8]) {
        var script = Script(input)
        var tracker = RevisionTracker()
        var cache = AnswerCache<UInt8, UInt8>(countMax: 4)
        for _ in 0..<Script.Limits.steps where !script.isAtEnd {
            switch script.byte() & 7 {
            case 0: tracker.welcome(instance: "a", revision: UInt64(script.uint32()) << 32)
            case 1: tracker.welcome(instance: script.text(), revision: .max)
            case 2: _ = tracker.changes(to: UInt64(script.byte()))
            case 3: _ = tracker.changes(to: (tracker.revision ?? 0) &+ 1)
            case 4: _ = tracker.unreadable()
            case 5: tracker.reconnected()
            case 6: _ = cache.begin(script.byte())
            default: cache.finish(script.byte(), with: 1)
            }
        }
    }
}
