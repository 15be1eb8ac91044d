public import IP
public import SansIO

/// The flows of one client, each as seen by the client and by the resource (behaviour 5.3).
///
/// Filtering depends on address and port: what comes back must match a flow that the client began.
/// The table also holds the flows to networks, whose addresses do not change, so that a resource
/// cannot open a connection to a client. It sees keys and TCP flags only; the packets are rewritten
/// by who asks it.
///
/// Every look-up, change and eviction is O(1): flows of one stage have one time-out, so a list for
/// each stage, in the order of the last packet, is sorted by the end of life too.
public struct NAT: Sendable {
    /// Bounds of one client's table.
    public enum Limits {
        /// Flows of one client.
        public static var flows: Int { 16_384 }
        /// Ports tried for one new flow, the packet's own first.
        public static var portsTried: Int { 1_024 }
        /// Ended flows that wait for the flow log.
        public static var ended: Int { 4_096 }
    }

    /// Counts since the start.
    public struct Counters: Sendable, Equatable {
        /// Flows begun.
        public var opened: UInt64 = 0
        /// Flows that ended by time.
        public var expired: UInt64 = 0
        /// Flows that made room for others.
        public var evicted: UInt64 = 0
        /// Flows that found no free port.
        public var exhausted: UInt64 = 0
        /// Packets from outside that belong to no flow.
        public var unmatched: UInt64 = 0

        public init() {}
    }

    static let none: UInt32 = .max

    struct List: Sendable {
        var head = NAT.none
        var tail = NAT.none
    }

    let flowsMax: Int
    private let seed: UInt64
    var flows: [NATFlow] = []
    private var free: [UInt32] = []
    private var byInside = FlowIndex()
    private var byOutside = FlowIndex()
    var lists = [List](repeating: List(), count: NATFlow.Stage.allCases.count)
    /// Counts since the start.
    public internal(set) var counters = Counters()
    /// Whether ended flows are kept for ``takeEnded()``.
    public var logsFlows = false
    private var ended: [Ended] = []
    private var unlogged: UInt64 = 0

    /// A flow that is over.
    public struct Ended: Sendable, Equatable {
        /// The flow as it was last.
        public var flow: NATFlow
        /// Why it ended.
        public var why: NATFlow.End
    }

    /// - Parameters:
    ///   - flowsMax: Flows that it holds at most.
    ///   - seed: Unknown outside, so that nobody can choose keys that are slow to find.
    public init(flowsMax: Int = Limits.flows, seed: UInt64) {
        self.flowsMax = max(1, flowsMax)
        self.seed = seed
    }

    /// How many flows it holds.
    public var count: Int { byInside.count }

    /// Bytes that the table takes, its free room included.
    public var byteCount: Int {
        flows.capacity * MemoryLayout<NATFlow>.stride + free.capacity * 4
            + byInside.byteCount + byOutside.byteCount
    }

    /// The flow at `index`, which a look-up gave just now.
    public subscript(index: Int) -> NATFlow { flows[index] }
}

// MARK: - Look-up

extension NAT {
    /// A packet from the client: its flow, which lives on; nil when a new one must be opened.
    ///
    /// A SYN on a connection that is over begins a new one, which may go elsewhere.
    public mutating func outbound(_ key: FlowKey, flags: TCPFlags, at now: Instant) -> Int? {
        guard let index = live(inside: key, at: now) else { return nil }
        if flows[index].stage.isOver, flags.contains(.syn), !flags.contains(.ack) {
            remove(index, .replaced)
            return nil
        }
        observe(index, fromInside: true, flags, at: now)
        return index
    }

    /// A packet from a resource, by the key that its answer has (port of the client, address and
    /// port of the resource): its flow, which lives on.
    public mutating func inbound(_ key: FlowKey, flags: TCPFlags, at now: Instant) -> Int? {
        guard let index = live(outside: key, at: now) else {
            counters.unmatched += 1
            return nil
        }
        observe(index, fromInside: false, flags, at: now)
        return index
    }

    /// The flow that a packet quoted by an ICMP error from outside belongs to; it lives no longer
    /// for it.
    public mutating func quotedFromOutside(_ key: FlowKey, at now: Instant) -> Int? {
        guard let index = live(outside: key, at: now) else {
            counters.unmatched += 1
            return nil
        }
        return index
    }

    /// The flow that a packet quoted by a client's ICMP error belongs to, by the key that the
    /// client's own packets have; it lives no longer for it.
    public mutating func quotedFromInside(_ key: FlowKey, at now: Instant) -> Int? {
        live(inside: key, at: now)
    }

    /// Notes that the flow at `index` was found permitted, by `resource`, at `revision` of its
    /// owner's rules.
    public mutating func markChecked(_ index: Int, resource: UInt32, revision: UInt32) {
        flows[index].resource = resource
        flows[index].checkedRevision = revision
    }

    /// Counts a packet of the client that goes on by the flow at `index`.
    public mutating func noteForwarded(_ index: Int, byteCount: Int) {
        flows[index].bytesOut &+= UInt64(truncatingIfNeeded: byteCount)
        flows[index].packetsOut &+= 1
    }

    /// Counts a packet of the resource that goes on by the flow at `index`.
    public mutating func noteReturned(_ index: Int, byteCount: Int) {
        flows[index].bytesIn &+= UInt64(truncatingIfNeeded: byteCount)
        flows[index].packetsIn &+= 1
    }

    /// The ended flows, oldest first, which are forgotten, and how many did not find room.
    public mutating func takeEnded() -> (flows: [Ended], missing: UInt64) {
        defer { (ended, unlogged) = ([], 0) }
        return (ended, unlogged)
    }

