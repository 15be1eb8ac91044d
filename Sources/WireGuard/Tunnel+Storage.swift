public import Bytes
internal import Ciphers
internal import SansIO

extension Identity {
    /// Appends the private key.
    public borrowing func write(to bytes: inout [UInt8]) { bytes.append(fixed: privateKey.bytes) }

    /// Reads what ``write(to:)`` wrote.
    ///
    /// - Throws: ``StorageError`` for too few bytes.
    public init(reading reader: inout ByteReader) throws(StorageError) {
        let secret: Secret
        do { secret = Secret(copying: try reader.span(Secret.byteCount)) } catch {
            throw StorageError(error)
        }
        self.init(privateKey: secret)
    }
}

// A tunnel in the hands of the next process. Handshakes that are under way begin anew.
extension Tunnel {
    private static var kept: [TunnelTimer] {
        [.confirm, .keepalive, .silence, .persistentKeepalive, .wipe]
    }

    /// Appends sessions, timers and what guards against repeated initiations.
    public borrowing func write(to bytes: inout [UInt8]) {
        bytes.append(fixed: peer.shared.bytes)
        Self.write(current, to: &bytes)
        Self.write(previous, to: &bytes)
        Self.write(next, to: &bytes)
        for timer in Self.kept {
            bytes.append(optional: timers[timer]) { $0.append(bigEndian: $1.nanoseconds) }
        }
        for timestamp in [lastSentTimestamp, lastSeenTimestamp] {
            bytes.append(optional: timestamp) {
                $0.append(bigEndian: $1.seconds)
                $0.append(bigEndian: $1.nanoseconds)
            }
        }
        for instant in [lastInitiatedAt, lastRespondedAt, lastHandshakeAt] {
            bytes.append(optional: instant) { $0.append(bigEndian: $1.nanoseconds) }
        }
    }

    private static func write(_ session: borrowing Session?, to bytes: inout [UInt8]) {
        switch session {
        case .some(let session):
            bytes.append(flag: true)
            session.write(to: &bytes)
        case .none: bytes.append(flag: false)
        }
    }

    /// Reads what ``write(to:)`` wrote, for the same identity and the same peer; the sessions go
    /// on, with counters that were surely not used.
    ///
    /// - Parameters:
    ///   - reader: Stands where the tunnel begins.
    ///   - peer: Who is on the other side.
    ///   - presharedKey: As before.
    ///   - timing: As before.
    ///   - initiates: As before.
    /// - Returns: The tunnel.
    /// - Throws: ``StorageError`` when it cannot be read.
    public static func reading(
        _ reader: inout ByteReader,
        to peer: Key,
        presharedKey: Key?,
        timing: Timing,
        initiates: Bool
    ) throws(StorageError) -> Tunnel {
        do {
            let shared = Secret(copying: try reader.span(Secret.byteCount))
            let peer = Peer(peer, presharedKey: presharedKey, shared: shared)
            var tunnel = Tunnel(to: peer, timing: timing, initiates: initiates)
            tunnel.current = try readSession(&reader)
            tunnel.previous = try readSession(&reader)
            tunnel.next = try readSession(&reader)
            for timer in kept { tunnel.timers[timer] = try reader.optional(readInstant) }
            tunnel.lastSentTimestamp = try reader.optional(readTimestamp)
            tunnel.lastSeenTimestamp = try reader.optional(readTimestamp)
            tunnel.lastInitiatedAt = try reader.optional(readInstant)
            tunnel.lastRespondedAt = try reader.optional(readInstant)
            tunnel.lastHandshakeAt = try reader.optional(readInstant)
            return tunnel
        } catch {
            throw StorageError(error)
        }
    }

    private static func readSession(_ reader: inout ByteReader) throws -> Session? {
        guard try reader.flag() else { return nil }
        return try Session(reading: &reader)
    }

    private static func readInstant(_ reader: inout ByteReader) throws -> Instant {
        Instant(nanoseconds: try reader.uint64())
    }

    private static func readTimestamp(_ reader: inout ByteReader) throws -> Timestamp {
        let (seconds, nanoseconds) = (try reader.uint64(), try reader.uint32())
        guard nanoseconds < 1_000_000_000 else { throw StorageError.malformed }
        return Timestamp(seconds: seconds, nanoseconds: nanoseconds)
    }
}
