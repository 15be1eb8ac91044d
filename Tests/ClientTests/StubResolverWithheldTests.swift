import Bytes
import Client
import Control
import DNS
import IP
import SansIO
import Testing

@Suite("Names that are protected, but not for us")
struct StubResolverWithheldTests {
    private func withhold(_ names: [(String, isSuffix: Bool)]) throws -> WithheldNames {
        let salt = try #require(KeyText(bytes: Array(repeating: 3, count: 32)))
        let fingerprints = names.map {
            WithheldNames.fingerprint(of: $0.0, isSuffix: $0.isSuffix, salt: salt)
        }
        return WithheldNames(salt: salt, fingerprints: fingerprints.sorted())
    }

    @Test("get one address of one family, so that every program fails at once")
    func oneAddress() throws {
        let stub = try makeStub()
        _ = stub.setWithheld(try withhold([("git.example", isSuffix: false)]))
        #expect(try stub.ask("Git.Example", .a)?.addressTexts.count == 1)
        #expect(try stub.ask("git.example", .aaaa)?.addressTexts == [])
        #expect(stub.resources(of: 0).allSatisfy { WithheldNames.fingerprint(in: $0) != nil })
        #expect(try stub.ask("wiki.example", .a) == nil)
        #expect(try stub.ask("a.git.example", .a) == nil)
    }

    @Test("their other types are refused at once, and no one is asked")
    func otherTypes() throws {
        let stub = try makeStub()
        _ = stub.setWithheld(try withhold([("git.example", isSuffix: false)]))
        let refused = try #require(try stub.ask("git.example", .txt, edns: EDNS()))
        #expect(refused.responseCode == .serverFailure)
        #expect(refused.edns?.extendedErrors.map(\.code) == [18])
    }

    @Test("a withheld `*.` pattern takes everything below it and the name itself")
    func below() throws {
        let stub = try makeStub()
        _ = stub.setWithheld(try withhold([("corp.example", isSuffix: true)]))
        for name in ["corp.example", "a.corp.example", "b.a.corp.example"] {
            #expect(try stub.ask(name, .a)?.addressTexts.count == 1)
        }
        #expect(try stub.ask("example", .a) == nil)
    }

    @Test("a name that becomes ours keeps its address and gets the other three")
    func granted() throws {
        let stub = try makeStub()
        _ = stub.setWithheld(try withhold([("git.example", isSuffix: false)]))
        let before = try #require(try stub.ask("git.example", .a)?.addressTexts.first)
        _ = stub.setResource(ProtectedName(id: "r", pattern: try NamePattern("git.example")))
        let after = try #require(try stub.ask("git.example", .a)?.addressTexts)
        #expect(after.count == 4)
        #expect(after.contains(before))
        #expect(stub.resources(of: 0) == ["r"])
    }
}
