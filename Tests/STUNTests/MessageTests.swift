internal import Bytes
internal import IP
internal import STUN
internal import Testing

@Suite struct MessageTests {
    private let id = TransactionID(high: 1, low: 2)

    private func error(_ message: [UInt8]) -> STUNError? {
        do throws(STUNError) {
            _ = try STUNMessage(message.rawSpan).method
            return nil
        } catch {
            return error
        }
    }

    @Test func `every method and class comes back from the 14 bits`() throws {
        for method in [0, 1, 3, 9, 0x0f, 0x10, 0x7f] {
            for messageClass in STUNClass.allCases {
                let writer = STUNWriter(messageClass, STUNMethod(rawValue: UInt16(method)), id)
                let message = try STUNMessage(writer.bytes.rawSpan)
                #expect(message.method.rawValue == UInt16(method))
                #expect(message.messageClass == messageClass)
                #expect(message.transaction == id)
            }
        }
        #expect(Array(STUNWriter(.request, .allocate, id).bytes.prefix(2)) == [0, 3])
        #expect(Array(STUNWriter(.failure, .channelBind, id).bytes.prefix(2)) == [1, 0x19])
        #expect(Array(STUNWriter(.indication, .send, id).bytes.prefix(2)) == [0, 0x16])
    }

    @Test func `what is no STUN is told by header, cookie and length`() {
        let good = STUNWriter(.request, .binding, id).bytes
        #expect(error(good) == nil)
        #expect(error([]) == .notSTUN)
        #expect(error(Array(good.prefix(19))) == .notSTUN)
        #expect(error([0x40] + good.dropFirst()) == .notSTUN)
        var wrong = good
        wrong[5] ^= 1
        #expect(error(wrong) == .notSTUN)
        #expect(error(good + [0, 0, 0, 0]) == .badLength(0))
        wrong = good
        wrong[3] = 4
        #expect(error(wrong) == .badLength(4))
        wrong[3] = 2
        #expect(error(wrong + [0, 0]) == .badLength(2))
    }

    @Test func `an attribute past the end is refused`() {
        var writer = STUNWriter(.request, .binding, id)
        writer.append(.software, "12345")
        var message = writer.bytes
        message[23] = 9
        #expect(error(message) == .truncatedAttribute(offset: 20))
        message[22] = 0xff
        message[23] = 0xff
        #expect(error(message) == .truncatedAttribute(offset: 20))
    }

    @Test(arguments: [
        (STUNAttributeType.xorPeerAddress, [0, 1, 0, 0]),
        (.xorPeerAddress, [0, 3, 0, 0, 0, 0, 0, 0]), (.xorPeerAddress, [0, 2, 0, 0, 0, 0, 0, 0]),
        (.lifetime, [0, 0, 1]), (.channelNumber, []), (.errorCode, [0, 0, 4]),
        (.errorCode, [0, 0, 2, 0]), (.errorCode, [0, 0, 4, 100]), (.evenPort, []),
        (.integrity, [1]), (.integritySHA256, [UInt8](repeating: 0, count: 12)),
        (.userHash, [1]), (.reservationToken, [1]), (.unknownAttributes, [0]),
        (.dontFragment, [0]), (.requestedTransport, []), (.passwordAlgorithm, [0, 1]),
        (.nonce, [UInt8](repeating: 0, count: 764)),
        (.username, [UInt8](repeating: 0, count: 509)),
    ])
    func `a known attribute with an impossible value is refused`(
        type: STUNAttributeType,
        value: [UInt8]
    ) {
        var writer = STUNWriter(.request, .binding, id)
        writer.append(type, value)
        #expect(error(writer.bytes) == .badAttribute(type))
    }

    @Test func `more attributes than are looked at are refused`() {
        var writer = STUNWriter(.request, .binding, id)
        for _ in 0..<STUNMessage.Limits.attributes { writer.append(.software, "") }
        #expect(error(writer.bytes) == nil)
        writer.append(.software, "")
        #expect(error(writer.bytes) == .tooManyAttributes)
    }

