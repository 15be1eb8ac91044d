internal import Bytes
internal import IP
internal import STUN
internal import SansIO

// RFC 8656 7.2.
extension Relay {
    /// An Allocate with good credentials.
    ///
    /// - Returns: The answer; nil when it waits for the host to open the port.
    mutating func allocate(
        _ message: borrowing STUNMessage,
        _ asker: Asker,
        _ proof: Proof,
        at now: Instant
    ) throws(Refusal) -> [UInt8]? {
        if let number = clients.find(asker.key) {
            guard allocations[number].isOpen, allocations[number].end <= now else {
                return try allocateAgain(number, message, proof)
            }
            end(number, .expired, at: now)
        }
        let stream = streamByBridge[asker.key.remote]
        if let stream, streams[stream].allocation != Allocation.none {
            throw .code(.allocationMismatch)
        }
        var allocation = Allocation(
            client: asker.key,
            port: 0,
            hasIPv4: false,
            hasIPv6: false,
            end: now.advanced(by: Limits.portPatience),
            user: 0
        )
        var request = AllocateRequest(
            transaction: message.transaction,
            proof: proof,
            lifetime: Self.lifetime(message.lifetime)
        )
        let reserved = try readWishes(message, &allocation, &request, at: now)
        allocation.user = try credential(proof.name, asker, at: now)
        guard let number = allocations.insert(allocation) else { throw noCapacity() }
        while details.count <= Int(number) { details.append(nil) }
        details[Int(number)] = AllocationDetails(
            name: proof.name,
            source: asker.source,
            stream: stream,
            request: request,
            opened: now
        )
        clients.insert(number, for: asker.key)
        credentials[allocation.user].allocationCount += 1
        credentialTimers[allocation.user] = nil
        if let stream { streams[stream].allocation = number }
        guard askForPort(number, reserved) else {
            remove(number, at: now)
            events.append(.portsExhausted)
            throw noCapacity()
        }
        allocationTimers[number] = allocation.end
        return nil
    }

    /// One that came again, or another one of a client that has an allocation.
    private mutating func allocateAgain(
        _ number: UInt32,
        _ message: borrowing STUNMessage,
        _ proof: Proof
    ) throws(Refusal) -> [UInt8]? {
        guard let known = details[Int(number)], known.name == proof.name else {
            throw .code(.allocationMismatch)
        }
        guard allocations[number].isOpen else {
            // The port is still being opened: the newest request gets the answer.
            details[Int(number)]?.request.transaction = message.transaction
            details[Int(number)]?.request.proof = proof
            return nil
        }
        guard known.request.transaction == message.transaction else {
            throw .code(.allocationMismatch)
        }
        return known.answer
    }

    /// What an Allocate asks for.
    ///
    /// - Returns: The port of the reservation that it names.
    private mutating func readWishes(
        _ message: borrowing STUNMessage,
        _ allocation: inout Allocation,
        _ request: inout AllocateRequest,
        at now: Instant
    ) throws(Refusal) -> UInt16? {
        guard let transport = message.requestedTransport else { throw .code(.badRequest) }
        guard transport == 17 else { throw .code(.unsupportedTransport) }
        let (requested, additional) = (message.requestedFamily, message.additionalFamily)
        guard requested == nil || additional == nil else { throw .code(.badRequest) }
        if let reserves = message.evenPortReserves {
            guard !reserves || additional == nil else { throw .code(.badRequest) }
            (request.wantsEvenPort, request.reservesNext) = (true, reserves)
        }
        if let token = message.reservationToken {
            guard requested == nil, additional == nil, !request.wantsEvenPort else {
                throw .code(.badRequest)
            }
            return try claim(token, &allocation, &request, at: now)
        }
        if let additional {
            guard additional.family == .ipv6 else { throw .code(.badRequest) }
            allocation.hasIPv4 = configuration.ipv4 != nil
            allocation.hasIPv6 = configuration.ipv6 != nil
            if !allocation.hasIPv4 { request.missing = RequestedFamily(.ipv4) }
            if !allocation.hasIPv6 { request.missing = RequestedFamily(.ipv6) }
        } else if (requested ?? RequestedFamily(.ipv4)).family == .ipv4 {
            allocation.hasIPv4 = configuration.ipv4 != nil
        } else if requested?.family == .ipv6 {
            allocation.hasIPv6 = configuration.ipv6 != nil
        }
        guard allocation.hasIPv4 || allocation.hasIPv6 else {
            throw .code(.addressFamilyNotSupported)
        }
        return nil
    }

    /// The port that was kept for a token.
    private mutating func claim(
        _ token: UInt64,
        _ allocation: inout Allocation,
        _ request: inout AllocateRequest,
        at now: Instant
    ) throws(Refusal) -> UInt16 {
        guard
            let index = reservations.firstIndex(where: {
                $0.token == token && $0.name == request.proof.name && $0.end > now
            })
        else { throw noCapacity() }
        let family = reservations[index].family
        guard configuration.lent(family) != nil else { throw noCapacity() }
        (allocation.hasIPv4, allocation.hasIPv6) = (family == .ipv4, family == .ipv6)
        request.isReserved = true
        return reservations[index].port
    }

    /// The number of a credential that may have one more allocation.
    private mutating func credential(
        _ name: String,
        _ asker: Asker,
        at now: Instant
    ) throws(Refusal) -> UInt32 {
        if let number = credentialByName[name] {
            guard credentials[number].allocationCount < configuration.quotas.allocations else {
                counters.quotaReached += 1
                events.append(.quotaReached(client: asker.source, name: name))
                throw .code(.allocationQuotaReached)
            }
            return number
        }
        guard configuration.quotas.allocations > 0,
            let number = credentials.insert(Credential(name: name))
        else { throw noCapacity() }
        credentialByName[name] = number
        credentialTimers[number] = now.advanced(by: .seconds(1))
        return number
    }

