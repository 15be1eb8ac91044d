public import Bytes
internal import IP
public import SansIO
public import WireGuard

// A pool in the hands of the next process: who we are, and every peer with its sessions and the
// way to it. Relays lend anew; initiations and probes under way are repeated by who sent them.
extension PeerPool {
    private static var version: UInt8 { 1 }

    /// Appends the identity and all peers, in the order of their slots. Holds secrets.
    ///
    /// - Parameter bytes: What it is appended to.
    public borrowing func write(to bytes: inout [UInt8]) {
        bytes.append(Self.version)
        identity.write(to: &bytes)
        bytes.append(list: locals) { $0.append($1) }
        bytes.append(bigEndian: UInt32(count))
        for case let peer? in peers { Self.write(peer, to: &bytes) }
    }

    private static func write(_ peer: Peer, to bytes: inout [UInt8]) {
        bytes.append(bigEndian: peer.index.raw)
        let configuration = peer.configuration
        bytes.append(fixed: configuration.publicKey.bytes)
        bytes.append(optional: configuration.presharedKey) { $0.append(fixed: $1.bytes) }
        bytes.append(list: configuration.candidates) {
            $0.append($1.kind.rawValue)
            $0.append($1.endpoint)
        }
        bytes.append(flag: configuration.speaksFrames)
        bytes.append(flag: peer.isConnected)
        bytes.append(optional: peer.namedBy) { $0.append(bigEndian: $1) }
        bytes.append(bigEndian: peer.bytesIn)
        bytes.append(bigEndian: peer.bytesOut)
        bytes.append(bigEndian: peer.wantedAt.nanoseconds)
        bytes.append(optional: peer.liveness.lastTraffic) { $0.append(bigEndian: $1.nanoseconds) }
        // What goes through a relay of ours goes another way until that lends anew.
        let chosen = peer.paths.chosen.flatMap { $0.isRelayed ? nil : $0 }
        bytes.append(optional: chosen) {
            $0.append($1.local)
            $0.append($1.remote)
        }
        peer.tunnel.write(to: &bytes)
    }

    /// Reads what ``write(to:)`` wrote: the same identity, the same slots, and sessions that go on.
    ///
    /// - Parameters:
    ///   - reader: Stands where the pool begins.
    ///   - role: As before.
    ///   - wallClock: The wall clock at one instant.
    ///   - random: Indices and keys to come are drawn from it.
    ///   - now: The time.
    /// - Returns: The pool.
    /// - Throws: ``StorageError`` when it cannot be read.
    public static func reading(
        _ reader: inout ByteReader,
        role: PeerRole,
        wallClock: WallStart,
        random: RandomSource,
        at now: Instant
    ) throws(StorageError) -> PeerPool {
        do {
            let version = try reader.uint8()
            guard version == Self.version else { throw StorageError.unknownVersion(version) }
            let identity = try Identity(reading: &reader)
            var pool = PeerPool(
                role: role,
                identity: identity,
                wallClock: wallClock,
                random: random
            )
            pool.locals = try reader.list(max: Limits.locals) { try $0.endpoint() }
            pool.areCandidatesStale = true
            let count = Int(try reader.uint32())
            guard count <= Limits.peers else { throw StorageError.malformed }
            for _ in 0..<count { try pool.readPeer(&reader, at: now) }
            pool.freeSlots = pool.peers.indices.reversed().filter { pool.peers[$0] == nil }
            return pool
        } catch {
            throw StorageError(error)
        }
    }

    private mutating func readPeer(_ reader: inout ByteReader, at now: Instant) throws {
        let raw = try reader.uint32()
        let (slot, generation) = (Int(raw & 0xffff), UInt16(raw >> 16))
        let configuration = try Self.readConfiguration(&reader)
        let isConnected = try reader.flag()
        let namedBy = try reader.optional { try $0.uint64() }
        let (bytesIn, bytesOut) = (try reader.uint64(), try reader.uint64())
        let wantedAt = Instant(nanoseconds: try reader.uint64())
        let lastTraffic = try reader.optional { try $0.uint64() }
        let chosen = try reader.optional {
            Path(local: try $0.endpoint(), remote: try $0.endpoint())
        }
        let tunnel = try Tunnel.reading(
            &reader,
            to: configuration.publicKey,
            presharedKey: configuration.presharedKey,
            timing: Self.timing(of: configuration),
            initiates: role == .client
        )
        // In the order of the slots, each once.
        guard slot >= peers.count, slot < Limits.peers, slots[configuration.publicKey] == nil else {
            throw StorageError.malformed
        }
        while peers.count <= slot {
            peers.append(nil)
            generations.append(0)
        }
        var paths = PathTable(firstNumber: random.next(), triesSources: role == .client)
        paths.setLocals(locals, at: now)
        _ = paths.setRemotes(configuration.candidates)
        if let chosen {
            _ = paths.learn(chosen.remote)
            paths.choose(chosen, at: now)
        }
        let peer = Peer(
            index: PeerIndex(slot: slot, generation: generation),
            configuration: configuration,
            tunnel: tunnel,
            paths: paths,
            role: role,
            at: wantedAt
        )
        (peer.isConnected, peer.namedBy) = (isConnected, namedBy)
        (peer.bytesIn, peer.bytesOut) = (bytesIn, bytesOut)
        if isConnected {
            peer.liveness.resume(lastTraffic: lastTraffic.map(Instant.init), at: now)
        }
        // Relays that lend anew are asked to let it in.
        peer.permitted = peer.paths.addresses
        for address in peer.permitted { permissions[address, default: 0] += 1 }
        generations[slot] = generation
        peers[slot] = peer
        slots[configuration.publicKey] = slot
        reschedule(peer)
    }

    private static func readConfiguration(
        _ reader: inout ByteReader
    ) throws -> PeerConfiguration {
        let publicKey = try readKey(&reader)
        let presharedKey = try reader.optional(readKey)
        let candidates = try reader.list(max: CandidateRules.Limits.candidates) { reader in
            guard let kind = Candidate.Kind(rawValue: try reader.uint8()) else {
                throw StorageError.malformed
            }
            return Candidate(kind, try reader.endpoint())
        }
        return PeerConfiguration(
            publicKey: publicKey,
            presharedKey: presharedKey,
            candidates: candidates,
            speaksFrames: try reader.flag()
        )
    }

    private static func readKey(_ reader: inout ByteReader) throws -> Key {
        guard let key = Key(copying: try reader.span(Key.byteCount)) else {
            throw StorageError.malformed
        }
        return key
    }

    /// The peer at `slot`, and what the pool was told of it.
    ///
    /// - Returns: nil when there is none.
    public func member(at slot: Int) -> (index: PeerIndex, configuration: PeerConfiguration)? {
        guard peers.indices.contains(slot), let peer = peers[slot] else { return nil }
        return (peer.index, peer.configuration)
    }
}
