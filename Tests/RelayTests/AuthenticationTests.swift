import Bytes
import IP
import STUN
import SansIO
import Testing

@testable import Relay

@Suite("Credentials, RFC 8489 section 9.2.4")
struct AuthenticationTests {
    @Test("a request without integrity is answered 401 with realm, nonce and algorithms")
    func challenged() throws {
        let stage = Stage()
        let visitor = Visitor(stage)
        let request = visitor.bare(.allocate) { $0.append(requestedTransport: 17) }
        let answer = try #require(Answer(visitor.send(request.bytes).first))
        #expect(answer.code == 401)
        #expect(answer.realm == "culvert")
        let features = SecurityFeatures(nonce: answer.nonce ?? [])
        #expect(features == .passwordAlgorithms, "9.2: the cookie, and what is offered")
        let message = try STUNMessage(answer.bytes.rawSpan)
        let algorithms = message.passwordAlgorithms
        #expect(algorithms == [.sha256, .md5])
        #expect(!answer.hasSHA1 && !answer.hasSHA256)
        #expect(stage.counters.challenges == 1)
    }

    @Test("SHA-256 passwords and integrities work, and are answered in kind")
    func sha256() {
        let visitor = Visitor(Stage())
        visitor.algorithm = .sha256
        let answer = visitor.allocate()
        #expect(answer?.isSuccess == true)
        #expect(answer?.hasSHA256 == true)
        #expect(answer?.hasSHA1 == false)
    }

    @Test("the answer's integrity is made with the client's key")
    func answerIsAuthentic() throws {
        let visitor = Visitor(Stage())
        let answer = try #require(visitor.allocate())
        let credentials = LongTermCredentials(
            username: visitor.username,
            password: visitor.password
        )
        let key = try #require(credentials.key(realm: visitor.realm, .md5))
        let message = try STUNMessage(answer.bytes.rawSpan)
        let isAuthentic = message.isAuthentic(.sha1, key: key.rawSpan)
        #expect(isAuthentic)
    }

    @Test("a list of algorithms that was changed on the way is refused with 400")
    func bidDown() throws {
        let stage = Stage()
        let visitor = Visitor(stage)
        visitor.challenge()
        var writer = visitor.bare(.allocate) { $0.append(requestedTransport: 17) }
        writer.append(.username, visitor.username)
        writer.append(.realm, visitor.realm)
        writer.append(.nonce, visitor.nonce)
        writer.append([PasswordAlgorithm.md5])
        writer.append(PasswordAlgorithm.md5)
        let credentials = LongTermCredentials(
            username: visitor.username,
            password: visitor.password
        )
        let key = try #require(credentials.key(realm: visitor.realm, .md5))
        writer.seal(.sha1, key: key.rawSpan)
        #expect(Answer(visitor.send(writer.bytes).first)?.code == 400)
    }

    @Test("integrity without name, realm or nonce is refused with 400")
    func incomplete() {
        let visitor = Visitor(Stage())
        visitor.challenge()
        let fields: [(inout STUNWriter) -> Void] = [
            { $0.append(.username, visitor.username) }, { $0.append(.realm, visitor.realm) },
            { $0.append(.nonce, visitor.nonce) },
        ]
        for missing in fields.indices {
            var writer = visitor.bare(.allocate) { $0.append(requestedTransport: 17) }
            for index in fields.indices where index != missing { fields[index](&writer) }
            writer.seal(.sha1, key: [1, 2, 3].rawSpan)
            #expect(Answer(visitor.send(writer.bytes).first)?.code == 400)
        }
    }

    @Test(
        "who knows none of the secrets, or comes too late, is answered 401",
        arguments: ["password", "secret", "expired", "now", "name", "realm"]
    )
    func refused(what: String) {
        let stage = Stage()
        let visitor =
            switch what {
            case "secret": Visitor(stage, secret: "wrong")
            case "expired": Visitor(stage, expiry: Stage.unixStart - 1)
            case "now": Visitor(stage, expiry: Stage.unixStart)
            default: Visitor(stage)
            }
        visitor.challenge()
        if what == "password" { visitor.password = "guessed" }
        if what == "name" { visitor.username = "ada" }
        if what == "realm" { visitor.realm = "elsewhere" }
        #expect(visitor.allocate()?.code == 401)
        #expect(stage.counters.credentialsRefused == 1)
        #expect(stage.allocationCount == 0)
    }

