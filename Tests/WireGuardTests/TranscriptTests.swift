internal import Bytes
internal import Ciphers
internal import SansIO
internal import Testing

@testable internal import WireGuard

/// Whole handshakes with fixed keys, made independently with Python's noiseprotocol and hashlib.
@Suite struct TranscriptTests {
    struct Transcript: Sendable, CustomTestStringConvertible {
        let name: String
        let presharedKey: [UInt8]?
        let response: String
        let data: String
        let keepaliveBack: String
        var testDescription: String { name }
    }

    private static let initiation = """
        010000004433221164b101b1d0be5a8704bd078f9895001fc03e8e9f9522f188dd128d9846d48466\
        158a0e4ca242d151ca97ab90159a98b67e616625e68b4065d357376b6598e644ad7d678c0295d22d\
        e4cb43d5135581ed36346bfa7cf42a122f39f893ba23f04174e3dee6bb127d45942994cdbf917d93\
        196cd1445be793989e4d71a700000000000000000000000000000000
        """
    private static let responseStart =
        "020000008877665544332211244fe3b963e899dd295baffce248d3530f3a9a7479ba063002680ebfe7adad49"
    private static let transcripts = [
        Transcript(
            name: "with a preshared key",
            presharedKey: counting(32, from: 129),
            response: responseStart
                + "299a86b3660ba339bab97db54d53c4757fbf2363ea840eb47acddb34f29f3af0",
            data: "9f8f7abbabad8d3fc59afdb71376d950489172ad787038c769a902c057ea11f5c7f3537983565"
                + "ec8751ab8e6d732f5c9",
            keepaliveBack: "10dc9041d68a187ff419d33cab66fc50"
        ),
        Transcript(
            name: "without",
            presharedKey: nil,
            response: responseStart
                + "29182daf528cf79ec6c612b659c239926748fb0e39ee923e101e8b1689bde840",
            data: "21a4b1866338434812ff455f18aa137bc3bb7116567b87e2f273bfd19be4dd28df38765f03307"
                + "2bc7b83b6fd76c0aeaf",
            keepaliveBack: "7b5c3ffb187cb98fb4dea6479799a379"
        ),
    ]

    @Test func `the initial hash is the paper's`() {
        // The hash before the responder's key goes in.
        let start = BLAKE2s.hash([UInt8]("Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s".utf8).rawSpan)
        let initial = BLAKE2s.hash(
            bytes("2211b361081ac566691243db458ad5322d9c6c662293e8b70ee19c65ba079ef3").rawSpan,
            counting(32).rawSpan
        )
        let state = NoiseState(responder: key(counting(32)))
        let hash = state.hash
        let expected = "60e26daef327efc02ec335e2a025d2d016eb4206f87277f52d38d1988b78cd36"
        #expect(start.rawSpan.array == bytes(expected))
        #expect(hash.rawSpan.array == initial.rawSpan.array)
    }

    @Test(arguments: transcripts)
    func `a handshake has exactly these bytes`(transcript: Transcript) throws {
        let preshared = transcript.presharedKey.map { key($0) }
        var pair = try Pair(presharedKey: preshared)
        // 250,000,000 ns of the wall clock, rounded down to 2^24.
        let initiation = try initiate(&pair.client)
        #expect(initiation == bytes(Self.initiation))

        let response = try respond(&pair.gateway, to: initiation)
        #expect(response == bytes(transcript.response) + [UInt8](repeating: 0, count: 16))

        try pair.client.finish(with: response, at: at(0))
        let packet = [0x45] + [UInt8](repeating: 0, count: 19)
        let data = pair.client.seal(packet, at: at(0))
        #expect(data == bytes("04000000887766550000000000000000" + transcript.data))

        let opened = try pair.gateway.open(data ?? [], at: at(0)).plain
        #expect(opened == packet + [UInt8](repeating: 0, count: 12))

        let back = pair.gateway.seal([], at: at(0))
        #expect(back == bytes("04000000443322110000000000000000" + transcript.keepaliveBack))
        let empty = try pair.client.open(back ?? [], at: at(0)).plain
        #expect(empty.isEmpty)
    }

    @Test func `a cookie and its code have exactly these bytes`() throws {
        var pair = try Pair()
        var initiation = try initiate(&pair.client)
        let reply = bytes(
            """
            0300000044332211000102030405060708090a0b0c0d0e0f1011121314151617\
            0cdc4b6d34d25b4f8894acd1b642287816a2be876d73a127f223a6f3375581a9
            """
        )
        let cookie = try pair.client.tunnel.cookie(from: reply.rawSpan, at: at(1))
        let isDone = cookie.authenticate(&initiation, at: at(1))
        #expect(isDone)
        #expect(Array(initiation.suffix(16)) == bytes("f208a3b5784c951f2c7d751e6c7f9a11"))
        #expect(initiation.dropLast(16) == bytes(Self.initiation).dropLast(16))
    }

    private func initiate(_ end: inout End) throws -> [UInt8] {
        var random = GivenBytes(counting(32, from: 65))
        return try end.tunnel.initiate(
            as: end.identity,
            index: 0x1122_3344,
            wallStart: wallStart,
            random: &random,
            at: at(0)
        )
    }

    private func respond(_ end: inout End, to initiation: [UInt8]) throws -> [UInt8] {
        var random = GivenBytes(counting(32, from: 97))
        let incoming = try IncomingInitiation(initiation.rawSpan, as: end.identity)
        return try end.tunnel.respond(
            to: incoming,
            index: 0x5566_7788,
            random: &random,
            at: at(0)
        )
    }
}
