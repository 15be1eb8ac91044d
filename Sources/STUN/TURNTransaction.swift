internal import Bytes
internal import IP
internal import SansIO

/// A request on its way.
struct TURNTransaction: Sendable {
    /// What it is for.
    enum Purpose: Sendable, Equatable {
        /// Our address, the way, its round-trip time.
        case binding
        case allocate(AllocationWish)
        case refresh
        /// Ends what the relay may still hold for us, to allocate anew then.
        case clear
        /// Ends the allocation for good.
        case release
        case permit([IPAddress])
        case bind(UInt16)

        /// Whether there may be many of them.
        var isForPeers: Bool {
            switch self {
            case .permit, .bind: true
            case .binding, .allocate, .refresh, .clear, .release: false
            }
        }
    }

    /// How it is repeated (RFC 8489 6.2.1).
    enum Pace: Sendable {
        /// Intervals double from the first.
        case patient
        /// Equal intervals: whether the relay is there is to be known within a second.
        case quick
        /// Once: the stream repeats by itself.
        case stream

        /// How often it is sent.
        var attempts: Int {
            switch self {
            case .patient: 5
            case .quick: 3
            case .stream: 1
            }
        }
    }

    let purpose: Purpose
    let remote: Endpoint
    let id: TransactionID
    let bytes: [UInt8]
    let pace: Pace
    let sentAt: Instant
    /// What it was signed with; nil: not at all.
    let proof: TURNSession.Proof?
    /// How many challenges led to it.
    let challengeCount: Int
    /// Whether a 401 to a signed request did.
    let followsRefusal: Bool
    /// What an answer said that is not to be believed by itself.
    var hint: STUNErrorCode?
    private(set) var attempts = 1
    /// When it is sent again, or given up.
    private(set) var due: Instant
    private var interval: Duration

    init(
        _ purpose: Purpose,
        to remote: Endpoint,
        _ writer: STUNWriter,
        pace: Pace,
        interval: Duration,
        proof: TURNSession.Proof?,
        after former: TURNTransaction? = nil,
        refused: Bool = false,
        at now: Instant
    ) {
        (self.purpose, self.remote, self.pace) = (purpose, remote, pace)
        (id, bytes) = (writer.transaction, writer.bytes)
        (self.proof, self.interval) = (proof, interval)
        challengeCount = former.map { $0.challengeCount + 1 } ?? 0
        followsRefusal = refused || former?.followsRefusal ?? false
        sentAt = now
        due = now.advanced(by: interval)
    }

    /// Whether it is to be sent once more; false: it was sent often enough.
    mutating func repeats(at now: Instant, intervalMax: Duration) -> Bool {
        guard attempts < pace.attempts else { return false }
        attempts += 1
        if pace == .patient { interval = min(interval * 2, intervalMax) }
        due = now.advanced(by: interval)
        return true
    }
}

/// Which families of relayed addresses are asked for, the most useful first.
enum AllocationWish: Sendable, Equatable {
    /// IPv4, and IPv6 in addition (RFC 8656 7.1).
    case both
    case ipv4
    case ipv6
}
