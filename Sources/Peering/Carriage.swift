internal import Bytes
internal import STUN

/// How datagrams get onto a path: where they are sent, and what stands in front of them. Looked up
/// once for each packet of the host, however many datagrams it is cut into.
struct Carriage {
    /// Where datagrams are sent: the peer, or a relay of ours.
    var remote: Endpoint
    /// Where they leave from; unspecified means the kernel's choice.
    var local: Endpoint
    /// Bytes in front of the datagram proper.
    var headerByteCount = 0
    /// The peer behind the relay.
    var peer = Endpoint.unspecified
    /// The relay's place.
    var place = -1
    /// The channel; 0: none, so it is an indication where there is a relay.
    var channel: UInt16 = 0

    /// Straight to the peer.
    init(direct path: Path) { (remote, local) = (path.remote, path.local) }

    /// Through the relay at `place`, which is reached at `server`; nil: there is no way.
    init?(_ path: Path, place: Int, server: Endpoint, framing: TURNFraming) {
        (remote, local) = (server, .unspecified)
        (peer, self.place) = (path.remote, place)
        switch framing {
        case .channel(let number):
            channel = number
            headerByteCount = ChannelData.headerByteCount
        case .indication: headerByteCount = DataIndication.headerByteCount(path.remote)
        case .unavailable: return nil
        }
    }
}

extension PeerPool {
    /// How datagrams get onto `path`; nil: its relay cannot take them at the moment.
    func carriage(on path: Path) -> Carriage? {
        guard path.isRelayed else { return Carriage(direct: path) }
        guard let place = place(ofRelay: path.relay),
            let server = relays[place].client?.serverEndpoint,
            let framing = relays[place].client?.framing(to: path.remote)
        else { return nil }
        return Carriage(path, place: place, server: server, framing: framing)
    }

    /// Writes what stands in front of a datagram of `byteCount` bytes that goes through a relay.
    /// All datagrams that we send are multiples of four, so nothing stands behind them.
    @_lifetime(target: copy target)
    mutating func frame(
        _ target: inout MutableRawSpan,
        _ carriage: Carriage,
        byteCount: Int
    ) {
        if carriage.channel != 0 {
            ChannelData.writeHeader(carriage.channel, byteCount: byteCount, into: &target)
        } else {
            relays[carriage.place].client?
                .writeIndication(to: carriage.peer, dataByteCount: byteCount, into: &target)
        }
    }

    /// Commits a datagram that is not sealed to a peer's path.
    mutating func transmit(_ bytes: [UInt8], on path: Path, into outbox: inout Outbox) {
        guard let carriage = carriage(on: path) else { return }
        guard carriage.headerByteCount > 0 else {
            return Self.send(bytes, to: path.remote, from: path.local, into: &outbox)
        }
        let total = carriage.headerByteCount + bytes.count
        var target = outbox.reserve(total)
        guard target.byteCount == total else { return }
        target.write(bytes.rawSpan, at: carriage.headerByteCount)
        frame(&target, carriage, byteCount: bytes.count)
        outbox.commit(to: carriage.remote, from: carriage.local)
    }

    /// Commits a datagram as it is.
    static func send(
        _ bytes: [UInt8],
        to remote: Endpoint,
        from local: Endpoint = .unspecified,
        into outbox: inout Outbox
    ) {
        var datagram = outbox.reserve(bytes.count)
        guard datagram.byteCount == bytes.count else { return }
        datagram.write(bytes.rawSpan, at: 0)
        outbox.commit(to: remote, from: local)
    }
}
