internal import Bytes
internal import Control
internal import SansIO
internal import STUN

/// A relay as the portal knows it.
final class RelaySeat {
    let id: RelayID
    let channel: ControlChannel
    /// What it told when it came; nil before.
    var hello: FromRole.RelayHello?
    var isOnline = false
    /// What credentials are made from; it changes.
    var secret: String
    var deliver: (ToRelay) -> Void = { _ in }

    init(_ id: RelayID, _ channel: ControlChannel, secret: String) {
        (self.id, self.channel, self.secret) = (id, channel, secret)
    }
}

// Relays: who is there, and what is dealt to whom.
extension PortalHost {
    /// What all relays call themselves.
    static let realm = "culvert"

    /// Makes room for a relay's session.
    func addRelay(_ id: RelayID, delay: Duration) -> RelaySeat {
        let channel = ControlChannel(id.text, delay: delay, in: world)
        let seat = RelaySeat(id, channel, secret: "secret of \(id)")
        relays.append(seat)
        channel.onBreakAtPortal = { [unowned self, unowned seat] in
            seat.isOnline = false
            dealAnew()
        }
        return seat
    }

    func receive(from seat: RelaySeat, _ message: FromRole) {
        world.note("\(seat.id) → portal: \(message.type)")
        switch message {
        case .relayHello(let hello):
            (seat.hello, seat.isOnline) = (hello, true)
            let welcome = ToRelay.Welcome(
                instance: instanceName,
                relay: seat.id,
                realm: Self.realm,
                secrets: [seat.secret]
            )
            seat.channel.sendToRole { [unowned seat] in seat.deliver(.welcome(welcome)) }
            dealAnew()
        case .relayReport: break
        default: world.fail("a relay sent \(message.type)")
        }
    }

    /// The relays for somebody, with credentials of his own; nil in a world without relays.
    ///
    /// - Parameters:
    ///   - name: Who gets them.
    ///   - isReturning: Whether it was here before this run of the portal, and has some.
    /// - Returns: Those that are there; nil: nothing is said.
    func dealt(to name: String, isReturning: Bool = false) -> [RelayForRole]? {
        guard !relays.isEmpty, !(isReturning && isSettling) else { return nil }
        let expiry = UInt64(clamping: wallSeconds + credentialLifetime.components.seconds)
        return relays.filter(\.isOnline).compactMap { seat in
            guard let hello = seat.hello else { return nil }
            let credentials = SharedSecret(seat.secret).credentials(for: name, until: expiry)
            return RelayForRole(
                id: seat.id,
                udp: hello.udp,
                tcp: hello.tcp,
                tls: hello.tls,
                tlsFingerprint: hello.tlsFingerprint,
                tlsName: hello.tlsName,
                region: hello.region,
                username: credentials.username,
                password: credentials.password,
                lifetimeSeconds: UInt32(clamping: credentialLifetime.components.seconds)
            )
        }
    }

    /// Tells everybody of the relays that there are now.
    func dealAnew() {
        if relays.allSatisfy(\.isOnline) { isSettling = false }
        guard isRunning, !isSettling else { return }
        if let list = dealt(to: client.text) { send(.relays(RelayList(relays: list))) }
        for seat in gateways {
            if let list = dealt(to: seat.id.text) {
                send(.relays(RelayList(relays: list)), to: seat)
            }
        }
    }

    /// Deals new credentials before those that were dealt end.
    func renewCredentials() {
        guard !relays.isEmpty else { return }
        world.after(credentialLifetime / 2) { [weak self] in
            self?.dealAnew()
            self?.renewCredentials()
        }
    }
}
