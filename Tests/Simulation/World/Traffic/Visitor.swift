internal import Bytes
internal import Control
internal import IP
internal import SansIO

/// A program that connects to a resource in two ways at once, as browsers do, and once more where
/// it is refused; the first connection that stands is enough.
final class Visitor {
    /// Where a connection goes.
    struct Way: Hashable {
        var target: Target
        var destination: IPAddress
    }

    unowned let scene: Scene
    private let begun: Instant
    private let isRepeating: Bool
    private(set) var openedAt: Instant?
    var onOpen: (Way, Duration) -> Void = { _, _ in }

    /// - Parameters:
    ///   - scene: Where it runs.
    ///   - isRepeating: Whether it tries again where it is refused.
    init(_ scene: Scene, isRepeating: Bool) {
        (self.scene, self.isRepeating) = (scene, isRepeating)
        begun = scene.world.now
    }

    func connect(_ ways: [Way], number: () -> Int) {
        for way in ways { connect(way, number()) }
    }

    private func connect(_ way: Way, _ number: Int) {
        let stream = Stream(
            scene,
            number: number,
            way.target,
            to: way.destination,
            pieces: 1,
            pause: .zero
        )
        stream.onOpen = { [self] in
            openedAt = openedAt ?? scene.world.now
            onOpen(way, begun.duration(to: scene.world.now))
        }
        stream.onEnd = { [self] stream in
            guard isRepeating, openedAt == nil, stream.finished != .roundTrip,
                begun.duration(to: scene.world.now) < .seconds(5)
            else { return }
            scene.world.after(.milliseconds(200)) { [self] in connect(way, number) }
        }
        stream.open(repeatingAfter: Stream.Limits.repeatSYN)
    }
}
