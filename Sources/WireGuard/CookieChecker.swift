public import Bytes
internal import Ciphers
public import SansIO

/// Decides which handshake messages are worth the work of a Diffie-Hellman (5.3): all of them while
/// they are few; under load those that show a cookie, a few a second for each source.
public struct CookieChecker: ~Copyable {
    /// Bounds, besides that of the initializer.
    public enum Limits {
        /// How long load lasts after the last second that was too busy.
        public static var loadDuration: Duration { .seconds(1) }
        /// How long the secret behind the cookies lives.
        public static var secretAge: Duration { .seconds(120) }
        /// Handshake messages a second under load from one source address.
        public static var sourceMessagesMax: Int { 20 }
        /// Counters for sources; two that share one share its bound.
        public static var sourceCounters: Int { 1_024 }
    }

    /// What to do with a message.
    public enum Verdict: Sendable, Equatable {
        /// Go on with it.
        case accepted
        /// Send these bytes, a cookie reply, back to where it came from, and forget it.
        case challenged([UInt8])
        /// Forget it: its source sends too many.
        case limited
    }

    private let messagesPerSecondMax: Int
    private var random: RandomSource
    private var secret: Secret
    private var secretEnd: Instant?
    private var second = Instant(nanoseconds: 0)
    private var messagesThisSecond = 0
    private var loadEnd = Instant(nanoseconds: 0)
    private var sources = [UInt8](repeating: 0, count: Limits.sourceCounters)

    /// - Parameters:
    ///   - random: Its own; for secrets and nonces.
    ///   - messagesPerSecondMax: Handshake messages a second from which on there is load.
    public init(random: RandomSource, messagesPerSecondMax: Int = 500) {
        self.random = random
        self.messagesPerSecondMax = messagesPerSecondMax
        secret = Secret()
    }

    /// Whether cookies are asked for.
    public func isUnderLoad(at now: Instant) -> Bool { now < loadEnd }

    /// Judges an initiation or a response that came from `source`.
    /// - Throws: `malformed`, `wrongMac1`: nothing to answer.
    public mutating func check(
        _ message: RawSpan,
        from source: Endpoint,
        as identity: borrowing Identity,
        at now: Instant
    ) throws(HandshakeError) -> Verdict {
        switch MessageKind(of: message) {
        case .initiation: _ = try InitiationView(message)
        case .response: _ = try ResponseView(message)
        case .cookieReply, .transport, nil: throw .malformed
        }
        try HandshakeMessage.checkCode(message, key: identity.messageKeys)
        count(at: now)
        guard isUnderLoad(at: now) else { return .accepted }
        renewSecret(at: now)
        let cookie = self.cookie(of: source)
        guard HandshakeMessage.isAuthenticated(message, with: cookie) else {
            return .challenged(reply(to: message, cookie, as: identity))
        }
        return admits(source) ? .accepted : .limited
    }

    private mutating func count(at now: Instant) {
        if now >= second.advanced(by: .seconds(1)) {
            second = now
            messagesThisSecond = 0
            for index in sources.indices { sources[index] = 0 }
        }
        messagesThisSecond += 1
        if messagesThisSecond > messagesPerSecondMax {
            loadEnd = now.advanced(by: Limits.loadDuration)
        }
    }

    private mutating func renewSecret(at now: Instant) {
        if let secretEnd, now < secretEnd { return }
        secret = Secret(from: &random)
        secretEnd = now.advanced(by: Limits.secretAge)
    }

    /// The cookie of an address and port (5.4.7): known to whom receives there.
    private func cookie(of source: Endpoint) -> InlineArray<16, UInt8> {
        var bytes = InlineArray<18, UInt8>(repeating: 0)
        var span = bytes.mutableRawSpan
        span.store(source.high, at: 0)
        span.store(source.low, at: 8)
        span.store(source.port, at: 16)
        return BLAKE2s.mac(bytes.rawSpan, key: secret.bytes)
    }

    /// Counts by address alone; of IPv6 the upper half, which is one customer's.
    private mutating func admits(_ source: Endpoint) -> Bool {
        let isIPv4 = source.high == 0 && source.low >> 32 == 0xffff
        let place = Endpoint(high: source.high, low: isIPv4 ? source.low : 0, port: 0)
        let code = cookie(of: place)
        let index = Int(code.rawSpan.littleEndianUInt64(at: 0) % UInt64(Limits.sourceCounters))
        guard sources[index] < Limits.sourceMessagesMax else { return false }
        sources[index] += 1
        return true
    }

    private mutating func reply(
        to message: RawSpan,
        _ cookie: InlineArray<16, UInt8>,
        as identity: borrowing Identity
    ) -> [UInt8] {
        let nonce = random.bytes(24)
        let sealed = XChaCha20Poly1305.seal(
            cookie.rawSpan,
            key: identity.messageKeys.cookie.rawSpan,
            nonce: InlineArray(copying: nonce.rawSpan),
            additional: HandshakeMessage.mac1(of: message)
        )
        let sender = message.littleEndianUInt32(at: InitiationView.Offset.sender)
        return HandshakeMessage.header(.cookieReply, sender) + nonce + sealed
    }
}