    @Test func `every value comes back`() throws {
        let peers = [endpoint("203.0.113.7:9"), endpoint("[2001:db8::7]:65535")]
        var writer = STUNWriter(.success, .allocate, id)
        for peer in peers { writer.append(.xorPeerAddress, peer) }
        writer.append(.xorRelayedAddress, peers[1])
        writer.append(.xorMappedAddress, peers[0])
        writer.append(.alternateServer, peers[1])
        writer.append(.lifetime, 600)
        writer.append(channel: 0x4001)
        writer.append(requestedTransport: 17)
        writer.append(.requestedAddressFamily, .ipv6)
        writer.append(.additionalAddressFamily, .ipv4)
        writer.append(.evenPort, [0x80])
        writer.append(.reservationToken, [0, 0, 0, 0, 0, 0, 1, 2])
        writer.append(STUNErrorCode.allocationQuotaReached)
        writer.append(.insufficientCapacity, for: RequestedFamily(.ipv6))
        writer.append(unknown: [.evenPort, .dontFragment])
        writer.append([PasswordAlgorithm.sha256, .md5])
        writer.append(.data, [1, 2, 3])
        let message = try STUNMessage(writer.bytes.rawSpan)
        #expect(message.peerAddress == peers[0])
        #expect(message.peerAddresses == peers)
        #expect(message.relayedAddresses == [peers[1]])
        #expect(message.mappedAddress == peers[0])
        #expect(message.alternateServer == peers[1])
        #expect(message.lifetime == 600)
        #expect(message.channelNumber == 0x4001)
        #expect(message.requestedTransport == 17)
        #expect(message.requestedFamily?.family == .ipv6)
        #expect(message.additionalFamily?.family == .ipv4)
        #expect(message.evenPortReserves == true)
        #expect(message.reservationToken == 0x102)
        #expect(message.errorCode == .allocationQuotaReached)
        #expect(message.reason == "Allocation Quota Reached")
        let errors = message.addressErrors
        #expect(errors.count == 1)
        #expect(errors.first?.family.family == .ipv6)
        #expect(errors.first?.code == .insufficientCapacity)
        #expect(message.array(.unknownAttributes) == [0, 0x18, 0, 0x1a])
        #expect(message.passwordAlgorithms == [.sha256, .md5])
        #expect(message.dataRange.map { Array(writer.bytes[$0]) } == [1, 2, 3])
        #expect(writer.bytes.count % 4 == 0)
    }

    @Test func `an additional family is read by the number of the draft too`() throws {
        var writer = STUNWriter(.request, .allocate, TransactionID(high: 1, low: 2))
        writer.append(.additionalAddressFamilyOfDraft, .ipv6)
        let family = try STUNMessage(writer.bytes.rawSpan).additionalFamily?.family
        #expect(family == .ipv6)
    }

    @Test func `what is not there is nil`() throws {
        let writer = STUNWriter(.success, .allocate, id)
        let message = try STUNMessage(writer.bytes.rawSpan)
        #expect(message.peerAddress == nil)
        #expect(message.mappedAddress == nil)
        #expect(message.errorCode == nil)
        #expect(message.lifetime == nil)
        #expect(message.dataRange == nil)
        #expect(message.passwordAlgorithms == nil)
        #expect(message.attribute() == nil)
        #expect(message.hasIntegrity == false)
    }

    @Test func `an IPv4 address in the form of an IPv6 one is no address`() throws {
        // ::ffff:127.0.0.1, hidden with the cookie and the transaction.
        var writer = STUNWriter(.request, .createPermission, TransactionID(high: 0, low: 0))
        writer.append(
            .xorPeerAddress,
            [0, 2, 0, 0] + bytes("2112a442 00000000 0000ffff 7f000001")
        )
        let message = try STUNMessage(writer.bytes.rawSpan)
        #expect(message.has(.xorPeerAddress) == true)
        #expect(message.peerAddress == nil)
        #expect(message.peerAddresses.isEmpty == true)
    }

