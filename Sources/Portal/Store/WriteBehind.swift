internal import Control
internal import Foundation
internal import GRDB
internal import Logging
internal import Synchronization

/// Writes leases, devices and activity within 50 ms of when they happened, many at a time.
///
/// What is lost with a crash costs a request more: a lease is asked for again; a device's place in
/// the tunnel ranges is safe, since a new device is written before its welcome.
final class WriteBehind: Sendable {
    /// Bounds of what waits.
    enum Limits {
        /// How long something waits to be written.
        static let delay = Duration.milliseconds(50)
        /// How long after a failure it is tried again.
        static let retryDelay = Duration.seconds(1)
        /// Entries of activity that wait while the disk refuses; the oldest go first.
        static let activityCount = 10_000
        /// Ended flows that wait to be written; more are counted and forgotten.
        static let flowCount = 10_000
    }

    private struct Batch: Sendable {
        /// nil means that it is to be deleted.
        var leases: [LeaseID: LeaseRecord?] = [:]
        var devices: [String: EnrolledDevice] = [:]
        var activities: [Activity] = []
        var flows: [KeptFlow] = []

        var isEmpty: Bool {
            leases.isEmpty && devices.isEmpty && activities.isEmpty && flows.isEmpty
        }

        /// Puts back what was not written; what came since is newer.
        mutating func restore(_ older: Batch) {
            leases.merge(older.leases) { newer, _ in newer }
            devices.merge(older.devices) { newer, _ in newer }
            activities.insert(contentsOf: older.activities, at: 0)
            flows.insert(contentsOf: older.flows, at: 0)
        }
    }

    private let store: Store
    private let logger: Logger
    private let waiting = Mutex(Batch())
    private let wake: AsyncStream<Void>
    private let waker: AsyncStream<Void>.Continuation

    init(store: Store, logger: Logger) {
        (self.store, self.logger) = (store, logger)
        (wake, waker) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
    }

    func save(_ lease: LeaseRecord) { add { $0.leases[lease.id] = .some(lease) } }

    func delete(_ lease: LeaseID) { add { $0.leases[lease] = .some(nil) } }

    func save(_ device: EnrolledDevice) { add { $0.devices[device.id] = device } }

    func save(_ activity: Activity) {
        add { batch in
            if batch.activities.count >= Limits.activityCount {
                batch.activities.removeFirst(Limits.activityCount / 10)
            }
            batch.activities.append(activity)
        }
    }

    /// Keeps as many of `flows` as there is room for.
    ///
    /// - Returns: How many there was none for.
    func save(_ flows: [KeptFlow]) -> Int {
        var missing = 0
        add { batch in
            let room = max(0, Limits.flowCount - batch.flows.count)
            batch.flows += flows.prefix(room)
            missing = max(0, flows.count - room)
        }
        return missing
    }

    /// Writes whenever something waits, until `finish()` or the task is cancelled, and then the
    /// rest.
    func run() async {
        for await _ in wake {
            try? await Task.sleep(for: Limits.delay)
            if !(await flush()) {
                try? await Task.sleep(for: Limits.retryDelay)
                waker.yield()
            }
        }
        _ = await flush()
    }

    /// No more will come.
    func finish() { waker.finish() }

    private func add(_ change: (inout Batch) -> Void) {
        waiting.withLock { change(&$0) }
        waker.yield()
    }

    private func flush() async -> Bool {
        let batch = waiting.withLock { waiting in
            defer { waiting = Batch() }
            return waiting
        }
        guard !batch.isEmpty else { return true }
        do {
            try await store.write { try Self.write(batch, $0) }
            return true
        } catch {
            logger.error("cannot write leases and activity", metadata: ["why": "\(error.sentence)"])
            waiting.withLock { $0.restore(batch) }
            return false
        }
    }

    private static func write(_ batch: Batch, _ database: Database) throws {
        for device in batch.devices.values { try Store.write(device, database) }
        for (id, lease) in batch.leases {
            if let lease {
                try database.execute(
                    sql: "INSERT OR REPLACE INTO lease (id, endsAt, json) VALUES (?, ?, ?)",
                    arguments: [id.text, lease.endsAt.timeIntervalSince1970, try Store.json(lease)]
                )
            } else {
                try database.execute(sql: "DELETE FROM lease WHERE id = ?", arguments: [id.text])
            }
        }
        for activity in batch.activities {
            try database.execute(
                sql: "INSERT INTO activity (at, actor, json) VALUES (?, ?, ?)",
                arguments: [activity.at, activity.actor, try Store.json(activity)]
            )
        }
        for flow in batch.flows {
            try database.execute(
                sql: "INSERT INTO flow (at, json) VALUES (?, ?)",
                arguments: [flow.at, try Store.json(flow)]
            )
        }
    }
}

extension Store {
    /// Devices that have connected before.
    func loadDevices() async throws(StoreError) -> [EnrolledDevice] {
        try await load("SELECT json FROM device ORDER BY id")
    }

    /// Leases that were live when the portal stopped.
    func loadLeases(now: Date) async throws(StoreError) -> [LeaseRecord] {
        try await load("SELECT json FROM lease ORDER BY id").filter { $0.endsAt > now }
    }

    /// Writes a device at once: its place in the tunnel ranges must not be given twice.
    func save(_ device: EnrolledDevice) async throws(StoreError) {
        try await write { try Self.write(device, $0) }
    }

    static func write(_ device: EnrolledDevice, _ database: Database) throws {
        try database.execute(
            sql: """
                INSERT INTO device (id, role, token, json) VALUES (?, ?, ?, ?)
                ON CONFLICT (id) DO UPDATE SET json = excluded.json
                """,
            arguments: [device.id, device.role.rawValue, device.token, try json(device)]
        )
    }

    static func json(_ value: some Encodable) throws -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return String(decoding: try encoder.encode(value), as: UTF8.self)
    }

    private func load<Value: Decodable & Sendable>(_ sql: String) async throws(StoreError)
        -> [Value]
    {
        try await read { database in
            let decoder = JSONDecoder()
            return try String.fetchAll(database, sql: sql).map {
                try decoder.decode(Value.self, from: Data($0.utf8))
            }
        }
    }
}
