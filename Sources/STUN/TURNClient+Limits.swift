internal import SansIO

extension TURNClient {
    /// Bounds and times of a client.
    public enum Limits {
        /// Endpoints of a relay that are used: one of a family.
        public static var endpoints: Int { 2 }
        /// Requests on their way.
        public static var transactions: Int { 64 }
        /// Of these, how many are kept for the relay itself.
        public static var transactionsReserved: Int { 16 }
        /// Outputs that wait.
        public static var outputs: Int { 512 }
        /// Addresses of peers that are permitted.
        public static var permissions: Int { 16_384 }
        /// Addresses in one CreatePermission.
        public static var permissionsInRequest: Int { 32 }
        /// CreatePermissions on their way; halves of a refused one come on top.
        public static var permissionRequests: Int { 4 }
        /// ChannelBinds on their way.
        public static var channelRequests: Int { 8 }
        /// Challenges that are answered for one request.
        public static var challenges: Int { 4 }
        /// ALTERNATE-SERVERs that are followed.
        public static var redirections: Int { 3 }

        /// The first interval of retransmission, at least.
        public static var retransmitIntervalMin: Duration { .milliseconds(250) }
        /// An interval of retransmission, at most.
        public static var retransmitIntervalMax: Duration { .seconds(2) }
        /// How long an answer may take on a stream.
        public static var streamPatience: Duration { .seconds(5) }
        /// How long a Binding on a stream may take when the network changed.
        public static var quickStreamPatience: Duration { .seconds(2) }
        /// After so long without an answer a stream would help.
        public static var unreachableAfter: Duration { .milliseconds(750) }
        /// Binding keepalive: NATs forget UDP after 30 s and more (RFC 4787 asks for 2 min).
        public static var keepalive: Duration { .seconds(25) }
        /// Keepalives and refreshes due so soon go with what is due now.
        public static var slack: Duration { .seconds(5) }
        /// A second change of the network so soon is the same one.
        public static var renewInterval: Duration { .milliseconds(200) }

        /// LIFETIME that is asked for.
        public static var lifetimeSeconds: UInt32 { 600 }
        /// LIFETIME that is believed, at most.
        public static var lifetimeSecondsMax: UInt32 { 3600 }
        /// A refresh that failed is tried again after this.
        public static var refreshRetry: Duration { .seconds(10) }
        /// How long a permission lasts (RFC 8656 9).
        public static var permissionLifetime: Duration { .seconds(300) }
        /// A permission is asked for again after this.
        public static var permissionRefresh: Duration { .seconds(240) }
        /// Permissions due so soon go with those that are due.
        public static var permissionSlack: Duration { .seconds(15) }
        /// How long a channel lasts (RFC 8656 12).
        public static var channelLifetime: Duration { .seconds(600) }
        /// A channel is bound again after this.
        public static var channelRefresh: Duration { .seconds(480) }
        /// Rest of a number before another peer gets it (RFC 8656 12).
        public static var channelRest: Duration { .seconds(300) }
        /// What was refused for one peer is asked again after this.
        public static var refusalRetry: Duration { .seconds(300) }
        /// What failed for one peer by no fault of its own is asked again after this.
        public static var peerRetry: Duration { .seconds(10) }

        /// First pause after a failed attempt to allocate; doubles.
        static var pauseMin: Duration { .milliseconds(500) }
        /// First pause where the relay has no room (486, 508), or does not know us (401): one that
        /// was started anew may not have heard of our credentials yet.
        static var pauseWhenRefused: Duration { .seconds(5) }
        /// Pause where trying again will hardly help.
        static var pauseMax: Duration { .seconds(60) }
        /// After so many Bindings in a row without an answer the next ones are repeated less.
        static var patientMisses: Int { 3 }
        /// Pause between attempts on a way that never answers, at most, while another one does.
        static var sparePauseMax: Duration { .seconds(300) }
    }
}

/// What a client dropped and why.
public struct TURNCounters: Sendable, Equatable {
    /// No STUN and no channel data, or damaged.
    public var malformed = 0
    /// Answers to nothing that was asked.
    public var unexpected = 0
    /// Answers that lack the signature of the relay, or challenges that hide what it can do.
    public var unverified = 0
    /// Data under a number, or from an address, that there is no binding or permission for.
    public var strayData = 0
    /// Requests that found no room.
    public var refused = 0

    public init() {}

    /// Those of several clients together.
    public static func += (sum: inout TURNCounters, more: TURNCounters) {
        sum.malformed += more.malformed
        sum.unexpected += more.unexpected
        sum.unverified += more.unverified
        sum.strayData += more.strayData
        sum.refused += more.refused
    }
}
