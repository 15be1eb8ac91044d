internal import NIOCore

/// One message inside a stream (RFC 8656 section 12.5, RFC 8489 section 6.2.2): a STUN message,
/// which says its own length, or channel data, which is padded to four bytes there.
struct StreamFrame: Equatable {
    /// Bounds of a frame.
    enum Limits {
        /// The largest payload of a UDP datagram over IPv4, which is what a frame becomes.
        static var byteCount: Int { 65_507 }
    }

    /// What can be wrong with a stream; nothing after it can be understood.
    enum Failure: Error, Equatable {
        /// Neither a STUN message nor channel data begins like this.
        case unknownStart(UInt8)
        /// A STUN message without the magic cookie.
        case noCookie(UInt32)
        /// A STUN message's length is a multiple of four.
        case oddLength(Int)
        /// Longer than a datagram can be.
        case tooLong(Int)
    }

    /// Bytes of the message.
    let byteCount: Int

    /// Bytes that it takes in a stream.
    var paddedByteCount: Int { (byteCount + 3) & ~3 }

    /// Reads the head of the message at the front of `buffer`; nil when too little of it is there.
    init?(peeking buffer: ByteBuffer) throws(Failure) {
        let start = buffer.readerIndex
        guard let first: UInt8 = buffer.getInteger(at: start) else { return nil }
        // RFC 8656 gives out the channels up to 0x4fff, RFC 5766 those up to 0x7fff.
        guard first < 0x80 else { throw .unknownStart(first) }
        guard let length: UInt16 = buffer.getInteger(at: start + 2) else { return nil }
        if first >= 0x40 {
            byteCount = 4 + Int(length)
        } else {
            guard length & 3 == 0 else { throw .oddLength(Int(length)) }
            byteCount = 20 + Int(length)
            guard let cookie: UInt32 = buffer.getInteger(at: start + 4) else { return nil }
            guard cookie == 0x2112_a442 else { throw .noCookie(cookie) }
        }
        guard byteCount <= Limits.byteCount else { throw .tooLong(byteCount) }
    }
}

/// Cuts a stream into messages. Holds one read and the rest of the one before at most.
struct StreamFrameCutter {
    private var buffer = ByteBuffer()

    /// Takes what was read from the stream.
    mutating func append(_ bytes: ByteBuffer) {
        guard buffer.readableBytes > 0 else {
            buffer = bytes
            return
        }
        // Messages cut before share the old memory, which is not written to any more.
        var joined = ByteBuffer()
        joined.reserveCapacity(buffer.readableBytes + bytes.readableBytes)
        joined.writeImmutableBuffer(buffer)
        joined.writeImmutableBuffer(bytes)
        buffer = joined
    }

    /// Whether a whole STUN message is there: what a conversation begins with, since there is no
    /// channel yet.
    func hasOpening() throws(StreamFrame.Failure) -> Bool {
        if let first: UInt8 = buffer.getInteger(at: buffer.readerIndex), first >= 0x40 {
            throw .unknownStart(first)
        }
        guard let frame = try StreamFrame(peeking: buffer) else { return false }
        return frame.paddedByteCount <= buffer.readableBytes
    }

    /// Takes the next message, without its padding; nil when it is not whole yet.
    mutating func next() throws(StreamFrame.Failure) -> ByteBuffer? {
        guard let frame = try StreamFrame(peeking: buffer),
            frame.paddedByteCount <= buffer.readableBytes
        else { return nil }
        let message = buffer.getSlice(at: buffer.readerIndex, length: frame.byteCount)
        buffer.moveReaderIndex(forwardBy: frame.paddedByteCount)
        return message
    }
}

extension ByteBuffer {
    /// Adds a datagram in the form that streams have; false when it is no message of TURN's.
    mutating func writeStreamFrame(of datagram: ByteBuffer) -> Bool {
        guard let frame = try? StreamFrame(peeking: datagram),
            frame.byteCount <= datagram.readableBytes,
            let message = datagram.getSlice(at: datagram.readerIndex, length: frame.byteCount)
        else { return false }
        writeImmutableBuffer(message)
        writeRepeatingByte(0, count: frame.paddedByteCount - frame.byteCount)
        return true
    }
}
