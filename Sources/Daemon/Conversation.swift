internal import NIOCore

/// A connection to a nameserver that takes queries until it ends.
protocol Conversation: Sendable {
    /// Whether it takes another query.
    var isOpen: Bool { get }

    /// Asks, and waits for the answer.
    ///
    /// - Returns: The answer as the server wrote it, but under the asker's ID.
    /// - Throws: ``UpstreamFailure``.
    func ask(_ query: OutgoingQuery, until deadline: NIODeadline) async throws -> [UInt8]

    /// Ends it; what is under way fails.
    func close()
}

/// How long, how much: the bounds of all conversations.
enum ConversationLimits {
    /// Queries without an answer on one connection.
    static var queriesUnderWay: Int { 512 }
    /// Messages that answer nothing, until the server is taken for a hostile one.
    static var garbled: Int { 16 }
    /// A plain connection without a query is given up after this (RFC 7766 section 6.2.3).
    static var idle: TimeAmount { .seconds(10) }
    /// An encrypted one is dearer to make, and kept longer.
    static var idleEncrypted: TimeAmount { .seconds(30) }
    /// Milliseconds after which a connection whose packets are not acknowledged is over, so that
    /// there is time for another one.
    static var userTimeout: Int { 2_000 }
}
