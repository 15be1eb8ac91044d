internal import Bytes
internal import STUN
internal import WireGuard

/// The counters of all sessions, as somebody on the way sees them: two messages with one counter
/// and one key would give each other away. One message may go several ways.
struct NonceWatch {
    private struct Key: Hashable {
        var sender: String
        /// What the receiver calls the session.
        var index: UInt32
    }

    /// Sessions that are remembered; more than ever live at once.
    private let sessionsMax = 256
    /// What went with each counter, as a short number.
    private var seen: [Key: [UInt64: UInt64]] = [:]
    private var order: [Key] = []

    /// Notes what a host sends.
    ///
    /// - Parameters:
    ///   - datagram: With the header of a relay's channel, or without.
    ///   - sender: Who sends it.
    ///   - isRelay: Whether that one only passes it on.
    /// - Returns: Whether it has the counter of another one.
    mutating func isRepeated(_ datagram: [UInt8], by sender: String, isRelay: Bool) -> Bool {
        if let channel = try? ChannelData(datagram.rawSpan) {
            return note(channel.data, by: sender, isRelay)
        }
        return note(datagram.rawSpan, by: sender, isRelay)
    }

    private mutating func note(_ message: RawSpan, by sender: String, _ isRelay: Bool) -> Bool {
        guard let kind = MessageKind(of: message), message.byteCount >= 16 else { return false }
        switch kind {
        case .initiation, .response:
            // What this end is called from now on begins at nought.
            let index = message.littleEndianUInt32(at: 4)
            for key in order where key.index == index { seen[key] = [:] }
            return false
        case .transport:
            guard !isRelay else { return false }
            let key = Key(sender: sender, index: message.littleEndianUInt32(at: 4))
            if seen[key] == nil {
                if order.count >= sessionsMax { seen[order.removeFirst()] = nil }
                order.append(key)
            }
            let counter = message.littleEndianUInt64(at: 8)
            let digest = Self.digest(message)
            let before = seen[key, default: [:]].updateValue(digest, forKey: counter)
            return before.map { $0 != digest } ?? false
        case .cookieReply: return false
        }
    }

    /// FNV-1a of the message's end, where its authentication is.
    private static func digest(_ message: RawSpan) -> UInt64 {
        var word: UInt64 = 0xcbf2_9ce4_8422_2325
        for offset in message.byteCount - 16..<message.byteCount {
            word = (word ^ UInt64(message.byte(at: offset))) &* 0x0000_0100_0000_01b3
        }
        return word
    }
}
