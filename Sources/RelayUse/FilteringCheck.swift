public import Bytes
internal import IP
public import STUN
public import SansIO

/// Whom a NAT or firewall lets in (RFC 4787 section 5), found out with two relays.
///
/// RFC 5780 section 4.4 asks one server with two addresses to answer from the other one. Here a
/// fresh port meets one relay only, and then an allocation on another relay sends to where the
/// first saw that port: what arrives comes from an address that the port never sent to. If nothing
/// does, the port sends a Binding to the other relay's address, and the allocation, whose port is
/// another one, tries again. So stock relays serve, and no server has to answer for another.
///
/// ```
/// meeting ──seen, allocated──▶ strange ──silence──▶ greeting ──seen──▶ acquainted ──silence──┐
///                                 │ arrives                                │ arrives         │
///                                 ▼                                        ▼                 ▼
///                      endpoint-independent              address-dependent    …-and-port-dependent
/// ```
public struct FilteringCheck {
    /// Bounds and times of a check.
    public enum Limits {
        /// Until the relays have answered.
        public static var meeting: Duration { .seconds(3) }
        /// How long what was sent is waited for.
        public static var silence: Duration { .milliseconds(600) }
        /// Between two datagrams of the same kind.
        public static var interval: Duration { .milliseconds(100) }
    }

    /// Whom it lets in.
    public enum Filtering: String, Hashable, Sendable, Codable {
        /// Everybody who knows the outer address and port.
        case endpointIndependent = "endpoint-independent"
        /// Addresses that were sent to, from any port.
        case addressDependent = "address-dependent"
        /// Endpoints that were sent to.
        case addressAndPortDependent = "address-and-port-dependent"
        /// A relay did not answer, or did not want to send.
        case unknown
    }

    /// One of the two ports that a check has.
    public enum Port: Sendable {
        /// The one that is sent to.
        case probe
        /// The one that holds the allocation.
        case carrier
    }

    /// A datagram to be sent.
    public struct Datagram: Sendable, Equatable {
        public let bytes: [UInt8]
        public let remote: Endpoint
        public let port: Port
    }

    private enum Phase {
        case meeting, strange, greeting, acquainted
    }

    private let first: Endpoint
    private let second: Endpoint
    /// What is sent: a Binding indication with a transaction that nobody else can know.
    private let payload: [UInt8]
    private var carrier: TURNClient
    private var random: RandomSource
    private var phase = Phase.meeting
    /// The Binding that is on its way from the probe port.
    private var transaction: TransactionID
    /// Where the relay that was asked last saw the probe port.
    private var seen: Endpoint?
    /// Whether the other relay was asked to send in this phase.
    private var hasSent = false
    private var phaseEnd: Instant
    private var nextSend: Instant
    private var now: Instant
    private var datagrams = OutputQueue<Datagram>(countMax: 64)
    /// What came of it; nil while it is under way.
    public private(set) var result: Filtering?

    /// Begins at once.
    ///
    /// - Parameters:
    ///   - first: Where the relay takes datagrams that the probe port meets.
    ///   - second: The relay that sends; its first endpoint counts, and has another address.
    ///   - random: Transactions and the payload are drawn from it.
    ///   - now: The present.
    public init?(
        first: Endpoint,
        second: TURNServer,
        random: RandomSource,
        at now: Instant
    ) {
        guard let other = second.endpoints.first, other.address != first.address,
            other.address.family == first.address.family
        else { return nil }
        var server = second
        server.endpoints = [other]
        (self.first, self.second, self.random, self.now) = (first, other, random, now)
        payload = STUNWriter(.indication, .binding, TransactionID(from: &self.random)).bytes
        transaction = TransactionID(from: &self.random)
        carrier = TURNClient(server: server, random: self.random.fork(), at: now)
        phaseEnd = now.advanced(by: Limits.meeting)
        nextSend = now
        proceed()
    }
}

// MARK: - The contract of a machine

extension FilteringCheck {
    /// A datagram came to one of the two ports.
    public mutating func receive(
        _ bytes: RawSpan,
        from remote: Endpoint,
        on port: Port,
        at now: Instant
    ) {
        self.now = now
        guard result == nil else { return }
        switch port {
        case .carrier: _ = carrier.receive(bytes, from: remote, at: now)
        case .probe: receiveAtProbe(bytes, from: remote)
        }
        proceed()
    }