    @Test func `of several only the first counts`() throws {
        var writer = STUNWriter(.request, .refresh, id)
        writer.append(.lifetime, 1)
        writer.append(.lifetime, 2)
        let message = try STUNMessage(writer.bytes.rawSpan)
        #expect(message.lifetime == 1)
    }

    @Test func `what stands behind an integrity does not count, RFC 8489 14_5`() throws {
        let key = Array("key".utf8)
        var writer = STUNWriter(.request, .refresh, id)
        writer.append(.realm, "r")
        writer.seal(.sha1, key: key.rawSpan)
        writer.append(.lifetime, 0)
        writer.seal(.sha256, key: key.rawSpan)
        writer.append(.username, "u")
        writer.appendFingerprint()
        let message = try STUNMessage(writer.bytes.rawSpan)
        #expect(message.isAuthentic(.sha1, key: key.rawSpan) == true)
        #expect(message.isAuthentic(.sha256, key: key.rawSpan) == true)
        #expect(message.lifetime == nil)
        #expect(message.text(.username) == nil)
        #expect(message.text(.realm) == "r")
    }

    @Test func `a changed byte anywhere spoils an integrity`() {
        let key = Array("key".utf8)
        for kind in STUNIntegrity.allCases {
            var writer = STUNWriter(.request, .refresh, id)
            writer.append(.lifetime, 600)
            writer.append(.realm, "realm")
            writer.seal(kind, key: key.rawSpan)
            for place in writer.bytes.indices {
                var changed = writer.bytes
                changed[place] ^= 0x10
                let isAuthentic =
                    (try? STUNMessage(changed.rawSpan).isAuthentic(kind, key: key.rawSpan)) ?? false
                #expect(!isAuthentic, "\(kind) at \(place)")
            }
        }
    }

    @Test func `a SHA-256 integrity may be cut to 16 bytes, not further`() throws {
        let key = Array("key".utf8)
        for count in [16, 20, 28, 32] {
            var whole = STUNWriter(.request, .refresh, id)
            whole.append(.lifetime, 600)
            var cut = whole
            // The length in the header covers the cut value, so the code is another one.
            let code = Self.code(over: cut.bytes, valueByteCount: count, key: key)
            cut.append(.integritySHA256, Array(code.prefix(count)))
            let message = try STUNMessage(cut.bytes.rawSpan)
            #expect(message.isAuthentic(.sha256, key: key.rawSpan) == true, "\(count)")
        }
    }

    private static func code(over bytes: [UInt8], valueByteCount: Int, key: [UInt8]) -> [UInt8] {
        var covered = bytes
        covered[3] = UInt8(bytes.count - 20 + 4 + valueByteCount)
        return sha256Code(covered, key: key)
    }

    @Test func `nothing may follow a fingerprint`() {
        var writer = STUNWriter(.request, .binding, id)
        writer.appendFingerprint()
        #expect(error(writer.bytes) == nil)
        writer.append(.software, "x")
        #expect(error(writer.bytes) == .misplacedFingerprint)
    }

    @Test func `a message stays one however long its values are`() throws {
        var writer = STUNWriter(.success, .binding, id)
        writer.append(.username, String(repeating: "ä", count: 400))
        for _ in 0..<3 { writer.append(.data, [UInt8](repeating: 7, count: 40_000)) }
        let message = try STUNMessage(writer.bytes.rawSpan)
        #expect(message.array(.username)?.count == 508)
        #expect(writer.bytes.count <= 65_555)
        #expect(message.bytes.byteCount == writer.bytes.count)
    }

    @Test func `error labels differ`() {
        let errors: [STUNError] = [
            .notSTUN, .badLength(1), .truncatedAttribute(offset: 1), .badAttribute(.data),
            .tooManyAttributes, .misplacedFingerprint, .badFingerprint, .notChannelData,
        ]
        #expect(Set(errors.map(\.label)).count == errors.count)
    }
}
