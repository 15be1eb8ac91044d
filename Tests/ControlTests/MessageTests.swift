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
                == ["hello", "authorize", "candidates", "grant-answer", "report", "resync"]
        )
        #expect(
            types("to-client")
                == [
                    "welcome", "changes", "authorized", "denied", "lease-extended", "lease-ended",
                    "resource-changed", "gateway-candidates", "gateway-offline", "refusal",
                ]
        )
        #expect(
            types("to-gateway")
                == [
                    "welcome", "grant", "extend", "revoke", "resource", "client-candidates",
                    "refusal",
                ]
        )
    }

    @Test("unknown fields are ignored at every depth", arguments: Samples.all)
    func unknownFields(_ sample: Samples.Sample) throws {
        let extended = JSON.mapObjects(try JSON.tree(sample.text)) { object in
            object.merging(["future": ["x": [1, NSNull()]]]) { old, _ in old }
        }
        let message = try JSON.message(JSON.text(extended), in: sample.folder)
        #expect(try JSON.encode(message) == JSON.text(JSON.tree(sample.text)))
    }

    @Test("an unknown type is kept by name", arguments: ["from-role", "to-client", "to-gateway"])
    func unknownType(folder: String) throws {
        let message = try JSON.message(#"{"type":"later","x":[{}]}"#, in: folder)
        #expect(message.type == "later")
        #expect(try JSON.encode(message) == #"{"type":"later"}"#)
    }

    /// Fields that may be absent; every other one must be there.
    static let optional: [String: Set<String>] = [
        "welcome": ["withheld"],
        "hello": ["instance", "revision", "leases"],
        "authorize": ["name", "withoutGateway"],
        "grant-answer": ["code", "sentence"],
        "report": ["load"],
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