    private mutating func noCapacity() -> Refusal {
        counters.capacityReached += 1
        return .code(.insufficientCapacity)
    }

    /// Asks the host for a port: the reserved one, or one drawn at random.
    mutating func askForPort(_ number: UInt32, _ reserved: UInt16?) -> Bool {
        guard let request = details[Int(number)]?.request else { return false }
        if let reserved { reservations.removeAll { $0.port == reserved } }
        guard
            let port = reserved
                ?? ports.pick(
                    isEven: request.wantsEvenPort,
                    isPair: request.reservesNext,
                    using: &random
                )
        else { return false }
        ports.give(port, to: number)
        allocations[number].port = port
        let (ipv4, ipv6) = (allocations[number].hasIPv4, allocations[number].hasIPv6)
        return portRequests.append(.open(port, ipv4: ipv4, ipv6: ipv6))
    }

    /// Seconds that an allocation gets: no less than the default, no more than the bound.
    static func lifetime(_ wanted: UInt32?) -> UInt32 {
        max(Limits.lifetimeDefault, min(wanted ?? 0, Limits.lifetimeMax))
    }
}

// MARK: - The host's answer

extension Relay {
    /// The host receives on a port: its allocation stands, and the client is told.
    mutating func portOpened(_ port: UInt16, at now: Instant, into outbox: inout Outbox) {
        guard !ports.isAbandoned(port) else {
            ports.free(port)
            portRequests.append(.close(port))
            return
        }
        guard let number = ports.owner(of: port), !allocations[number].isOpen,
            let known = details[Int(number)]
        else { return }
        var token: UInt64?
        if known.request.reservesNext {
            token = reserve(port &+ 1, for: number, at: now)
            guard token != nil else {
                portRequests.append(.close(port))
                return portRefused(port, at: now, into: &outbox)
            }
        }
        allocations[number].isOpen = true
        let life = Duration.seconds(Int64(known.request.lifetime))
        allocations[number].end = now.advanced(by: life)
        allocationTimers[number] = allocations[number].end
        if let stream = known.stream { streamTimers[stream] = nil }
        counters.allocationsOpened += 1
        counters.successes += 1
        let relayed = relayedAddresses(of: number)
        events.append(.allocated(client: known.source, name: known.name, relayed: relayed))
        let answer = Self.answer(to: known, relayed, token: token)
        details[Int(number)]?.answer = answer
        let (remote, local) = (allocations[number].client.remote, allocations[number].local)
        send(answer, to: remote, from: local, into: &outbox)
    }

    /// A port cannot be had: another one, a few times; or it broke, and its allocation is over.
    mutating func portRefused(_ port: UInt16, at now: Instant, into outbox: inout Outbox) {
        guard !ports.isAbandoned(port) else { return ports.free(port) }
        guard let number = ports.owner(of: port) else { return }
        guard !allocations[number].isOpen else { return end(number, .portLost, at: now) }
        ports.free(port)
        details[Int(number)]?.request.portsRefused += 1
        guard let request = details[Int(number)]?.request else { return }
        if request.portsRefused < Limits.portsTried, !request.isReserved,
            askForPort(number, nil)
        {
            return
        }
        refuse(number, at: now, into: &outbox)
    }

    /// No port for an allocation that was being opened: 508.
    mutating func refuse(_ number: UInt32, at now: Instant, into outbox: inout Outbox) {
        guard let request = details[Int(number)]?.request else { return }
        let (remote, local) = (allocations[number].client.remote, allocations[number].local)
        remove(number, at: now)
        counters.failures += 1
        counters.capacityReached += 1
        events.append(.portsExhausted)
        var answer = STUNWriter(.failure, .allocate, request.transaction)
        answer.append(.insufficientCapacity)
        send(Self.sealed(answer, request.proof), to: remote, from: local, into: &outbox)
    }

    /// Keeps the port behind that of `number` for who has the token.
    private mutating func reserve(
        _ port: UInt16,
        for number: UInt32,
        at now: Instant
    ) -> UInt64? {
        guard reservations.count < Limits.reservations, ports.isFree(port),
            let name = details[Int(number)]?.name
        else { return nil }
        ports.reserve(port)
        let token = random.next()
        reservations.append(
            Reservation(
                token: token,
                port: port,
                family: allocations[number].hasIPv4 ? .ipv4 : .ipv6,
                name: name,
                end: now.advanced(by: Limits.reservationLife)
            )
        )
        return token
    }

    /// What peers see of an allocation, IPv4 first.
    func relayedAddresses(of number: UInt32) -> [Endpoint] {
        IPFamily.allCases.compactMap { family in
            guard allocations[number].has(family),
                let address = configuration.publicAddress(family)
            else { return nil }
            return Endpoint(address, port: allocations[number].port)
        }
    }

    private static func answer(
        to known: AllocationDetails,
        _ relayed: [Endpoint],
        token: UInt64?
    ) -> [UInt8] {
        var answer = STUNWriter(.success, .allocate, known.request.transaction)
        for endpoint in relayed { answer.append(.xorRelayedAddress, endpoint) }
        if let family = known.request.missing {
            answer.append(.addressFamilyNotSupported, for: family)
        }
        answer.append(.lifetime, known.request.lifetime)
        if let token {
            var field: [UInt8] = []
            field.append(bigEndian: token)
            answer.append(.reservationToken, field)
        }
        answer.append(.xorMappedAddress, known.source)
        return sealed(answer, known.request.proof)
    }
}
