internal import Bytes
internal import IP
internal import SansIO
internal import STUN

/// Any bytes as what STUN meets: the first byte chooses between one message and a client of a relay
/// whose answers, peers and network the rest plays.
enum STUNEntry {
    static func run(_ input: [UInt8]) {
        guard let choice = input.first else { return }
        let rest = Array(input.dropFirst())
        if choice & 1 == 0 { readMessage(rest) } else { TURNPlay.run(rest) }
    }

    /// What can be read means the same when it was written again.
    private static func readMessage(_ bytes: [UInt8]) {
        readChannelData(bytes)
        guard let message = try? STUNMessage(bytes.rawSpan) else { return }
        var writer = STUNWriter(message.messageClass, message.method, message.transaction)
        var attributes: [STUNAttributeType] = []
        var found = message.attribute()
        while let attribute = found {
            writer.append(attribute.type, message.value(of: attribute))
            attributes.append(attribute.type)
            found = message.attribute(after: attribute)
        }
        let unknown = message.unknownAttributes(besides: [])
        precondition(unknown.allSatisfy { attributes.contains($0) && $0.mustBeUnderstood })
        let written = writer.bytes
        guard let again = try? STUNMessage(written.rawSpan) else {
            preconditionFailure("what was written cannot be read")
        }
        precondition(again.transaction == message.transaction && again.method == message.method)
        precondition(again.peerAddresses == message.peerAddresses, "other peers")
        precondition(again.relayedAddresses == message.relayedAddresses)
        precondition(again.mappedAddress == message.mappedAddress)
        precondition(again.alternateServer == message.alternateServer)
        precondition(again.errorCode == message.errorCode && again.reason == message.reason)
        precondition(again.passwordAlgorithms == message.passwordAlgorithms)
        precondition(again.lifetime == message.lifetime && again.dataRange == message.dataRange)
        precondition(again.addressErrors.count == message.addressErrors.count)
        precondition(!again.hasIntegrity)
        _ = message.array(.nonce).flatMap { SecurityFeatures(nonce: $0) }
        _ = message.text(.username).flatMap { TimeLimitedName($0) }
        let key = Array("key".utf8)
        for integrity in STUNIntegrity.allCases {
            _ = message.isAuthentic(integrity, key: key.rawSpan)
            writer.seal(integrity, key: key.rawSpan)
        }
        writer.appendFingerprint()
        let sealed = writer.bytes
        guard sealed.count < 60_000 else { return }
        guard let last = try? STUNMessage(sealed.rawSpan) else { return }
        precondition(last.isAuthentic(.sha256, key: key.rawSpan), "not its own signature")
    }

    private static func readChannelData(_ bytes: [UInt8]) {
        guard let data = try? ChannelData(bytes.rawSpan) else { return }
        precondition(
            data.range.upperBound <= bytes.count && bytes.count - data.range.upperBound < 4
        )
        precondition(data.data.byteCount == data.range.count)
    }
}

enum STUNSeeds {
    static var all: Seeds {
        var seeds: Seeds = []
        let id = TransactionID(high: 1, low: 2)
        var request = STUNWriter(.request, .allocate, id)
        request.append(requestedTransport: 17)
        request.append(.additionalAddressFamily, .ipv6)
        request.append(.username, "1:me")
        request.append(.realm, "r")
        request.append(.nonce, SecurityFeatures.passwordAlgorithms.noncePrefix + "n")
        request.append([PasswordAlgorithm.sha256, .md5])
        request.append(PasswordAlgorithm.sha256)
        request.seal(.sha256, key: Array("key".utf8).rawSpan)
        seeds.append(("request", [0] + request.bytes))
        var answer = STUNWriter(.success, .allocate, id)
        for address in TURNPlay.relayed { answer.append(.xorRelayedAddress, address) }
        answer.append(.xorMappedAddress, TURNPlay.mapped)
        answer.append(.lifetime, 600)
        answer.append(.insufficientCapacity, for: RequestedFamily(.ipv6))
        answer.appendFingerprint()
        seeds.append(("answer", [0] + answer.bytes))
        var error = STUNWriter(.failure, .allocate, id)
        error.append(STUNErrorCode.tryAlternate)
        error.append(.alternateServer, TURNPlay.servers[1])
        error.append(unknown: [.evenPort])
        seeds.append(("error", [0] + error.bytes))
        seeds.append(("channel-data", [0, 0x40, 0, 0, 2, 7, 7, 0, 0]))
        seeds += TURNPlay.seeds
        return seeds
    }
}