    /// Gives every flow the number that `number` has for its label.
    mutating func relabel(_ number: (UInt32) -> UInt32) {
        for list in lists {
            var index = list.head
            while index != Self.none {
                flows[Int(index)].label = number(flows[Int(index)].label)
                index = flows[Int(index)].next
            }
        }
    }

    private func find(inside key: FlowKey) -> Int? {
        byInside.first(key.hash(seed)) { flows[$0].inside == key }
    }

    private func find(outside key: FlowKey) -> Int? {
        byOutside.first(key.hash(seed)) { flows[$0].matches(outside: key) }
    }

    private mutating func live(inside key: FlowKey, at now: Instant) -> Int? {
        live(find(inside: key), at: now)
    }

    private mutating func live(outside key: FlowKey, at now: Instant) -> Int? {
        live(find(outside: key), at: now)
    }

    /// A flow that is past its end is gone, though its turn to be removed has not come yet.
    private mutating func live(_ found: Int?, at now: Instant) -> Int? {
        guard let index = found, flows[index].deadline <= now else { return found }
        counters.expired += 1
        remove(index, flows[index].endByTime)
        return nil
    }

    private mutating func observe(
        _ index: Int,
        fromInside: Bool,
        _ flags: TCPFlags,
        at now: Instant
    ) {
        var stage = flows[index].stage
        switch flows[index].inside.transport {
        case .icmp: break
        case .udp: if !fromInside { stage = .answered }
        case .tcp:
            if stage == .reset { return }
            if flags.contains(.rst) {
                stage = .reset
            } else {
                if flags.contains(.fin) {
                    if fromInside {
                        flows[index].finFromInside = true
                    } else {
                        flows[index].finFromOutside = true
                    }
                }
                if stage == .opening, !fromInside { stage = .established }
                if flows[index].finFromInside, flows[index].finFromOutside { stage = .closing }
            }
        }
        touch(index, stage, at: now)
    }
}

// MARK: - Opening and removing

/// Why no flow could be opened.
public enum NATError: Error, Equatable {
    /// No free port towards this address and port.
    case exhausted(FlowKey)
}

extension NAT {
    /// Begins a flow from `inside` to `real`; its source port is kept when free, else the next free
    /// one is taken. A full table lets the least useful flow go.
    ///
    /// - Parameters:
    ///   - inside: The flow as the client sends it, to a proxy address or to the real one.
    ///   - real: Where it goes instead.
    ///   - resource: The owner's number for the resource.
    ///   - revision: The revision of the owner's rules that permit it.
    ///   - label: What the owner's flow log calls it.
    ///   - flags: Of its first packet; none unless it is TCP.
    ///   - now: When it begins.
    /// - Returns: The flow's index.
    /// - Throws: ``NATError`` when no port towards `real` is free.
    public mutating func open(
        _ inside: FlowKey,
        to real: IPAddress,
        resource: UInt32,
        revision: UInt32,
        label: UInt32 = 0,
        flags: TCPFlags,
        at now: Instant
    ) throws(NATError) -> Int {
        if let old = find(inside: inside) { remove(old, .replaced) }
        var outside = inside
        outside.destination = real
        guard let port = freePort(for: outside, at: now) else {
            counters.exhausted += 1
            throw .exhausted(outside)
        }
        if count >= flowsMax { expire(at: now) }
        if count >= flowsMax { evict() }
        let stage: NATFlow.Stage =
            switch inside.transport {
            case .tcp: flags.contains(.rst) ? .reset : .opening
            case .udp: .asked
            case .icmp: .echo
            }
        var flow = NATFlow(
            inside: inside,
            outsidePort: port,
            real: real,
            opened: now,
            resource: resource,
            revision: revision,
            label: label,
            stage: stage
        )
        flow.finFromInside = inside.transport == .tcp && flags.contains(.fin)
        counters.opened += 1
        return insert(flow)
    }

    /// Puts a flow in, at the tail of its stage's list.
    mutating func insert(_ flow: NATFlow) -> Int {
        let index: Int
        if let reused = free.popLast() {
            index = Int(reused)
            flows[index] = flow
        } else {
            index = flows.count
            flows.append(flow)
        }
        byInside.insert(index, flow.inside.hash(seed))
        byOutside.insert(index, flow.outside.hash(seed))
        link(index)
        return index
    }

    /// Whether both sides of `flow` are free.
    func hasRoom(for flow: NATFlow) -> Bool {
        count < flowsMax && find(inside: flow.inside) == nil && find(outside: flow.outside) == nil
    }

    /// Ends the flow at `index`.
    public mutating func remove(_ index: Int, _ why: NATFlow.End) {
        unlink(index)
        byInside.remove(index, flows[index].inside.hash(seed))
        byOutside.remove(index, flows[index].outside.hash(seed))
        free.append(UInt32(index))
        guard logsFlows else { return }
        guard ended.count < Limits.ended else {
            unlogged += 1
            return
        }
        ended.append(Ended(flow: flows[index], why: why))
    }

    /// Ends every flow that `condition` names; O(flows), for changes of rules.
    public mutating func removeAll(_ why: NATFlow.End, where condition: (NATFlow) -> Bool) {
        for stage in NATFlow.Stage.allCases {
            var index = lists[Int(stage.rawValue)].head
            while index != Self.none {
                let next = flows[Int(index)].next
                if condition(flows[Int(index)]) { remove(Int(index), why) }
                index = next
            }
        }
    }

    private mutating func freePort(for key: FlowKey, at now: Instant) -> UInt16? {
        var outside = key
        for _ in 0..<Limits.portsTried {
            // An echo's identifier may be 0, a port may not.
            if outside.sourcePort != 0 || outside.transport == .icmp,
                live(outside: outside, at: now) == nil
            {
                return outside.sourcePort
            }
            outside.sourcePort &+= 1
        }
        return nil
    }
}
