internal import Control
internal import SansIO

/// Times in which more than the usual may happen, and by when it must be over.
///
/// A disturbance begins with a fault and ends a bound after it was healed, or after the next packet
/// that meets it. What lies outside of all disturbances is judged strictly: so the bounds of
/// recovery are checked by every probe that follows.
final class Calm {
    /// One disturbance.
    final class Disturbance {
        let label: String
        /// Whom it concerns; nil: everything.
        let resource: ResourceID?
        let began: Instant
        /// Whether connections may end by it.
        var endsStreams: Bool
        /// When it is over, where that does not depend on packets.
        fileprivate var fixedEnd: Instant?
        /// The bound, when it counts from the next packet.
        fileprivate var fromNextPacket: Duration?
        /// When the next packet came, for each gateway that packets go to.
        fileprivate var met: [(gateway: GatewayID?, at: Instant)] = []
        /// Packets since the fault that must be answered.
        fileprivate var asked: [Instant] = []

        fileprivate init(
            _ label: String,
            resource: ResourceID?,
            began: Instant,
            endsStreams: Bool
        ) {
            (self.label, self.resource, self.began) = (label, resource, began)
            self.endsStreams = endsStreams
        }

        /// When it is over on all ways that packets take.
        var end: Instant? {
            guard let fromNextPacket else { return fixedEnd }
            return met.map(\.at).max()?.advanced(by: fromNextPacket)
        }

        /// When it is over on the way to a gateway; a silent one is found out by whom asks it.
        fileprivate func end(at gateway: GatewayID?) -> Instant? {
            guard let fromNextPacket, let gateway else { return end }
            return met.first { $0.gateway == gateway }?.at.advanced(by: fromNextPacket)
        }

        /// Whether it is over as soon as somebody sends.
        var isHealing: Bool { fromNextPacket != nil }

        func concerns(_ other: ResourceID?) -> Bool {
            guard let resource, let other else { return true }
            return resource == other
        }
    }

    /// How long disturbances that are over are remembered.
    private let memory: Duration = .seconds(3_600)

    unowned let world: World
    private var disturbances: [Disturbance] = []
    /// Disturbances so far.
    private(set) var count = 0
    /// The longest recovery of each kind of fault: from the next packet to the first answer.
    private(set) var recoveries: [(label: String, longest: Duration, count: Int)] = []
    private var open: [Disturbance] = []
    /// Whether chance may have lost something since an instant: then recovery says nothing.
    var isLossNear: (Instant) -> Bool = { _ in false }
    /// Which gateway the packets of a resource go to.
    var gateway: (ResourceID) -> GatewayID? = { _ in nil }

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
        count += 1
        return disturbance
    }

    /// The fault is over; its traces must be gone so long after now.
    func heal(_ disturbance: Disturbance, within bound: Duration) {
        disturbance.fixedEnd = world.now.advanced(by: bound)
    }

    /// The fault is over; its traces must be gone so long after the next packet.
    func heal(_ disturbance: Disturbance, withinOfNextPacket bound: Duration) {
        disturbance.fromNextPacket = bound
        open.append(disturbance)
    }

    /// A packet is sent for a resource.
    ///
    /// - Parameters:
    ///   - resource: What it is for; nil for none.
    ///   - isAnswerable: Whether it must be answered, so that recovery can be measured.
    func packetSent(for resource: ResourceID?, isAnswerable: Bool) {
        // What is refused on the host itself asks nothing of any path.
        guard isAnswerable else { return }
        let gateway = resource.flatMap { self.gateway($0) }
        for disturbance in disturbances
        where disturbance.isHealing && disturbance.concerns(resource) {
            disturbance.asked.append(world.now)
            guard !disturbance.met.contains(where: { $0.gateway == gateway }) else { continue }
            disturbance.met.append((gateway, world.now))
        }
    }

    /// A packet that was sent after the fault was answered.
    func answered(_ resource: ResourceID?, sentAt: Instant) {
        var rest: [Disturbance] = []
        for disturbance in open {
            guard let first = disturbance.asked.first, sentAt >= first,
                disturbance.concerns(resource)
            else {
                rest.append(disturbance)
                continue
            }
            // What lies between two packets that are far from each other is not known.
            let before = disturbance.asked.last { $0 < sentAt } ?? first
            let isNear = before.duration(to: sentAt) < .seconds(1)
            guard isAlone(disturbance), !isLossNear(first) else { continue }
            remember(disturbance.label, first.duration(to: isNear ? world.now : before))
        }
        open = rest
    }

    /// Whether nothing else disturbs the time since it began.
    private func isAlone(_ disturbance: Disturbance) -> Bool {
        !disturbances.contains { other in
            other !== disturbance && (other.end.map { $0 >= disturbance.began } ?? true)
        }
    }

    /// How long it took until something was well again, where somebody else measured it.
    func remember(_ label: String, _ taken: Duration) {
        // The length of a fault is part of its words, not of its kind.
        let kind = String(label.prefix { !$0.isNumber })
        guard let place = recoveries.firstIndex(where: { $0.label == kind }) else {
            return recoveries.append((kind, taken, 1))
        }
        recoveries[place].longest = max(recoveries[place].longest, taken)
        recoveries[place].count += 1
    }

    /// Whether connections and leases may have ended at `instant` or since.
    func mayHaveEnded(_ resource: ResourceID, since instant: Instant) -> Bool {
        let gateway = gateway(resource)
        return disturbances.contains {
            $0.endsStreams && $0.concerns(resource)
                && $0.end(at: gateway).map { $0 >= instant } ?? true
        }
    }

    /// What disturbed the time from `start` to now, `known` left out; nil when all was calm.
    func disturbance(
        of resource: ResourceID?,
        since start: Instant,
        endingStreams: Bool = false,
        except known: Disturbance? = nil
    ) -> Disturbance? {
        let gateway = resource.flatMap { self.gateway($0) }
        return disturbances.last { disturbance in
            guard disturbance !== known, disturbance.concerns(resource),
                !endingStreams || disturbance.endsStreams
            else { return false }
            return disturbance.end(at: gateway).map { $0 >= start } ?? true
        }
    }
}
