internal import Bytes
internal import IP
internal import STUN
internal import SansIO

extension Relay {
    /// The live allocation that a request with good credentials is about.
    func ownAllocation(
        _ asker: Asker,
        _ proof: Proof,
        at now: Instant
    ) throws(Refusal) -> UInt32 {
        guard let number = liveAllocation(of: asker.key, at: now) else {
            throw .code(.allocationMismatch)
        }
        // Credentials are renewed under another name of the same one (RFC 8656 5).
        guard details[Int(number)]?.name == proof.name else { throw .code(.wrongCredentials) }
        return number
    }

    /// Refresh (RFC 8656 8.2): a longer life, or none.
    mutating func refresh(
        _ message: borrowing STUNMessage,
        _ asker: Asker,
        _ proof: Proof,
        _ answer: inout STUNWriter,
        at now: Instant
    ) throws(Refusal) {
        let number = try ownAllocation(asker, proof, at: now)
        let requested = message.requestedFamily
        if let requested {
            guard let family = requested.family, allocations[number].has(family) else {
                throw .code(.peerFamilyMismatch)
            }
        }
        guard message.lifetime != 0 else {
            release(number, requested?.family, at: now)
            return answer.append(.lifetime, 0)
        }
        let lifetime = Self.lifetime(message.lifetime)
        allocations[number].end = now.advanced(by: .seconds(Int64(lifetime)))
        allocationTimers[number] = allocations[number].end
        answer.append(.lifetime, lifetime)
    }

    /// The client wants an allocation, or one family of it, no more.
    private mutating func release(_ number: UInt32, _ family: IPFamily?, at now: Instant) {
        if family != .ipv6 { allocations[number].hasIPv4 = false }
        if family != .ipv4 { allocations[number].hasIPv6 = false }
        guard allocations[number].hasIPv4 || allocations[number].hasIPv6 else {
            return end(number, .released, at: now)
        }
    }

    /// An allocation is over, for whatever reason.
    mutating func end(_ number: UInt32, _ reason: End, at now: Instant) {
        if allocations[number].isOpen, let known = details[Int(number)] {
            counters.allocationsClosed += 1
            events.append(.ended(client: known.source, name: known.name, reason))
        }
        remove(number, at: now)
    }

    /// Takes an allocation away with all that hangs on it, and gives its port back.
    mutating func remove(_ number: UInt32, at now: Instant) {
        while allocations[number].firstChannel != Allocation.none {
            removeChannel(allocations[number].firstChannel, at: now)
        }
        while allocations[number].firstPermission != Allocation.none {
            removePermission(allocations[number].firstPermission)
        }
        clients.remove(allocations[number].client)
        allocationTimers[number] = nil
        giveBackPort(of: number)
        let user = allocations[number].user
        credentials[user].allocationCount -= 1
        if credentials[user].allocationCount == 0 {
            // What it used counts for a second more: nobody gets more by beginning anew.
            credentialTimers[user] = now.advanced(by: .seconds(1))
        }
        if let stream = details[Int(number)]?.stream {
            streams[stream].allocation = Allocation.none
            streamTimers[stream] = now.advanced(by: Limits.streamPatience)
        }
        details[Int(number)] = nil
        allocations.remove(number)
    }

    private mutating func giveBackPort(of number: UInt32) {
        let port = allocations[number].port
        guard ports.owner(of: port) == number else { return }
        if allocations[number].isOpen {
            ports.free(port)
            portRequests.append(.close(port))
        } else {
            // The host answers yet: until then the port cannot be anybody else's.
            ports.abandon(port)
        }
    }

    /// A credential that has had no allocation for a second.
    mutating func forgetCredential(_ number: UInt32) {
        guard credentials[number].allocationCount == 0 else { return }
        credentialByName[credentials[number].name] = nil
        credentials.remove(number)
    }
}
