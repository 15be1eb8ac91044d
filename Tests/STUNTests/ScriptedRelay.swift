internal import Bytes
internal import IP
internal import SansIO
internal import STUN

/// A relay of a few rules, as small as the client's tests need it: one client, one allocation.
struct ScriptedRelay {
    /// How a request is answered instead of well.
    enum Rule: Equatable {
        /// Not at all.
        case silence
        /// With this error, signed.
        case error(STUNErrorCode)
        /// With this error, not signed.
        case unsignedError(STUNErrorCode)
        /// Well, but not signed.
        case unsignedSuccess
        /// To another server.
        case alternate(Endpoint)
    }

    var username = "9999999999:me"
    var password = "secret"
    var realm = "relay.test"
    var nonce = "nonce-1"
    /// Offered as PASSWORD-ALGORITHMS; empty: the old ways.
    var offered: [PasswordAlgorithm] = []
    var relayed = [endpoint("198.51.100.1:50000"), endpoint("[2001:db8:51::1]:50000")]
    /// The address that it sees the client at.
    var mapped: [IPFamily: Endpoint] = [
        .ipv4: endpoint("203.0.113.5:4500"), .ipv6: endpoint("[2001:db8:113::5]:4500"),
    ]
    var lifetime: UInt32 = 600
    var isAllocated = false
    /// Addresses that may not be permitted.
    var forbidden: [IPAddress] = []
    var permitted: [IPAddress] = []
    var bound: [UInt16: Endpoint] = [:]
    /// What the next requests of a method meet, first come first served; then all is well.
    var rules: [STUNMethod: [Rule]] = [:]

    /// What was asked, with what was said of it; in order.
    var log: [String] = []

    var credentials: LongTermCredentials {
        LongTermCredentials(username: username, password: password)
    }

    /// The answer to a request; nil: none.
    mutating func answer(_ request: [UInt8], at server: Endpoint) -> [UInt8]? {
        guard let message = try? STUNMessage(request.rawSpan), message.messageClass == .request
        else { return nil }
        let rule = nextRule(message.method)
        if rule == .silence {
            log.append("\(name(of: message)) silence")
            return nil
        }
        if message.method == .binding {
            log.append("binding")
            var writer = STUNWriter(answering: message, .success)
            if let mapped = mapped[server.address.family] {
                writer.append(.xorMappedAddress, mapped)
            }
            writer.appendFingerprint()
            return writer.bytes
        }
        return answerSigned(message, rule, seen: mapped[server.address.family])
    }

    private mutating func answerSigned(
        _ message: borrowing STUNMessage,
        _ rule: Rule?,
        seen: Endpoint?
    ) -> [UInt8] {
        if let code = challenge(to: message) { return refuse(message, code, isSigned: false) }
        switch rule {
        case .error(let code): return refuse(message, code, isSigned: true)
        case .unsignedError(let code): return refuse(message, code, isSigned: false)
        case .alternate(let other):
            var writer = STUNWriter(answering: message, .failure)
            writer.append(STUNErrorCode.tryAlternate)
            writer.append(.alternateServer, other)
            log.append("\(name(of: message)) 300")
            return seal(writer, as: message)
        case .unsignedSuccess, .silence, nil: break
        }
        var writer = STUNWriter(answering: message, .success)
        if let code = perform(message, &writer) { return refuse(message, code, isSigned: true) }
        if message.method == .allocate, let seen { writer.append(.xorMappedAddress, seen) }
        log.append(name(of: message))
        return rule == .unsignedSuccess ? writer.bytes : seal(writer, as: message)
    }

    /// Why the request is not signed as it must be; nil: it is.
    private func challenge(to message: borrowing STUNMessage) -> STUNErrorCode? {
        guard message.hasIntegrity else { return .unauthenticated }
        guard message.text(.username) == username, message.text(.realm) == realm,
            let algorithm = message.algorithm(offered: offered),
            let key = credentials.key(realm: realm, algorithm)
        else { return .unauthenticated }
        let kind: STUNIntegrity = message.has(.passwordAlgorithm) ? .sha256 : .sha1
        guard message.isAuthentic(kind, key: key.rawSpan) else { return .unauthenticated }
        return message.text(.nonce) == nonce ? nil : .staleNonce
    }