    @Test("time in a name is held against the wall clock as it goes on")
    func expiry() {
        let stage = Stage()
        let visitor = Visitor(stage, expiry: Stage.unixStart + 1_000)
        #expect(visitor.allocate()?.isSuccess == true)
        stage.pass(.milliseconds(999_999))
        stage.pass(.seconds(0))
        #expect(visitor.refresh()?.code == 437, "still a good name")
        stage.pass(.milliseconds(1))
        #expect(visitor.refresh()?.code == 401)
    }

    @Test("each of several secrets counts, and a renewed name goes on with the allocation")
    func rotation() {
        let stage = Stage { $0.secrets = ["new", Stage.secret] }
        let visitor = Visitor(stage)
        #expect(visitor.allocate()?.isSuccess == true)
        let renewed = Visitor(stage, secret: "new", expiry: Stage.unixStart + 99_999)
        #expect(renewed.refresh()?.isSuccess == true)
        stage.handle(.configure(Stage.configuration { $0.secrets = ["new"] }))
        #expect(visitor.refresh()?.code == 401)
        #expect(renewed.refresh()?.isSuccess == true)
    }

    @Test("RFC 8656 5: another name on the same 5-tuple is refused with 441")
    func wrongCredentials() {
        let stage = Stage()
        #expect(Visitor(stage).allocate()?.isSuccess == true)
        let other = Visitor(stage, name: "eve")
        let peer = endpoint("192.0.2.7:700")
        #expect(other.refresh(0)?.code == 441)
        #expect(other.permit(peer)?.code == 441)
        #expect(other.bind(0x4000, peer)?.code == 441)
        #expect(other.allocate()?.code == 437)
        #expect(stage.allocationCount == 1)
    }

    @Test("a nonce is good for an hour, then 438 brings the next one")
    func staleNonce() {
        let stage = Stage()
        let visitor = Visitor(stage)
        visitor.challenge()
        stage.pass(.seconds(3_599))
        #expect(visitor.refresh()?.code == 437)
        stage.pass(.seconds(1))
        let stale = visitor.refresh()
        #expect(stale?.code == 438)
        #expect(stale?.realm == "culvert")
        visitor.learn(stale)
        #expect(visitor.refresh()?.code == 437)
    }

    @Test("a nonce is one client's: address and port")
    func nonceIsBound() {
        let stage = Stage()
        let visitor = Visitor(stage)
        visitor.challenge()
        for place in ["203.0.113.9:5001", "203.0.113.10:5000"] {
            let other = Visitor(stage, at: place)
            (other.realm, other.nonce) = (visitor.realm, visitor.nonce)
            #expect(other.allocate()?.code == 438)
        }
        visitor.nonce[visitor.nonce.count - 1] ^= 1
        #expect(visitor.allocate()?.code == 438)
        #expect(stage.counters.staleNonces == 3)
    }

    @Test("before the portal gave secrets nobody is judged, and who asks hears nothing")
    func noSecrets() {
        let stage = Stage { $0.secrets = [] }
        let visitor = Visitor(stage)
        #expect(visitor.allocate() == nil)
        #expect(stage.counters.unanswerable > 0)
        stage.handle(.configure(Stage.configuration()))
        #expect(visitor.allocate()?.isSuccess == true)
    }

    @Test("USERHASH alone, which is not offered, names nobody: 401")
    func userHash() {
        let visitor = Visitor(Stage())
        visitor.challenge()
        var writer = visitor.bare(.allocate) { $0.append(requestedTransport: 17) }
        writer.append(.userHash, LongTermCredentials.userHash("x", realm: "culvert"))
        writer.append(.realm, visitor.realm)
        writer.append(.nonce, visitor.nonce)
        writer.seal(.sha1, key: [1, 2, 3].rawSpan)
        #expect(Answer(visitor.send(writer.bytes).first)?.code == 401)
    }
}
