internal import Bytes
internal import Ciphers
internal import SansIO

// A session in the hands of the next process: the keys and where its counters stand. Of what was
// received only the highest counter is told; everything up to it counts as received, so nothing
// old is taken twice, and a packet that was overtaken just then is lost.
extension Session {
    /// The successor's counters begin so much higher: whatever the predecessor may have sent
    /// meanwhile, no nonce is used twice.
    static var counterStep: UInt64 { 1 << 32 }

    borrowing func write(to bytes: inout [UInt8]) {
        bytes.append(bigEndian: localIndex)
        bytes.append(bigEndian: remoteIndex)
        for instant in [rekeyAt, lastMinuteAt, rejectAt] {
            bytes.append(bigEndian: instant.nanoseconds)
        }
        bytes.append(fixed: sending.bytes)
        bytes.append(fixed: receiving.bytes)
        bytes.append(bigEndian: sendCounter)
        bytes.append(bigEndian: received.upperBound)
        bytes.append(flag: hasAskedInLastMinute)
    }

    init(reading reader: inout ByteReader) throws {
        let (local, remote) = (try reader.uint32(), try reader.uint32())
        let rekey = Instant(nanoseconds: try reader.uint64())
        let lastMinute = Instant(nanoseconds: try reader.uint64())
        let reject = Instant(nanoseconds: try reader.uint64())
        let sending = Secret(copying: try reader.span(Secret.byteCount))
        let receiving = Secret(copying: try reader.span(Secret.byteCount))
        let (counter, isOver) = try reader.uint64().addingReportingOverflow(Self.counterStep)
        let upperBound = try reader.uint64()
        let hasAsked = try reader.flag()
        (localIndex, remoteIndex) = (local, remote)
        (rekeyAt, lastMinuteAt, rejectAt) = (rekey, lastMinute, reject)
        self.sending = PacketKey(sending)
        self.receiving = PacketKey(receiving)
        sendCounter = isOver ? .max : counter
        received = ReplayWindow(closedBelow: upperBound)
        hasAskedInLastMinute = hasAsked
    }
}
