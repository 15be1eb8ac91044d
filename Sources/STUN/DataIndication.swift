public import Bytes
internal import IP

/// What carries data where no channel stands: a Send indication towards the relay, a Data
/// indication from it (RFC 8656 11), written around data that lie in place.
///
/// The order is header, XOR-PEER-ADDRESS, DATA, padding.
public enum DataIndication {
    /// Bytes in front of the data: 36 for a peer with an IPv4 address, 48 with an IPv6 one.
    public static func headerByteCount(_ peer: Endpoint) -> Int {
        STUNMessage.headerByteCount + 4 + (peer.address.isIPv4 ? 8 : 20) + 4
    }

    /// Bytes of the whole indication with `byteCount` bytes of data.
    public static func byteCount(_ peer: Endpoint, data byteCount: Int) -> Int {
        headerByteCount(peer) + (byteCount + 3) & ~3
    }

    /// Writes what stands in front of `byteCount` bytes of data at `headerByteCount(peer)`, and the
    /// padding behind them; `target` is the whole indication and holds `byteCount(peer, data:)`
    /// bytes at least. `method` is ``STUNMethod/send`` or ``STUNMethod/data``.
    @_lifetime(target: copy target)
    public static func write(
        _ method: STUNMethod,
        _ transaction: TransactionID,
        peer: Endpoint,
        dataByteCount byteCount: Int,
        into target: inout MutableRawSpan
    ) {
        let isIPv4 = peer.address.isIPv4
        let start = headerByteCount(peer)
        let end = self.byteCount(peer, data: byteCount)
        target.store(MessageTypeBits.join(.indication, method), at: 0)
        target.store(UInt16(truncatingIfNeeded: end - STUNMessage.headerByteCount), at: 2)
        target.store(STUNMessage.cookie, at: 4)
        target.store(transaction.high, at: 8)
        target.store(transaction.low, at: 12)
        let shown = XORAddress.flip(peer, isIPv4: isIPv4, transaction)
        target.store(STUNAttributeType.xorPeerAddress.rawValue, at: 20)
        target.store(UInt16(isIPv4 ? 8 : 20), at: 22)
        target.store(UInt16(isIPv4 ? 1 : 2), at: 24)
        target.store(shown.port, at: 26)
        if isIPv4 {
            target.store(UInt32(truncatingIfNeeded: shown.low), at: 28)
        } else {
            target.store(shown.high, at: 28)
            target.store(shown.low, at: 36)
        }
        target.store(STUNAttributeType.data.rawValue, at: start - 4)
        target.store(UInt16(truncatingIfNeeded: byteCount), at: start - 2)
        target.zero(start + byteCount..<end)
    }
}
