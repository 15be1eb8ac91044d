public import Bytes
internal import Control
internal import DNS
internal import IP
internal import Peering
public import SansIO
public import WireGuard

// The gateway in the hands of the next process, for an upgrade in place: who it is, its clients
// with their sessions, grants, names and flows. What is asked of nameservers and what waits goes
// not over; relays lend anew, and the portal says everything again.
extension Gateway {
    private static var version: UInt8 { 1 }

    /// The last turn of this process: what is left for the flow log is handed out as an output,
    /// and nothing may be sent any more.
    ///
    /// - Parameter now: The time.
    /// - Returns: Everything that another process needs to go on; holds secrets.
    public mutating func retire(at now: Instant) -> [UInt8] {
        if logsFlows {
            flowLogDeadline = now
            handOutFlowRecords(at: now)
        }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(byteCountExpected)
        bytes.append(Self.version)
        pool.write(to: &bytes)
        bytes.append(optional: identity) { $0.append($1) }
        bytes.append(plan)
        bytes.append(list: siteNetworks) { $0.append($1) }
        bytes.append(bigEndian: UInt64(clamping: awayMax.nanoseconds))
        bytes.append(bigEndian: (isPortalUp ? now : awaySince ?? now).nanoseconds)
        bytes.append(list: candidates) {
            $0.append(text: $1.kind.rawValue)
            $0.append($1.endpoint)
        }
        bytes.append(list: clients.compactMap { $0 }) { $1.write(to: &$0) }
        return bytes
    }

    /// Bytes that are set aside, so that secrets are not left where the array grew out of.
    private var byteCountExpected: Int {
        let flows = clients.reduce(0) { $0 + ($1?.nat.count ?? 0) }
        let names = clients.reduce(0) { $0 + ($1?.names.count ?? 0) }
        let leases = clients.reduce(0) { $0 + ($1?.grants.leases.count ?? 0) }
        return 65_536 + slotByClient.count * 4_096 + flows * 128 + names * 1_024 + leases * 1_024
    }

    /// Goes on where another process stopped.
    ///
    /// - Parameters:
    ///   - bytes: What ``retire(at:)`` returned.
    ///   - wallClock: The wall clock at one instant, for handshakes.
    ///   - random: Keys, indices and the numbers of questions are drawn from it.
    ///   - now: The time.
    /// - Returns: The gateway.
    /// - Throws: ``StorageError`` when it cannot be read.
    public static func resumed(
        from bytes: RawSpan,
        wallClock: WallStart,
        random: RandomSource,
        at now: Instant
    ) throws(StorageError) -> Gateway {
        do {
            var random = random
            var reader = ByteReader(bytes)
            let version = try reader.uint8()
            guard version == Self.version else { throw StorageError.unknownVersion(version) }
            let pool = try PeerPool.reading(
                &reader,
                role: .gateway,
                wallClock: wallClock,
                random: random.fork(),
                at: now
            )
            var gateway = Gateway(pool: pool, random: random)
            try gateway.readSelf(&reader)
            let count = Int(try reader.uint32())
            guard count == gateway.pool.count else { throw StorageError.malformed }
            for _ in 0..<count { try gateway.readClient(&reader, at: now) }
            guard reader.remaining == 0 else { throw StorageError.malformed }
            gateway.prepare(at: now)
            return gateway
        } catch {
            throw StorageError(error)
        }
    }

    private mutating func readSelf(_ reader: inout ByteReader) throws {
        identity = try reader.optional { try $0.gatewayIdentity() }
        plan = try reader.plan()
        siteNetworks = try reader.list(max: Limits.siteNetworks) { try $0.prefix() }
        awayMax = .nanoseconds(Int64(clamping: try reader.uint64()))
        awaySince = Instant(nanoseconds: try reader.uint64())
        candidates = try reader.list(max: CandidateRules.Limits.candidates) { reader in
            guard let kind = Control.Candidate.Kind(rawValue: try reader.text()) else {
                throw StorageError.malformed
            }
            return Control.Candidate(kind: kind, endpoint: try reader.endpoint())
        }
    }