    private mutating func perform(
        _ message: borrowing STUNMessage,
        _ writer: inout STUNWriter
    ) -> STUNErrorCode? {
        switch message.method {
        case .allocate: return allocate(message, &writer)
        case .refresh:
            guard isAllocated else { return .allocationMismatch }
            isAllocated = message.lifetime != 0
            writer.append(.lifetime, message.lifetime == 0 ? 0 : lifetime)
        case .createPermission:
            guard isAllocated else { return .allocationMismatch }
            let peers = message.peerAddresses.map(\.address)
            guard !peers.contains(where: { forbidden.contains($0) }) else { return .forbidden }
            permitted += peers
        case .channelBind:
            guard isAllocated else { return .allocationMismatch }
            guard let number = message.channelNumber, let peer = message.peerAddress,
                bound[number].map({ $0 == peer }) ?? !bound.values.contains(peer)
            else { return .badRequest }
            guard !forbidden.contains(peer.address) else { return .forbidden }
            bound[number] = peer
        default: return .badRequest
        }
        return nil
    }

    private mutating func allocate(
        _ message: borrowing STUNMessage,
        _ writer: inout STUNWriter
    ) -> STUNErrorCode? {
        guard !isAllocated else { return .allocationMismatch }
        var families: [IPFamily] = [message.requestedFamily?.family ?? .ipv4]
        if let additional = message.additionalFamily?.family { families.append(additional) }
        let given = relayed.filter { families.contains($0.address.family) }
        guard given.contains(where: { $0.address.family == families[0] }) else {
            return .addressFamilyNotSupported
        }
        isAllocated = true
        (permitted, bound) = ([], [:])
        for endpoint in given { writer.append(.xorRelayedAddress, endpoint) }
        if given.count < families.count {
            writer.append(.addressFamilyNotSupported, for: RequestedFamily(families[1]))
        }
        writer.append(.lifetime, lifetime)
        return nil
    }

    private mutating func refuse(
        _ message: borrowing STUNMessage,
        _ code: STUNErrorCode,
        isSigned: Bool
    ) -> [UInt8] {
        log.append("\(name(of: message)) \(code.rawValue)")
        var writer = STUNWriter(answering: message, .failure)
        writer.append(code)
        if code == .unauthenticated || code == .staleNonce {
            let prefix = offered.isEmpty ? "" : SecurityFeatures.passwordAlgorithms.noncePrefix
            if !nonce.hasPrefix(prefix) { nonce = prefix + nonce }
            writer.append(.realm, realm)
            writer.append(.nonce, nonce)
            if !offered.isEmpty { writer.append(offered) }
        }
        return isSigned ? seal(writer, as: message) : writer.bytes
    }

    private func seal(_ writer: STUNWriter, as message: borrowing STUNMessage) -> [UInt8] {
        var writer = writer
        let algorithm = message.algorithm(offered: offered) ?? .md5
        let kind: STUNIntegrity = message.has(.passwordAlgorithm) ? .sha256 : .sha1
        let key = credentials.key(realm: realm, algorithm) ?? []
        writer.seal(kind, key: key.rawSpan)
        return writer.bytes
    }

    private mutating func nextRule(_ method: STUNMethod) -> Rule? {
        guard var waiting = rules[method], !waiting.isEmpty else { return nil }
        let rule = waiting.removeFirst()
        rules[method] = waiting
        return rule
    }

    private func name(of message: borrowing STUNMessage) -> String {
        switch message.method {
        case .binding: return "binding"
        case .allocate:
            let only = message.requestedFamily?.family
            let isBoth = message.additionalFamily != nil
            return "allocate" + (isBoth ? "" : only == .ipv6 ? " ipv6" : " ipv4")
        case .refresh: return message.lifetime == 0 ? "release" : "refresh"
        case .createPermission: return "permit \(message.peerAddresses.count)"
        case .channelBind: return "bind \(String(message.channelNumber ?? 0, radix: 16))"
        default: return "other"
        }
    }
}
