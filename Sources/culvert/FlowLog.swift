internal import Bytes
internal import Control
internal import Daemon
internal import Foundation
internal import Gateway
internal import Glibc
internal import IP
internal import Linux
internal import Logging
internal import SansIO
internal import Synchronization

/// Where a gateway writes down which flows ended: one record a flow, appended to a file, or sent to
/// the journal with a field for each word, or to the portal.
///
/// The file is opened for each batch, so that whoever rotates logs may move it away at any time.
final class FlowLog: Sendable {
    private enum Destination: Sendable {
        case file(String)
        case journal(Journal)
        case portal(PortalFlows)
    }

    private final class Journal: Sendable {
        let socket: LocalDatagrams

        init(_ path: String) throws(SystemError) { socket = try LocalDatagrams(to: path) }
    }

    private let destination: Destination
    private let format: StructuredLog.Format
    /// Whether the last batch could be written: each trouble is told once.
    private let isWritable = Atomic(true)

    /// - Parameters:
    ///   - place: A file, `journal` or `portal`.
    ///   - format: How a line of the file looks.
    /// - Throws: ``Sentence`` when it cannot be written to.
    init(_ place: String, format: StructuredLog.Format) throws {
        self.format = format
        if place == "portal" {
            destination = .portal(PortalFlows())
            return
        }
        if place == "journal" {
            let path = "/run/systemd/journal/socket"
            do { destination = .journal(try Journal(path)) } catch {
                throw Sentence(
                    "The flow log cannot be sent to the journal, whose socket \(path) does not "
                        + "answer (\(error)); give a file to --flow-log instead.",
                    exit: .usedWrongly
                )
            }
            return
        }
        destination = .file(place)
        _ = try AppendLog(path: place)
    }

    /// Writes the records down; what cannot be written is lost, and said once.
    ///
    /// - Parameters:
    ///   - records: Flows that ended.
    ///   - logger: Hears of trouble.
    ///   - tell: Says a message to the portal, or that it has no room for more.
    func write(
        _ records: [FlowRecord],
        _ logger: Logger,
        tell: (FromRole) -> Bool
    ) {
        let clock = WallTime(now: SystemClock.now())
        do {
            switch destination {
            case .file(let path):
                let log = try AppendLog(path: path)
                let lines = records.map { Self.line($0.fields(clock), format) }.joined()
                guard log.append(Array(lines.utf8)) else {
                    throw Sentence("\(path) cannot be written to; is the disk full?")
                }
            case .portal(let flows): flows.send(records, clock, tell: tell)
            case .journal(let journal):
                for record in records {
                    guard journal.socket.send(Self.entry(record.fields(clock))) else {
                        throw Sentence("the journal takes no more records")
                    }
                }
            }
            isWritable.store(true, ordering: .relaxed)
        } catch {
            guard isWritable.exchange(false, ordering: .relaxed) else { return }
            logger.warning("flows are missing in the flow log: \(error)")
        }
    }

    private typealias Field = FlowRecord.Field

    private static func line(_ fields: [Field], _ format: StructuredLog.Format) -> String {
        switch format {
        case .text:
            return fields.map { "\($0.key)=\(StructuredLog.quoted($0.value.text))" }
                .joined(separator: " ") + "\n"
        case .json:
            let object = Dictionary(uniqueKeysWithValues: fields.map { ($0.key, $0.value) })
            let encoder = JSONEncoder()
            encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
            return String(decoding: (try? encoder.encode(object)) ?? Data(), as: UTF8.self) + "\n"
        }
    }

    /// The journal's own protocol: a line a field; a value with line breaks is led by its length.
    private static func entry(_ fields: [Field]) -> [UInt8] {
        let message = fields.map { "\($0.key)=\(StructuredLog.quoted($0.value.text))" }
        var entry = Array("MESSAGE=\(message.joined(separator: " "))\n".utf8)
        entry += Array("PRIORITY=6\nSYSLOG_IDENTIFIER=culvert-flows\n".utf8)
        for field in fields {
            let text = StructuredLog.quoted(field.value.text)
            entry += Array("CULVERT_\(field.key.uppercased())=\(text)\n".utf8)
        }
        return entry
    }
}

/// Turns instants of the running clock into times of day.
struct WallTime {
    private let now: Instant
    private let date = Date.now

    init(now: Instant) { self.now = now }

    /// Milliseconds from 1970 to `instant`.
    func milliseconds(_ instant: Instant) -> Int64 {
        let nanoseconds = Int64(clamping: now.nanoseconds) - Int64(clamping: instant.nanoseconds)
        return Int64(date.timeIntervalSince1970 * 1_000) - nanoseconds / 1_000_000
    }

    /// The time of day at `instant`, in UTC with milliseconds.
    func text(_ instant: Instant) -> String {
        let nanoseconds = Double(now.nanoseconds) - Double(instant.nanoseconds)
        let then = date.addingTimeInterval(-nanoseconds / 1_000_000_000)
        return then.formatted(.iso8601.time(includingFractionalSeconds: true))
    }
}

extension FlowRecord {
    /// A number or a text.
    enum Value: Encodable {
        case number(UInt64)
        case text(String)

        var text: String {
            switch self {
            case .number(let number): "\(number)"
            case .text(let text): text
            }
        }

        func encode(to encoder: any Encoder) throws {
            var container = encoder.singleValueContainer()
            switch self {
            case .number(let number): try container.encode(number)
            case .text(let text): try container.encode(text)
            }
        }
    }

    typealias Field = (key: String, value: Value)

    /// The record's words, in the order in which they are written.
    func fields(_ clock: WallTime) -> [Field] {
        var fields: [Field] = [
            ("start", .text(clock.text(start))), ("end", .text(clock.text(end))),
            ("client", .text(client.text)),
        ]
        if let device { fields.append(("device", .text(device))) }
        if let person { fields.append(("person", .text(person))) }
        fields.append(("resource", .text(resourceName)))
        fields.append(("resource_id", .text(resource.text)))
        if let name { fields.append(("name", .text(name))) }
        fields += [
            ("transport", .text("\(transport)")), ("source_port", .number(UInt64(sourcePort))),
            ("proxy", .text("\(proxy)")), ("real", .text("\(real)")),
            ("outside_port", .number(UInt64(outsidePort))),
            ("bytes_out", .number(bytesOut)), ("bytes_in", .number(bytesIn)),
            ("packets_out", .number(UInt64(packetsOut))),
            ("packets_in", .number(UInt64(packetsIn))), ("why", .text(why.rawValue)),
        ]
        return fields
    }
}
