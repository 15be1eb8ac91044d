import Bytes
import Control
import Foundation
import IP
import RelayUse
import SansIO
import Testing

@testable import Client

/// What `culvert netcheck` makes of what relays saw.
@Suite struct NetworkCheckTests {
    private static func endpoint(_ text: String) throws -> Endpoint { try #require(Endpoint(text)) }

    private static func relay(
        _ id: RelayID,
        at server: String,
        sees mapped: [String],
        byStream isStream: Bool = false
    ) throws -> Client.RelayState {
        Client.RelayState(
            id: id,
            region: nil,
            server: server,
            isUsable: true,
            isStream: isStream,
            roundTripMicroseconds: 20_000,
            mapped: try mapped.map { try endpoint($0) },
            relayed: []
        )
    }

    private static func check(
        _ relays: [Client.RelayState],
        hosts: [String] = ["192.168.1.5:5000"]
    ) throws -> NetworkCheck {
        let world = ClientWorld()
        var status = world.client.status(at: Instant(nanoseconds: 0))
        status.relays = relays
        status.candidates = try hosts.map {
            Control.Candidate(kind: .host, endpoint: try endpoint($0))
        }
        return NetworkCheck(status)
    }

    @Test("one outer port towards two relays is an endpoint-independent mapping")
    func endpointIndependent() throws {
        let check = try Self.check([
            Self.relay("a", at: "198.51.100.1:3478", sees: ["203.0.113.9:6000"]),
            Self.relay("b", at: "198.51.100.2:3478", sees: ["203.0.113.9:6000"]),
        ])
        #expect(check.udp == .works && check.ipv4 == .works && check.ipv6 == .blocked)
        #expect(check.mappingIPv4 == .endpointIndependent)
        #expect(check.mapped.map(\.description) == ["203.0.113.9:6000"])
        #expect(check.sentences.contains("UDP gets through."))
        #expect(check.sentences.contains("There is no IPv6 here."))
    }

    @Test("another port for each relay is a symmetric mapping; two ports of one relay tell which")
    func dependent() throws {
        let apart = try [
            Self.relay("a", at: "198.51.100.1:3478", sees: ["203.0.113.9:6000"]),
            Self.relay("b", at: "198.51.100.2:3478", sees: ["203.0.113.9:6001"]),
        ]
        #expect(try Self.check(apart).mappingIPv4 == .dependent)
        let beside = try Self.relay("c", at: "198.51.100.1:3479", sees: ["203.0.113.9:6000"])
        #expect(try Self.check(apart + [beside]).mappingIPv4 == .addressDependent)
        let other = try Self.relay("c", at: "198.51.100.1:3479", sees: ["203.0.113.9:6002"])
        let check = try Self.check(apart + [other])
        #expect(check.mappingIPv4 == .addressAndPortDependent)
        #expect(check.sentences.contains { $0.contains("symmetric") })
    }

    @Test("seen as what we are, there is no NAT; one relay alone tells nothing of a mapping")
    func openOrUnknown() throws {
        let open = try Self.check(
            [Self.relay("a", at: "[2001:db8::1]:3478", sees: ["[2001:db8::9]:5000"])],
            hosts: ["[2001:db8::9]:5000"]
        )
        #expect(open.mappingIPv6 == .none && open.ipv6 == .works && open.ipv4 == .blocked)
        #expect(open.sentences.contains("There is no NAT for IPv6."))
        let alone = try Self.check([
            Self.relay("a", at: "198.51.100.1:3478", sees: ["203.0.113.9:6000"])
        ])
        #expect(alone.mappingIPv4 == .unknown)
    }

    @Test("relays by stream only: UDP is blocked; none at all: said so")
    func blocked() throws {
        let check = try Self.check([
            Self.relay("a", at: "127.0.0.1:9", sees: ["203.0.113.9:6000"], byStream: true)
        ])
        #expect(check.udp == .blocked && check.ipv4 == .blocked && check.mapped.isEmpty)
        #expect(check.sentences.contains { $0.hasPrefix("UDP is blocked") })
        let none = try Self.check([])
        #expect(none.udp == .unknown)
        #expect(none.sentences.contains { $0.hasPrefix("The portal deals no relays") })
    }

    @Test("whom the NAT lets in is said, and which relay is silent while another answers")
    func filtering() throws {
        let world = ClientWorld()
        var status = world.client.status(at: Instant(nanoseconds: 0))
        var silent = try Self.relay("b", at: "198.51.100.2:3478", sees: [])
        silent.isUsable = false
        status.relays = [
            try Self.relay("a", at: "198.51.100.1:3478", sees: ["203.0.113.9:6000"]), silent,
        ]
        var filterings = Filterings()
        filterings.ipv4 = .addressDependent
        let check = NetworkCheck(status, filterings)
        #expect(check.sentences.contains("The IPv4 NAT lets in only addresses that were sent to."))
        #expect(
            check.sentences.contains {
                $0.hasPrefix("The relay b at 198.51.100.2:3478 does not answer")
            }
        )
        #expect(!check.sentences.contains { $0.hasPrefix("The relay a") })
    }

    @Test("what `--json` prints is read back the same, with words and not numbers")
    func json() throws {
        let check = try Self.check([
            Self.relay("a", at: "198.51.100.1:3478", sees: ["203.0.113.9:6000"]),
            Self.relay("b", at: "198.51.100.2:3478", sees: ["203.0.113.9:6000"]),
        ])
        let data = try JSONEncoder().encode(check)
        #expect(try JSONDecoder().decode(NetworkCheck.self, from: data) == check)
        let text = String(decoding: data, as: UTF8.self)
        #expect(text.contains(#""mappingIPv4":"endpoint-independent""#))
        #expect(text.contains(#""udp":"works""#))
    }
}