    private mutating func readClient(_ reader: inout ByteReader, at now: Instant) throws {
        let slot = Int(try reader.uint16())
        guard let member = pool.member(at: slot), slot >= clients.count else {
            throw StorageError.malformed
        }
        let client = try ClientOnGateway(
            reading: &reader,
            peer: member.index,
            configuration: member.configuration,
            seed: seeds.next()
        )
        while clients.count < slot { clients.append(nil) }
        clients.append(client)
        client.isConnected = pool.status(of: member.index)?.isConnected ?? false
        if client.isConnected { connectedCount += 1 }
        guard slotByClient.updateValue(slot, forKey: client.id) == nil else {
            throw StorageError.malformed
        }
        for address in client.tunnel {
            let other = slotByAddress.updateValue(slot, forKey: address)
            guard other == nil || other == slot else { throw StorageError.malformed }
        }
        for lease in client.grants.leases { clientByLease[lease.id] = client.id }
        watchLeases(slot)
    }

    /// What follows from what was read.
    private mutating func prepare(at now: Instant) {
        resolver.refuse(plan.all)
        pool.setRefusedNetworks(plan.all + siteNetworks)
        flowDeadline = clients.compactMap { $0?.nat.nextExpiry }.min()
        guard let identity else { return }
        outputs.append(.configure(HostConfiguration(tunnel: identity.tunnel, addresses: plan)))
    }
}

extension ClientOnGateway {
    fileprivate func write(to bytes: inout [UInt8]) {
        bytes.append(bigEndian: UInt16(peer.slot))
        bytes.append(text: id.text)
        for text in [device, person] { bytes.append(optional: text) { $0.append(text: $1) } }
        bytes.append(list: tunnel) { $0.append($1) }
        grants.write(to: &bytes)
        names.write(to: &bytes)
        nat.write(to: &bytes)
    }

    fileprivate convenience init(
        reading reader: inout ByteReader,
        peer: PeerIndex,
        configuration: PeerConfiguration,
        seed: UInt64
    ) throws {
        let id = ClientID(try reader.text())
        let device = try reader.optional { try $0.text() }
        let person = try reader.optional { try $0.text() }
        let tunnel = try reader.addresses()
        let grants = try Grants(reading: &reader)
        let names = try NameTable(reading: &reader) { grants.resource($0) != nil }
        var nat: NAT
        do {
            nat = try NAT(
                reading: &reader,
                flowsMax: Gateway.Limits.flowsPerClient,
                seed: seed
            )
        } catch {
            throw StorageError(error)
        }
        self.init(id: id, tunnel: tunnel, peer: peer, configuration: configuration, nat: nat)
        (self.device, self.person) = (device, person)
        (self.grants, self.names) = (grants, names)
        labelFlows()
    }

    /// Labels are not written down: they follow from what the flows belong to.
    private func labelFlows() {
        nat.relabelFlows { flow in
            guard let resource = grants.resource(flow.resource)?.resource else { return 0 }
            let name = names.name(of: flow.inside.destination)
            let label = FlowLabel(resource: resource.id, resourceName: resource.name, name: name)
            return labels.number(of: label)
        }
    }
}

extension NAT {
    /// Gives every flow the number that `number` has for it.
    fileprivate mutating func relabelFlows(_ number: (NATFlow) -> UInt32) {
        for list in lists {
            var index = list.head
            while index != Self.none {
                flows[Int(index)].label = number(flows[Int(index)])
                index = flows[Int(index)].next
            }
        }
    }
}

extension StorageError {
    /// The same said of a table of flows.
    fileprivate init(_ error: NATStorageError) {
        self =
            switch error {
            case .truncated: .truncated
            case .unknownVersion(let version): .unknownVersion(version)
            case .malformed: .malformed
            }
    }
}
