internal import Bytes
internal import IP
internal import STUN
internal import Testing

@Suite struct DataTests {
    @Test func `channel data are a number, a length and the data`() throws {
        var block = Block(byteCount: 64)
        var room = block.mutableBytes(0..<64)
        ChannelData.writeHeader(0x4005, byteCount: 3, into: &room, at: 8)
        room.store(UInt8(9), at: 12)
        let written = block.bytes(8..<15)
        let data = try ChannelData(written)
        #expect(data.number == 0x4005)
        #expect(data.range == 4..<7)
        #expect(data.data.byte(at: 0) == 9)
        #expect(written.array == [0x40, 5, 0, 3, 9, 0, 0])
    }

    @Test func `channel data may be padded to 4 bytes, no more, and never be cut`() {
        func isChannelData(_ datagram: [UInt8]) -> Bool {
            (try? ChannelData(datagram.rawSpan).number) != nil
        }
        #expect(isChannelData([0x40, 0, 0, 0]))
        #expect(isChannelData([0x40, 0, 0, 1, 7]))
        #expect(isChannelData([0x4f, 0xff, 0, 1, 7, 0, 0, 0]))
        #expect(!isChannelData([0x40, 0, 0, 1, 7, 0, 0, 0, 0]))
        #expect(!isChannelData([0x40, 0, 0, 2, 7]))
        #expect(!isChannelData([0x40, 0, 0]))
        #expect(!isChannelData([0x3f, 0, 0, 0]))
        #expect(!isChannelData([0x80, 0, 0, 0]))
    }

    @Test func `channel data have the numbers of RFC 5766 too, 0x4000 to 0x7fff`() throws {
        for number in [UInt16(0x4000), 0x4fff, 0x5000, 0x7fff] {
            let bytes = [UInt8(number >> 8), UInt8(number & 0xff), 0, 1, 9]
            let read = try ChannelData(bytes.rawSpan).number
            #expect(read == number)
            #expect(ChannelData.numbers.contains(number))
        }
    }

    @Test(arguments: ["192.0.2.9:4500", "[2001:db8::9]:4500"])
    func `an indication is written around data in place`(peer: String) throws {
        let peer = endpoint(peer)
        for byteCount in 0...9 {
            let whole = DataIndication.byteCount(peer, data: byteCount)
            let start = DataIndication.headerByteCount(peer)
            var datagram = [UInt8](repeating: 0xee, count: whole)
            for index in 0..<byteCount { datagram[start + index] = UInt8(index) }
            var block = Block(byteCount: whole)
            var room = block.mutableBytes(0..<whole)
            room.write(datagram.rawSpan, at: 0)
            DataIndication.write(
                .send,
                TransactionID(high: 7, low: 8),
                peer: peer,
                dataByteCount: byteCount,
                into: &room
            )
            var writer = STUNWriter(.indication, .send, TransactionID(high: 7, low: 8))
            writer.append(.xorPeerAddress, peer)
            writer.append(.data, (0..<byteCount).map { UInt8($0) })
            #expect(block.bytes(0..<whole).array == writer.bytes)
        }
    }
}
