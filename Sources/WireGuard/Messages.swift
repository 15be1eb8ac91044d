internal import Bytes

/// The kind of a datagram, by its first four bytes (5.4): a type and three zero bytes.
public enum MessageKind: UInt32, Sendable, CaseIterable {
    case initiation = 1
    case response = 2
    case cookieReply = 3
    case transport = 4

    /// nil: not WireGuard's, or shorter than its kind.
    public init?(of datagram: RawSpan) {
        guard datagram.byteCount >= 4,
            let kind = MessageKind(rawValue: datagram.littleEndianUInt32(at: 0)),
            datagram.byteCount >= kind.byteCountMin
        else { return nil }
        self = kind
    }

    /// The size of the message; a transport packet's is larger by its content.
    public var byteCountMin: Int {
        switch self {
        case .initiation: 148
        case .response: 92
        case .cookieReply: 64
        case .transport: 32
        }
    }
}

/// First message of a handshake (5.4.2), lent.
public struct InitiationView: ~Escapable {
    /// Where its fields begin.
    enum Offset {
        static var sender: Int { 4 }
        static var ephemeral: Int { 8 }
        static var sealedStatic: Int { 40 }
        static var sealedTimestamp: Int { 88 }
        static var mac1: Int { 116 }
        static var mac2: Int { 132 }
    }

    let bytes: RawSpan

    @_lifetime(copy bytes)
    public init(_ bytes: RawSpan) throws(HandshakeError) {
        guard MessageKind(of: bytes) == .initiation, bytes.byteCount == 148 else {
            throw .malformed
        }
        self.bytes = bytes
    }

    /// The index that the initiator wants to be answered at.
    public var sender: UInt32 { bytes.littleEndianUInt32(at: Offset.sender) }

    var ephemeral: RawSpan {
        @_lifetime(copy self)
        get { bytes.extracting(Offset.ephemeral..<Offset.sealedStatic) }
    }

    var sealedStatic: RawSpan {
        @_lifetime(copy self)
        get { bytes.extracting(Offset.sealedStatic..<Offset.sealedTimestamp) }
    }

    var sealedTimestamp: RawSpan {
        @_lifetime(copy self)
        get { bytes.extracting(Offset.sealedTimestamp..<Offset.mac1) }
    }

    /// What copies of one initiation have in common: all but `mac2`.
    public var identity: RawSpan {
        @_lifetime(copy self)
        get { bytes.extracting(first: Offset.mac2) }
    }
}

/// Second message of a handshake (5.4.3), lent.
public struct ResponseView: ~Escapable {
    /// Where its fields begin.
    enum Offset {
        static var sender: Int { 4 }
        static var receiver: Int { 8 }
        static var ephemeral: Int { 12 }
        static var sealedNothing: Int { 44 }
        static var mac1: Int { 60 }
    }

    let bytes: RawSpan

    @_lifetime(copy bytes)
    public init(_ bytes: RawSpan) throws(HandshakeError) {
        guard MessageKind(of: bytes) == .response, bytes.byteCount == 92 else { throw .malformed }
        self.bytes = bytes
    }

    /// The index that the responder wants packets at.
    public var sender: UInt32 { bytes.littleEndianUInt32(at: Offset.sender) }

    /// The index of the initiation that it answers: finds the tunnel.
    public var receiver: UInt32 { bytes.littleEndianUInt32(at: Offset.receiver) }

    var ephemeral: RawSpan {
        @_lifetime(copy self)
        get { bytes.extracting(Offset.ephemeral..<Offset.sealedNothing) }
    }

    var sealedNothing: RawSpan {
        @_lifetime(copy self)
        get { bytes.extracting(Offset.sealedNothing..<Offset.mac1) }
    }
}

/// What a peer under load answers a handshake message with (5.4.7), lent.
public struct CookieReplyView: ~Escapable {
    /// Where its fields begin.
    enum Offset {
        static var receiver: Int { 4 }
        static var nonce: Int { 8 }
        static var sealedCookie: Int { 32 }
    }

    let bytes: RawSpan

    @_lifetime(copy bytes)
    public init(_ bytes: RawSpan) throws(HandshakeError) {
        guard MessageKind(of: bytes) == .cookieReply, bytes.byteCount == 64 else {
            throw .malformed
        }
        self.bytes = bytes
    }

    /// The sender index of the message that it answers: finds the tunnel.
    public var receiver: UInt32 { bytes.littleEndianUInt32(at: Offset.receiver) }

    var nonce: RawSpan {
        @_lifetime(copy self)
        get { bytes.extracting(Offset.nonce..<Offset.sealedCookie) }
    }

    var sealedCookie: RawSpan {
        @_lifetime(copy self)
        get { bytes.extracting(droppingFirst: Offset.sealedCookie) }
    }
}

/// A packet of a session (5.4.6), lent.
public struct TransportView: ~Escapable {
    /// Where its fields begin.
    enum Offset {
        static var receiver: Int { 4 }
        static var counter: Int { 8 }
        static var sealed: Int { 16 }
    }

    let bytes: RawSpan

    @_lifetime(copy bytes)
    public init(_ bytes: RawSpan) throws(OpenError) {
        guard MessageKind(of: bytes) == .transport else { throw .malformed }
        self.bytes = bytes
    }

    /// The index of the session: finds the tunnel.
    public var receiver: UInt32 { bytes.littleEndianUInt32(at: Offset.receiver) }

    /// Which packet of the session it is.
    public var counter: UInt64 { bytes.littleEndianUInt64(at: Offset.counter) }

    /// The sealed packet with its tag.
    var sealed: RawSpan {
        @_lifetime(copy self)
        get { bytes.extracting(droppingFirst: Offset.sealed) }
    }
}
