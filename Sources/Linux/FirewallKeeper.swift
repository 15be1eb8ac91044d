internal import Glibc
internal import SansIO
internal import Synchronization

/// Keeps the gateway's table of nftables in place, and its packets' way through other people's
/// forward chains open, for as long as the gateway runs.
///
/// Has a thread of its own that wakes up when the ruleset changes; while no packet has come out
/// yet it also looks at the counters now and then, ever more seldom. Never on the packet loop.
public final class FirewallKeeper: Sendable {
    enum Limits {
        /// The table is set again so often in ``period`` before somebody is taken for an enemy.
        static var restorations: Int { 10 }
        static var period: Duration { .seconds(60) }
        /// Then it is set again no more often than this.
        static var rest: Duration { .seconds(10) }
        /// How often the counters are looked at, first and at most.
        static var look: Duration { .seconds(2) }
        static var longestLook: Duration { .seconds(60) }
        /// Packets that came before anybody is said to drop them.
        static var entered: UInt64 { 3 }
    }

    private struct State {
        var isStopped = false
        /// Our table as nft lists it when it is whole.
        var table: String?
        var restored: [Instant] = []
        /// Chains that drop, but for those of ``trusted``.
        var findings: [ForwardAccess.Finding] = []
        /// Chains that look as if they dropped, and packets came out.
        var trusted: [ForwardAccess.Finding] = []
        /// What the counters said when the way was last in doubt.
        var doubt: GatewayFirewall.Passage?
        var look = Limits.look
        var isUnseen = false
        var failure: NftablesError?
    }

    private let firewall: GatewayFirewall?
    private let access: ForwardAccess?
    private let report: @Sendable (FirewallNote) -> Void
    private let executor: LoopExecutor
    private let state = Mutex(State())
    private let anchor: Mutex<FirewallAnchor?>

    /// Sets the table, opens the way, and keeps both.
    ///
    /// - Parameters:
    ///   - firewall: The gateway's table; nil when somebody else translates.
    ///   - interface: The tunnel device, whose packets shall get through; nil leaves other people's
    ///     chains alone.
    ///   - report: Is told what happens, on the keeper's thread.
    /// - Throws: ``NftablesError`` when the table cannot be set; nothing is left then.
    public init(
        firewall: GatewayFirewall?,
        opening interface: String?,
        report: @escaping @Sendable (FirewallNote) -> Void
    ) throws(NftablesError) {
        (self.firewall, self.report) = (firewall, report)
        access = interface.map { ForwardAccess(interface: $0) }
        anchor = Mutex(Self.anchor(of: firewall))
        let watch: RulesetWatch
        do throws(SystemError) {
            executor = try LoopExecutor()
            watch = try RulesetWatch()
        } catch {
            throw .system(error)
        }
        do throws(NftablesError) {
            try firewall?.install()
            try access?.close()
            try state.withLock { (state) throws(NftablesError) in
                state.table = try firewall?.listing()
                try look(at: &state)
            }
        } catch {
            try? firewall?.remove()
            throw error
        }
        try start(watch)
    }

    deinit { executor.finish() }

    /// What keeps running connections while the table is not there; nil where the kernel cannot.
    private static func anchor(of firewall: GatewayFirewall?) -> FirewallAnchor? {
        guard let firewall else { return nil }
        return try? FirewallAnchor(
            name: "culvert-anchor-\(getpid())",
            interface: firewall.interface,
            zone: firewall.zone
        )
    }

    private func start(_ watch: consuming RulesetWatch) throws(NftablesError) {
        let slot = Handover(watch)
        do throws(SystemError) {
            try DedicatedThread.start(name: "culvert-firewall") { [weak self, executor] in
                guard let watch = slot.take() else { return }
                while true {
                    let event = watch.wait(self?.time, until: executor)
                    guard event != .finished, let pause = self?.turn(event) else { return }
                    watch.rest(pause, until: executor)
                }
            }
        } catch {
            throw .system(error)
        }
    }

