/// How long things take (6.1). The defaults are the paper's; others are for one's own ladder of
/// retransmissions and for tests.
public struct Timing: Sendable, Equatable {
    /// REKEY-AFTER-TIME: the initiator makes a new session when this one is so old.
    public var rekeyAfter: Duration = .seconds(120)
    /// REJECT-AFTER-TIME: a session so old neither sends nor receives.
    public var rejectAfter: Duration = .seconds(180)
    /// REKEY-ATTEMPT-TIME: how long a handshake is tried after the last packet that wants it.
    public var attempt: Duration = .seconds(90)
    /// REKEY-TIMEOUT: how long an initiation waits for its response before a new one is made.
    public var retransmit: Duration = .seconds(5)
    /// Up to so much is added to ``retransmit``, at random, so that two sides do not stay in step.
    public var retransmitJitterMax: Duration = .milliseconds(333)
    /// KEEPALIVE-TIMEOUT: how long nothing may be sent after something was received.
    public var keepalive: Duration = .seconds(10)
    /// An empty packet is sent when there was no other for so long; nil: off.
    public var persistentKeepalive: Duration?

    public init() {}

    /// The paper's.
    public static var paper: Timing { Timing() }

    /// How long a peer may be silent after a packet was sent to it (6.5).
    var silenceMax: Duration { keepalive + retransmit }
    /// The age of a session at which even receiving makes its initiator renew it (6.2).
    var lastMinute: Duration { rejectAfter - keepalive - retransmit }
    /// When keys are wiped that no newer session replaced (6.3).
    var wipeAfter: Duration { rejectAfter * 3 }
}
