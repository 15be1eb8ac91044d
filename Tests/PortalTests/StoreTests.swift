internal import Control
internal import Foundation
internal import GRDB
internal import Policy
@testable internal import Portal
internal import Testing

/// What outlives the process, and what is said when it cannot.
@Suite struct StoreTests {
    private func freshStore() throws -> Store {
        let folder = try StateFolder(path: PortalUnderTest.freshFolder())
        return try Store(path: folder.path(of: "portal.sqlite"))
    }

    private func entry(_ revision: UInt64) -> LoggedChange {
        LoggedChange(
            revision: revision,
            at: .now,
            who: "test",
            why: "",
            changes: [.account(name: "revision \(revision)")]
        )
    }

    @Test func `configuration, tokens and leases are there again after a restart`() async throws {
        let folder = PortalUnderTest.freshFolder()
        var (token, lease): (MadeToken?, LeaseID?) = (nil, nil)
        try await PortalUnderTest.run(folder: folder) { portal in
            try await portal.apply(PortalUnderTest.example)
            let gateways = try await portal.token("gateway", "headquarters")
            _ = try await portal.gateway(token: gateways).gateway(\.welcome)
            let client = try await portal.client()
            try await client.authorize(try await portal.resource("Git"), id: "r1")
            (token, lease) = (gateways, try await client.client(\.authorized).lease.id)
        }
        try await PortalUnderTest.run(folder: folder) { portal in
            let plan: ApplyOutcome = try await portal.apply(PortalUnderTest.example).decoded()
            #expect(plan.plan.isEmpty)
            let gateway = try await portal.gateway(token: token)
            let welcome = try await gateway.gateway(\.welcome)
            #expect(welcome.grants.map(\.lease.id) == [try #require(lease)])
        }
    }

    @Test func `a snapshot and the changes after it load to the same`() async throws {
        let store = try freshStore()
        for revision in 1...5 as ClosedRange<UInt64> {
            try await store.append(entry(revision), summary: "")
        }
        let all = try await store.loadChanges()
        #expect(all.revision == 5 && all.changes.count == 5)
        try await store.saveSnapshot([.account(name: "five")], revision: 5)
        try await store.saveSnapshot([.account(name: "older")], revision: 4)
        try await store.append(entry(6), summary: "")
        let loaded = try await store.loadChanges()
        #expect(loaded.changes == [.account(name: "five"), .account(name: "revision 6")])
        #expect(loaded.revision == 6)
        #expect(loaded.snapshot == 5)
    }

    @Test func `a full disk is said in words, and nothing is half applied`() async throws {
        let store = try freshStore()
        try await store.append(entry(1), summary: "")
        try await store.write { try $0.execute(sql: "PRAGMA max_page_count = 1") }
        let large = LoggedChange(
            revision: 2,
            at: .now,
            who: "test",
            why: String(repeating: "x", count: 1 << 20),
            changes: []
        )
        let error = await #expect(throws: StoreError.self) {
            try await store.append(large, summary: "") { database in
                try database.execute(sql: "INSERT INTO setting VALUES ('half', 'applied')")
            }
        }
        #expect(error == .diskFull(path: store.path))
        #expect(error?.sentence.contains("no space") == true)
        #expect(try await store.loadChanges().revision == 1)
        let half = try await store.read {
            try Int.fetchOne($0, sql: "SELECT COUNT(*) FROM setting WHERE name = 'half'")
        }
        #expect(half == 0)
    }

    @Test func `a second portal on the same folder is told so`() async throws {
        try await PortalUnderTest.run { portal in
            let error = await #expect(throws: PortalStartError.self) {
                try await PortalUnderTest.run(folder: portal.folder) { _ in }
            }
            #expect(error?.sentence.contains("second portal") == true)
        }
    }

    @Test func `a damaged database is said to be damaged`() async throws {
        let folder = PortalUnderTest.freshFolder()
        let files = try StateFolder(path: folder)
        try files.write("portal.sqlite", String(repeating: "not a database ", count: 1_000))
        let error = await #expect(throws: PortalStartError.self) {
            try await PortalUnderTest.run(folder: folder) { _ in }
        }
        #expect(error == .store(.corrupt(path: files.path(of: "portal.sqlite"))))
    }

    @Test func `what stands in the way of a start is said in a sentence`() async throws {
        try await PortalUnderTest.run { portal in
            let taken = await #expect(throws: PortalStartError.self) {
                try await PortalUnderTest.run {
                    $0.listen = ["127.0.0.1:\(portal.port)"]
                } _: { _ in
                }
            }
            #expect(taken?.sentence.contains("--listen") == true)
        }
        let half = await #expect(throws: PortalStartError.self) {
            try await PortalUnderTest.run {
                $0.certificate = "/nowhere.pem"
            } _: { _ in
            }
        }
        #expect(half == .onlyOneOfCertificateAndKey)
        let missing = await #expect(throws: PortalStartError.self) {
            try await PortalUnderTest.run {
                ($0.certificate, $0.key) = ("/nowhere.pem", "/nowhere.key")
            } _: { _ in
            }
        }
        #expect(missing?.sentence.contains("/nowhere.pem") == true)
        let database = await #expect(throws: PortalStartError.self) {
            try await PortalUnderTest.run {
                $0.database = "postgres://x"
            } _: { _ in
            }
        }
        #expect(database == .databaseNotSupported("postgres://x"))
        let file = "\(FileManager.default.temporaryDirectory.path)/\(UInt64.random(in: 0 ... .max))"
        try Data().write(to: URL(fileURLWithPath: file))
        let folder = await #expect(throws: PortalStartError.self) {
            try await PortalUnderTest.run(folder: file) { _ in }
        }
        #expect(folder == .folder(.notAFolder(path: file)))
    }
}
