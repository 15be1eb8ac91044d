internal import Control
internal import SansIO

/// One role's connection to the portal: messages in order both ways, until it breaks; then it is
/// opened again after the role's own back-off.
final class ControlChannel {
    let name: String
    unowned let world: World
    /// One way.
    let delay: Duration
    /// Whether the two could talk now.
    var isCut = false
    /// Whether there is a role to talk to.
    var isRoleRunning = false
    var isPortalRunning = true
    private(set) var isOpen = false
    /// How often it was opened or broke; messages of an earlier life arrive nowhere.
    private(set) var life = 0
    private var backoff = Backoff()
    private var random: RandomSource
    private var lastToPortal = Instant(nanoseconds: 0)
    private var lastToRole = Instant(nanoseconds: 0)
    private var isOpening = false

    /// The role can send its hello.
    var onOpen: () -> Void = {}
    /// The role notices that the channel is gone.
    var onBreakAtRole: () -> Void = {}
    /// The portal notices.
    var onBreakAtPortal: () -> Void = {}

    init(_ name: String, delay: Duration, in world: World) {
        (self.name, self.delay, self.world) = (name, delay, world)
        random = world.random.fork()
    }

    /// Whether nothing is on its way: what is lost with a connection is told only when there is
    /// another one.
    var isQuiet: Bool { lastToPortal < world.now && lastToRole < world.now }

    private var canTalk: Bool { !isCut && isPortalRunning && isRoleRunning }

    /// Tries to open it, now and then again.
    func open() {
        guard isRoleRunning, !isOpen, !isOpening else { return }
        isOpening = true
        attempt(after: .zero)
    }

    private func attempt(after pause: Duration) {
        let handshake = delay * 4
        world.after(pause + handshake) { [self] in
            guard isRoleRunning, !isOpen else { return isOpening = false }
            guard canTalk else {
                return attempt(after: backoff.delay(retryAfter: nil, using: &random))
            }
            isOpening = false
            isOpen = true
            life += 1
            backoff.reset()
            world.note("\(name): channel to the portal open")
            onOpen()
        }
    }

    /// It breaks: each side that lives notices after a while, and the role opens it again.
    func breakNow(noticedAfter: Duration = .zero) {
        guard isOpen else { return }
        isOpen = false
        life += 1
        let broken = life
        world.note("\(name): channel to the portal broken")
        world.after(noticedAfter) { [self] in
            // A newer connection took its place.
            guard life == broken else { return }
            onBreakAtPortal()
            guard isRoleRunning else { return }
            onBreakAtRole()
            open()
        }
    }

    func sendToPortal(_ deliver: @escaping () -> Void) {
        lastToPortal = send(after: lastToPortal, deliver)
    }

    func sendToRole(_ deliver: @escaping () -> Void) {
        lastToRole = send(after: lastToRole, deliver)
    }

    /// - Returns: When it arrives, so that the next one is not earlier.
    private func send(after last: Instant, _ deliver: @escaping () -> Void) -> Instant {
        guard isOpen, !isCut else { return last }
        let sent = life
        let due = max(last, world.now.advanced(by: delay))
        world.at(due) { [self] in
            if life == sent, !isCut { deliver() }
        }
        return due
    }
}
