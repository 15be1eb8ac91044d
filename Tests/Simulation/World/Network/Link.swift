internal import SansIO

/// One way through the internet: how long it takes and what gets lost.
final class Link {
    /// How good it is; counts are of ten thousand.
    struct Quality {
        var delay: Duration
        var jitter: Duration = .zero
        var loss = 0
        var duplication = 0
        /// Packets that are held up by ``heldUp``, so that later ones overtake them.
        var reordering = 0
        var heldUp: Duration = .zero
        /// Bytes each second; nil: as many as there are.
        var bandwidth: Int?

        var isClean: Bool { loss == 0 }

        /// A good one of that length.
        static func near(_ delay: Duration) -> Quality { Quality(delay: delay) }
    }

    unowned let world: World
    var quality: Quality
    /// Cut: nothing passes.
    var isCut = false
    /// When the last packet was lost by chance.
    private(set) var lostAt: Instant?

    init(_ quality: Quality, in world: World) { (self.quality, self.world) = (quality, world) }

    /// Brings something to the other end, or not, or twice.
    func carry(_ arrive: @escaping () -> Void) {
        guard !isCut else { return }
        if world.chance(perTenThousand: quality.loss) {
            lostAt = world.now
            return
        }
        let copies = world.chance(perTenThousand: quality.duplication) ? 2 : 1
        for _ in 0..<copies {
            var delay = quality.delay + world.between(.zero, quality.jitter)
            if world.chance(perTenThousand: quality.reordering) { delay += quality.heldUp }
            world.after(delay, arrive)
        }
    }
}
