import Control
import Foundation
import IP
import Testing

@Suite("Lists in messages")
struct MessageListTests {
    private func welcome(_ change: (inout [Any]) -> Void) throws -> ToClient.Welcome {
        var object = try #require(
            try JSON.tree(Samples.named("to-client/welcome")) as? [String: Any]
        )
        var resources = try #require(object["resources"] as? [Any])
        change(&resources)
        object["resources"] = resources
        guard case .welcome(let welcome) = try JSON.decode(ToClient.self, JSON.text(object)) else {
            throw CocoaError(.coderInvalidValue)
        }
        return welcome
    }

    @Test(
        "one malformed resource does not lose the others",
        arguments: [
            #"{"id":"x","name":"n","kind":"device-pool","address":"a","#
                + #""filters":[],"site":{"id":"s","name":"s"}}"#,
            #"{"id":"x","name":"n","kind":"prefix","address":"10.0.0.0/99","#
                + #""filters":[],"site":{"id":"s","name":"s"}}"#,
            #"{"id":"","name":"n","kind":"name","address":"a","#
                + #""filters":[],"site":{"id":"s","name":"s"}}"#,
            #"{"id":"x"}"#, "null", "7", "[]", "\"x\"",
        ]
    )
    func malformedResource(text: String) throws {
        for place in 0...4 {
            let malformed = try JSON.tree(text)
            let welcome = try welcome { $0.insert(malformed, at: place) }
            #expect(welcome.resources.map(\.id.text) == ["r-1", "r-2", "r-3", "r-4"])
        }
    }

    @Test("an unknown filter is skipped, but never until nothing is left")
    func filters() throws {
        func filters(_ texts: [Any]) throws -> [Filter]? {
            try welcome { resources in
                guard var first = resources[0] as? [String: Any] else { return }
                first["filters"] = texts
                resources = [first]
            }.resources.first?.filters
        }
        #expect(try filters(["sctp/9", "tcp/443", 7]) == [Filter(.tcp, ports: 443...443)])
        #expect(try filters([]) == [])
        #expect(try filters(["sctp/9"]) == nil)
        #expect(try filters(["tcp/70000", NSNull()]) == nil)
    }

    @Test("a resource without filters is not one that permits everything")
    func absentFilters() throws {
        let welcome = try welcome { resources in
            guard var first = resources[0] as? [String: Any] else { return }
            first["filters"] = nil
            resources[0] = first
        }
        #expect(welcome.resources.map(\.id.text) == ["r-2", "r-3", "r-4"])
    }

    @Test("a changed resource that cannot be read any more is gone")
    func unreadableChange() throws {
        let text = """
            {"type":"changes","revision":2,"changes":[
            {"type":"resource","resource":{"id":"r-9","kind":"device-pool"}},
            {"type":"resource","resource":{"name":"without id"}},
            {"type":"weather"}, 3,
            {"type":"resource-removed","id":"r-1"}]}
            """
        let expected = ToClient.Changes(
            revision: 2,
            changes: [.resourceRemoved("r-9"), .resourceRemoved("r-1")]
        )
        #expect(try JSON.decode(ToClient.self, text) == .changes(expected))
    }

    @Test("twelve candidates are kept, unknown kinds skipped")
    func candidates() throws {
        let list = (1...20).map { #"{"kind":"host","endpoint":"192.0.2.\#($0):51830"}"# }
        let text =
            #"{"type":"candidates","candidates":[{"kind":"pigeon","endpoint":"x"},"#
            + list.joined(separator: ",") + "]}"
        guard case .candidates(let changed) = try JSON.decode(FromRole.self, text) else {
            Issue.record("another message")
            return
        }
        #expect(changed.candidates.count == 12)
        #expect(changed.candidates.last?.endpoint.description == "192.0.2.12:51830")
    }

    @Test("a malformed identifier or address spoils its list")
    func strictLists() throws {
        func revoke(_ leases: String) throws -> ToGateway {
            let text = #"{"type":"revoke","leases":\#(leases),"code":"revoked","sentence":"x"}"#
            return try JSON.decode(ToGateway.self, text)
        }
        #expect(throws: Never.self) { try revoke(#"["l-1"]"#) }
        #expect(throws: DecodingError.self) { try revoke(#"["l-1",7]"#) }
        #expect(throws: DecodingError.self) { try revoke(#"["l-1",""]"#) }
        let long = String(repeating: "x", count: ChannelLimits.identifierByteCount + 1)
        #expect(throws: DecodingError.self) { try revoke("[\"\(long)\"]") }
    }

    @Test("a list that is too long is refused")
    func tooLong() {
        let addresses = Array(repeating: "\"192.0.2.1\"", count: ChannelLimits.addresses + 1)
        let text =
            #"{"type":"authorize","id":"q","resource":"r","connected":[],"candidates":[],"#
            + #""proxies":[\#(addresses.joined(separator: ","))]}"#
        #expect(throws: DecodingError.self) { try JSON.decode(FromRole.self, text) }
    }

    @Test("as many names may be withheld as a frame holds")
    func manyWithheld() throws {
        let fingerprints = (0..<60_000).map { "\"fingerprint-\($0)\"" }.joined(separator: ",")
        let salt = Array(repeating: "A", count: 42).joined() + "A="
        let names = try JSON.decode(
            WithheldNames.self,
            "{\"salt\":\"\(salt)\",\"fingerprints\":[\(fingerprints)]}"
        )
        #expect(names.fingerprints.count == 60_000)
    }
}
