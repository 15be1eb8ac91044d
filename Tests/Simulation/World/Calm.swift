internal import Control
internal import SansIO

/// Times in which more than the usual may happen, and by when it must be over.
///
/// A disturbance begins with a fault and ends a bound after it was healed, or after the next packet
/// that meets it. What lies outside of all disturbances is judged strictly: so the bounds of recovery
/// are checked by every probe that follows.
final class Calm {
    /// One disturbance.
    final class Disturbance {
        let label: String
        /// Whom it concerns; nil: everything.
        let resource: ResourceID?
        let began: Instant
        /// Whether connections may end by it.
        let endsStreams: Bool
        fileprivate(set) var end: Instant?
        /// The bound, when it counts from the next packet.
        fileprivate var fromNextPacket: Duration?
        /// When the next packet came.
        fileprivate(set) var met: Instant?

        fileprivate init(
            _ label: String,
            resource: ResourceID?,
            began: Instant,
            endsStreams: Bool
        ) {
            (self.label, self.resource, self.began) = (label, resource, began)
            self.endsStreams = endsStreams
        }

        func concerns(_ other: ResourceID?) -> Bool {
            guard let resource, let other else { return true }
            return resource == other
        }
    }

    /// How long disturbances that are over are remembered.
    private let memory: Duration = .seconds(3_600)

    unowned let world: World
    private var disturbances: [Disturbance] = []
    /// The longest recovery of each kind of fault: from the next packet to the first answer.
    private(set) var recoveries: [(label: String, longest: Duration, count: Int)] = []
    private var open: [Disturbance] = []

    init(in world: World) { self.world = world }

    /// A fault begins; ``heal(_:within:)`` ends it.
    func begin(
        _ label: String,
        resource: ResourceID? = nil,
        endsStreams: Bool = false
    ) -> Disturbance {
        world.note("-- \(label)\(resource.map { " (\($0))" } ?? "")")
        disturbances.removeAll { $0.end.map { $0.duration(to: world.now) > memory } ?? false }
        let disturbance = Disturbance(
            label,
            resource: resource,
            began: world.now,
            endsStreams: endsStreams
        )
        disturbances.append(disturbance)
        return disturbance
    }

    /// The fault is over; its traces must be gone so long after now.
    func heal(_ disturbance: Disturbance, within bound: Duration) {
        disturbance.end = world.now.advanced(by: bound)
    }

    /// The fault is over; its traces must be gone so long after the next packet.
    func heal(_ disturbance: Disturbance, withinOfNextPacket bound: Duration) {
        disturbance.fromNextPacket = bound
        open.append(disturbance)
    }

    /// A packet is sent for a resource.
    func packetSent(for resource: ResourceID?) {
        for disturbance in disturbances where disturbance.concerns(resource) {
            guard let bound = disturbance.fromNextPacket, disturbance.met == nil else { continue }
            disturbance.met = world.now
            disturbance.end = world.now.advanced(by: bound)
        }
    }

    /// A packet that was sent after the fault was answered.
    func answered(_ resource: ResourceID?, sentAt: Instant) {
        for disturbance in open {
            guard let met = disturbance.met, sentAt >= met, disturbance.concerns(resource) else {
                continue
            }
            let taken = met.duration(to: world.now)
            if let place = recoveries.firstIndex(where: { $0.label == disturbance.label }) {
                recoveries[place].longest = max(recoveries[place].longest, taken)
                recoveries[place].count += 1
            } else {
                recoveries.append((disturbance.label, taken, 1))
            }
        }
        open.removeAll { $0.met.map { sentAt >= $0 } ?? false && $0.concerns(resource) }
    }

    /// What disturbed the time from `start` to now; nil when all was calm.
    func disturbance(
        of resource: ResourceID?,
        since start: Instant,
        endingStreams: Bool = false
    ) -> Disturbance? {
        disturbances.last { disturbance in
            guard disturbance.concerns(resource), !endingStreams || disturbance.endsStreams else {
                return false
            }
            return disturbance.end.map { $0 >= start } ?? true
        }
    }
}