    /// Time passed; harmless when it comes early.
    public mutating func advance(to now: Instant) {
        self.now = now
        guard result == nil else { return }
        carrier.advance(to: now)
        if phaseEnd <= now { giveUpPhase() }
        proceed()
    }

    /// A datagram to be sent; nil when there is none.
    public mutating func popDatagram() -> Datagram? { datagrams.popFirst() }

    /// When ``advance(to:)`` must be called at the latest; nil: it is over.
    public var nextDeadline: Instant? {
        guard result == nil else { return nil }
        guard datagrams.isEmpty else { return now }
        return min(phaseEnd, nextSend, carrier.nextDeadline ?? phaseEnd)
    }
}

// MARK: - Step by step

extension FilteringCheck {
    private mutating func receiveAtProbe(_ bytes: RawSpan, from remote: Endpoint) {
        if bytes.array == payload, remote.address == second.address {
            switch phase {
            case .strange: end(.endpointIndependent)
            case .acquainted: end(.addressDependent)
            case .meeting, .greeting: break
            }
            return
        }
        let asked = phase == .meeting ? first : second
        guard phase == .meeting || phase == .greeting, remote == asked, seen == nil,
            STUNMessage.isSTUN(bytes), let answer = try? STUNMessage(bytes),
            answer.messageClass == .success, answer.method == .binding,
            answer.transaction == transaction, let mapped = answer.mappedAddress
        else { return }
        seen = mapped
    }

    private mutating func enter(_ next: Phase, for time: Duration) {
        phase = next
        phaseEnd = now.advanced(by: time)
        nextSend = now
    }

    private mutating func end(_ result: Filtering) {
        self.result = result
        // The relay need not keep what nobody uses.
        carrier.close(at: now)
        drainCarrier()
    }

    /// What was waited for did not come.
    private mutating func giveUpPhase() {
        switch phase {
        case .meeting, .greeting: end(.unknown)
        case .strange:
            // A relay that never could send proves nothing by its silence.
            guard hasSent else { return end(.unknown) }
            (seen, hasSent) = (nil, false)
            transaction = TransactionID(from: &random)
            enter(.greeting, for: Limits.meeting)
        case .acquainted: end(hasSent ? .addressAndPortDependent : .unknown)
        }
    }

    private mutating func proceed() {
        drainCarrier()
        guard result == nil else { return }
        if let seen {
            switch phase {
            case .meeting where carrier.isAllocated:
                _ = carrier.permit(seen.address, at: now)
                enter(.strange, for: Limits.meeting)
            case .greeting:
                _ = carrier.permit(seen.address, at: now)
                enter(.acquainted, for: Limits.meeting)
            default: break
            }
            drainCarrier()
        }
        guard nextSend <= now else { return }
        nextSend = now.advanced(by: Limits.interval)
        switch phase {
        case .meeting: if seen == nil { sendBinding(to: first) }
        case .greeting: sendBinding(to: second)
        case .strange, .acquainted: sendPayload()
        }
    }

    private mutating func sendBinding(to relay: Endpoint) {
        let request = STUNWriter(.request, .binding, transaction)
        _ = datagrams.append(Datagram(bytes: request.bytes, remote: relay, port: .probe))
    }

    /// Has the other relay send to where the probe port was seen.
    private mutating func sendPayload() {
        guard let seen, carrier.framing(to: seen) == .indication else { return }
        if !hasSent {
            hasSent = true
            // Silence counts from the first that was sent.
            phaseEnd = now.advanced(by: Limits.silence)
        }
        var indication = STUNWriter(.indication, .send, TransactionID(from: &random))
        indication.append(.xorPeerAddress, seen)
        indication.append(.data, payload)
        _ = datagrams.append(Datagram(bytes: indication.bytes, remote: second, port: .carrier))
    }

    private mutating func drainCarrier() {
        while let output = carrier.pollOutput() {
            guard case .send(let bytes, to: let remote) = output else { continue }
            _ = datagrams.append(Datagram(bytes: bytes, remote: remote, port: .carrier))
        }
    }
}