    /// Ends the keeping, and takes everything out of the host's ruleset again.
    ///
    /// - Throws: ``NftablesError`` when something may be left.
    public func stop() throws(NftablesError) {
        executor.finish()
        try state.withLock { (state) throws(NftablesError) in
            guard !state.isStopped else { return }
            state.isStopped = true
            anchor.withLock { $0 = nil }
            do throws(NftablesError) { try firewall?.remove() } catch {
                try? access?.close()
                throw error
            }
            try access?.close()
        }
    }

    /// Ends the keeping, and leaves everything in place: another process goes on with it.
    public func abandon() {
        executor.finish()
        state.withLock { $0.isStopped = true }
    }

    /// What drops packets of the tunnel now, a sentence each; empty when nothing is known to.
    public var obstacles: [String] {
        state.withLock { state in
            state.findings.filter(\.isBlocked).compactMap(FirewallNote.init).map(\.description)
                + (state.isUnseen ? [FirewallNote.unseen.description] : [])
                + (state.failure.map { [FirewallNote.lost($0).description] } ?? [])
        }
    }

    /// How long to wait for a change; nil: nothing else is of interest.
    private var time: Duration? {
        state.withLock { $0.failure != nil ? Limits.rest : $0.doubt == nil ? nil : $0.look }
    }

    /// What to do after a wait; how long to rest then, nil: for ever.
    private func turn(_ event: RulesetWatch.Event) -> Duration? {
        state.withLock { state in
            guard !state.isStopped else { return nil }
            do throws(NftablesError) {
                if event == .changed || state.failure != nil {
                    let rest = try restore(&state)
                    try look(at: &state)
                    tell(of: nil, in: &state)
                    return rest
                }
                try count(in: &state)
                tell(of: nil, in: &state)
            } catch {
                tell(of: error, in: &state)
                return Limits.rest
            }
            return .zero
        }
    }

    private func tell(of failure: NftablesError?, in state: inout State) {
        defer { state.failure = failure }
        if let failure, failure != state.failure { report(.lost(failure)) }
    }

    /// Sets the table again if it is not whole.
    private func restore(_ state: inout State) throws(NftablesError) -> Duration {
        guard let firewall, try firewall.listing() != state.table else { return .zero }
        try firewall.install()
        state.table = try firewall.listing()
        // Its counters begin anew.
        state.doubt = nil
        let now = SystemClock.now()
        state.restored.removeAll { $0.duration(to: now) > Limits.period }
        state.restored.append(now)
        let count = state.restored.count
        if count <= Limits.restorations { report(.restored(table: firewall.table)) }
        if count == Limits.restorations + 1 { report(.fought(table: firewall.table)) }
        return count > Limits.restorations ? Limits.rest : .zero
    }

    /// Looks at other people's chains, and tells what is new.
    private func look(at state: inout State) throws(NftablesError) {
        if state.doubt == nil {
            state.doubt = try firewall?.passage()
            state.look = Limits.look
        }
        guard let access else { return }
        var findings = try access.open()
        state.trusted.removeAll { !findings.contains($0) }
        findings.removeAll { state.trusted.contains($0) }
        for finding in findings where !state.findings.contains(finding) || !finding.isBlocked {
            if let note = FirewallNote(finding) { report(note) }
        }
        let wasBlocked = state.findings.contains(where: \.isBlocked)
        if wasBlocked, !findings.contains(where: \.isBlocked) { report(.passes) }
        state.findings = findings
    }

    /// Compares the counters with what they were when the way was last in doubt.
    private func count(in state: inout State) throws(NftablesError) {
        state.look = min(state.look * 2, Limits.longestLook)
        guard let doubt = state.doubt, let now = try firewall?.passage() else { return }
        let isBlocked = state.findings.contains(where: \.isBlocked)
        if now.passed > doubt.passed {
            // Whatever the chains look like, packets get through them.
            if isBlocked || state.isUnseen { report(.passes) }
            state.trusted += state.findings.filter(\.isBlocked)
            state.findings.removeAll(where: \.isBlocked)
            (state.doubt, state.isUnseen) = (nil, false)
            return
        }
        guard now.entered >= doubt.entered + Limits.entered, !state.isUnseen, !isBlocked else {
            return
        }
        state.isUnseen = true
        report(.unseen)
    }
}
