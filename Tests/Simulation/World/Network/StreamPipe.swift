internal import Bytes
internal import IP
internal import SansIO

/// A TCP or TLS connection of a role's host to a relay, with the bridges at both its ends: each
/// datagram comes out whole, once and in order, later where something was lost.
///
/// What the host's NAT forgets, and an address that the host leaves, break it: who sends next finds
/// out, the other end only when it says something for long enough.
final class StreamPipe {
    private enum Limits {
        /// A segment that was lost comes again after this.
        static let repetition: Duration = .milliseconds(200)
        /// Nothing gets through for so long: both ends give up.
        static let patience: Duration = .seconds(15)
    }

    /// What each core takes the other end for.
    let nearBridge: Endpoint
    let farBridge: Endpoint
    unowned let world: World
    private unowned let internet: Internet
    private let near: Internet.Host
    private let far: Internet.Host
    private let network: Network
    private let life: Int
    private(set) var isOpen = true
    private var lastToNear = Instant(nanoseconds: 0)
    private var lastToFar = Instant(nanoseconds: 0)

    var deliverToNear: ([UInt8]) -> Void = { _ in }
    var deliverToFar: ([UInt8]) -> Void = { _ in }
    var onBreakAtNear: () -> Void = {}
    var onBreakAtFar: () -> Void = {}

    init(
        _ internet: Internet,
        from near: Internet.Host,
        to far: Internet.Host,
        nearBridge: Endpoint,
        farBridge: Endpoint
    ) {
        (self.internet, world) = (internet, internet.world)
        (self.near, self.far) = (near, far)
        (self.nearBridge, self.farBridge) = (nearBridge, farBridge)
        network = near.network
        life = Self.life(near.network)
        internet.openStreams += 1
    }

    private static func life(_ network: Network) -> Int {
        (network.nat?.life ?? 0) + (network.firewall?.life ?? 0)
    }

    /// Whether the connection is still known wherever it passes.
    private var isSound: Bool { near.network === network && Self.life(network) == life }

    func sendFromNear(_ bytes: [UInt8]) {
        lastToFar = send(bytes, after: lastToFar, internet.link(network, far.network)) { [self] in
            deliverToFar($0)
        }
    }

    func sendFromFar(_ bytes: [UInt8]) {
        lastToNear = send(bytes, after: lastToNear, internet.link(far.network, network)) { [self] in
            deliverToNear($0)
        }
    }

    private func send(
        _ bytes: [UInt8],
        after last: Instant,
        _ link: Link,
        _ deliver: @escaping ([UInt8]) -> Void
    ) -> Instant {
        guard isOpen else { return last }
        guard isSound else {
            // The address is gone, or the NAT answers with a reset.
            world.after(link.quality.delay * 2) { [self] in close() }
            return last
        }
        var delay = link.quality.delay + world.between(.zero, link.quality.jitter)
        while world.chance(perTenThousand: link.quality.loss) { delay += Limits.repetition }
        let due = max(last, world.now.advanced(by: delay))
        arrive(bytes, at: due, since: world.now, link, deliver)
        return due
    }

    private func arrive(
        _ bytes: [UInt8],
        at due: Instant,
        since start: Instant,
        _ link: Link,
        _ deliver: @escaping ([UInt8]) -> Void
    ) {
        world.at(due) { [self] in
            guard isOpen, isSound else { return }
            guard link.isCut else { return deliver(bytes) }
            guard start.duration(to: world.now) < Limits.patience else { return close() }
            arrive(bytes, at: due.advanced(by: .milliseconds(500)), since: start, link, deliver)
        }
    }

    /// It is over at both ends.
    func close() {
        guard isOpen else { return }
        isOpen = false
        internet.openStreams -= 1
        onBreakAtNear()
        onBreakAtFar()
    }
}
