import Control
import Foundation
import Testing

@Suite("Messages")
struct MessageTests {
    @Test("a sample is read and written again without a change", arguments: Samples.all)
    func roundTrip(_ sample: Samples.Sample) throws {
        let message = try JSON.message(sample.text, in: sample.folder)
        #expect(try JSON.encode(message) == JSON.text(JSON.tree(sample.text)))
        #expect(sample.name.hasPrefix(message.type))
    }

    @Test("there is a sample of each type")
    func everyType() {
        func types(_ folder: String) -> Set<String> {
            Set(Samples.inFolder(folder).compactMap { try? JSON.message($0.text, in: folder).type })
        }
        #expect(
            types("from-role")
                == [
                    "hello", "relay-hello", "authorize", "release", "punch", "relay-times",
                    "relay-report", "candidates", "grant-answer", "report", "reach", "flows",
                    "resync",
                ]
        )
        #expect(
            types("to-client")
                == [
                    "welcome", "changes", "authorized", "denied", "lease-extended", "lease-ended",
                    "resource-changed", "gateway-candidates", "gateway-offline", "move", "relays",
                    "refusal",
                ]
        )
        #expect(
            types("to-gateway")
                == [
                    "welcome", "grant", "extend", "revoke", "resource", "client-candidates",
                    "punch", "relays", "refusal",
                ]
        )
        #expect(types("to-relay") == ["welcome", "refusal"])
    }

    @Test("unknown fields are ignored at every depth", arguments: Samples.all)
    func unknownFields(_ sample: Samples.Sample) throws {
        let extended = JSON.mapObjects(try JSON.tree(sample.text)) { object in
            object.merging(["future": ["x": [1, NSNull()]]]) { old, _ in old }
        }
        let message = try JSON.message(JSON.text(extended), in: sample.folder)
        #expect(try JSON.encode(message) == JSON.text(JSON.tree(sample.text)))
    }

    @Test(
        "an unknown type is kept by name",
        arguments: ["from-role", "to-client", "to-gateway", "to-relay"]
    )
    func unknownType(folder: String) throws {
        let message = try JSON.message(#"{"type":"later","x":[{}]}"#, in: folder)
        #expect(message.type == "later")
        #expect(try JSON.encode(message) == #"{"type":"later"}"#)
    }

    /// Fields that may be absent; every other one must be there.
    static let optional: [String: Set<String>] = [
        "welcome": ["withheld", "relays", "leases"],
        "hello": ["instance", "revision", "leases", "region"],
        "relay-hello": ["tlsFingerprint", "tlsName", "region"],
        "authorize": ["name", "withoutGateway", "standBy"],
        "grant-answer": ["code", "sentence"],
        "report": ["load"],
        "reach": ["sentence"],
        "flows": ["missing"],
        "denied": ["retryAfterSeconds"],
        "gateway-candidates": ["publicKey", "presharedKey"],
        "client-candidates": ["publicKey", "presharedKey"],
        "refusal": ["retryAfterSeconds"],
    ]

    @Test("a mandatory field is mandatory, and of its type", arguments: Samples.all)
    func mandatoryFields(_ sample: Samples.Sample) throws {
        let object = try #require(try JSON.tree(sample.text) as? [String: Any])
        let type = try #require(object["type"] as? String)
        for key in object.keys.sorted() {
            var without = object
            without[key] = nil
            let isOptional = Self.optional[type]?.contains(key) ?? false
            let message = try? JSON.message(JSON.text(without), in: sample.folder)
            #expect((message != nil) == isOptional, "\(key) left out")
            var other = object
            other[key] = ["not": "this"]
            if !(object[key] is [String: Any]) {
                #expect(throws: DecodingError.self, "\(key) of another type") {
                    try JSON.message(JSON.text(other), in: sample.folder)
                }
            }
        }
    }

    @Test("a relay lacks no mandatory field")
    func mandatoryFieldsOfRelays() throws {
        let object = try #require(
            try JSON.tree(Samples.named("to-client/relays")) as? [String: Any]
        )
        let relay = try #require((object["relays"] as? [[String: Any]])?.first)
        let optional: Set = ["tlsFingerprint", "tlsName", "region"]
        for key in relay.keys.sorted() {
            var without = relay
            without[key] = nil
            let message = try JSON.decode(
                ToClient.self,
                JSON.text(["type": "relays", "relays": [without]])
            )
            guard case .relays(let list) = message else {
                Issue.record("another message")
                return
            }
            #expect(list.relays.isEmpty == !optional.contains(key), "\(key) left out")
        }
    }

    @Test("sixteen relays of eight addresses are kept, malformed ones skipped")
    func relayBounds() throws {
        let addresses = (1...20).map { #""192.0.2.\#($0):3478""# }.joined(separator: ",")
        let relays = (1...30).map { number in
            #"{"id":"y-\#(number)","udp":["nowhere",\#(addresses)],"tcp":[],"tls":[],"#
                + #""username":"1:a","password":"p","lifetimeSeconds":60}"#
        }
        let text = #"{"type":"relays","relays":[{"id":7},\#(relays.joined(separator: ","))]}"#
        guard case .relays(let list) = try JSON.decode(ToGateway.self, text) else {
            Issue.record("another message")
            return
        }
        #expect(list.relays.count == 16)
        #expect(list.relays.allSatisfy { $0.udp.count == 8 })
    }

    @Test("passwords and secrets of relays are in no description", arguments: Samples.all)
    func secretsAreHidden(_ sample: Samples.Sample) throws {
        let message = try JSON.message(sample.text, in: sample.folder)
        var dumped = ""
        dump(message, to: &dumped)
        let shown = dumped + "\(message)" + String(reflecting: message)
        for secret in [
            "3q2+7w", "AAAAAAAAAAAAAAAAAAAAAAAAAAA=", "bmV3LXNlY3JldA", "b2xkLXNlY3JldA",
        ] {
            #expect(!shown.contains(secret), "\(secret) is shown")
        }
    }

    @Test("a list that is absent is not a list that is empty")
    func absentIsNotEmpty() throws {
        var object = try #require(
            try JSON.tree(Samples.named("from-role/hello-gateway")) as? [String: Any]
        )
        func leases() throws -> [LeaseID]?? {
            guard case .hello(let hello) = try JSON.decode(FromRole.self, JSON.text(object)) else {
                return nil
            }
            return hello.leases
        }
        object["leases"] = [String]()
        #expect(try leases() == .some([]))
        object["leases"] = nil
        #expect(try leases() == .some(nil))
        object["leases"] = NSNull()
        #expect(try leases() == .some(nil))
    }
}
