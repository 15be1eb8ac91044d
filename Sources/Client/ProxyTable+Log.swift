internal import Bytes
internal import DNS
public import IP
public import SansIO

/// One record of the log of names: a start byte, a kind, the payload's length, the payload, and a
/// checksum over all but the start byte.
public struct ProxyLogRecord: Hashable, Sendable {
    /// The bytes to append.
    public let bytes: [UInt8]
    /// Whether they must be on the disk before what was decided by them leaves.
    public let isSynced: Bool

    /// What a record says.
    enum Content: Hashable {
        /// Everything that follows is about these ranges; what was before, about others, is void.
        case header(ProxyLayout)
        /// No slot below is to be handed out as new.
        case mark(Int)
        /// The slot has this name.
        case name(Int, families: UInt8, Name)
        /// The slot has no name any more.
        case release(Int)
        /// The families of the slot's name are known.
        case families(Int, UInt8)
    }

    private static let start: UInt8 = 0xc5
    private static let payloadByteCountMax = 300

    init(_ content: Content) {
        var payload: [UInt8] = []
        let kind: UInt8
        switch content {
        case .header(let layout):
            kind = 1
            payload = Self.headerPayload(layout)
        case .mark(let slot):
            kind = 2
            payload.append(bigEndian: UInt32(slot))
        case .name(let slot, let families, let name):
            kind = 3
            payload.append(bigEndian: UInt32(slot))
            payload.append(families)
            payload += name.wire
        case .release(let slot):
            kind = 4
            payload.append(bigEndian: UInt32(slot))
        case .families(let slot, let families):
            kind = 5
            payload.append(bigEndian: UInt32(slot))
            payload.append(families)
        }
        var bytes = [Self.start, kind]
        bytes.append(bigEndian: UInt16(payload.count))
        bytes += payload
        bytes.append(bigEndian: Self.checksum(bytes.rawSpan.extracting(1..<bytes.count)))
        self.bytes = bytes
        isSynced = kind == 2
    }

    static func headerPayload(_ layout: ProxyLayout) -> [UInt8] {
        var payload = Array("culvert names 1".utf8)
        for range in [layout.ipv4, layout.ipv6] {
            payload.append(UInt8(range?.bitCount ?? 255))
            payload += range?.address.bytes ?? []
        }
        return payload
    }

    /// Reads all whole records; what lies between them is passed over.
    static func forEach(in log: RawSpan, _ body: (_ kind: UInt8, _ payload: RawSpan) -> Void) {
        var offset = 0
        while log.byteCount - offset >= 8 {
            guard log.byte(at: offset) == start else {
                offset += 1
                continue
            }
            let length = Int(log.uint16(at: offset + 2))
            let end = offset + 4 + length
            guard length <= payloadByteCountMax, end + 4 <= log.byteCount,
                log.uint32(at: end) == checksum(log.extracting(offset + 1..<end))
            else {
                offset += 1
                continue
            }
            body(log.byte(at: offset + 1), log.extracting(offset + 4..<end))
            offset = end + 4
        }
    }

    /// CRC-32 (ISO 3309).
    private static func checksum(_ bytes: RawSpan) -> UInt32 {
        var value: UInt32 = .max
        for index in 0..<bytes.byteCount {
            value ^= UInt32(bytes.byte(at: index))
            for _ in 0..<8 { value = value >> 1 ^ (value & 1 == 0 ? 0 : 0xedb8_8320) }
        }
        return ~value
    }
}

// MARK: - The table and its log

extension ProxyTable {
    /// The table that a log tells of; an empty one where the log is about other ranges.
    ///
    /// Names count as used now. Slots below the mark that have no name may have had one that a
    /// power loss took: they rest first.
    public init(reading log: RawSpan, proxies: [IPPrefix], sentinels: [IPPrefix], at now: Instant) {
        self.init(proxies: proxies, sentinels: sentinels)
        let header = ProxyLogRecord.headerPayload(layout)
        var isOurs = false
        var found = Found()
        ProxyLogRecord.forEach(in: log) { kind, payload in
            if kind == 1 {
                isOurs = payload.hasSameBytes(as: header.rawSpan)
                if !isOurs { found = Found() }
            } else if isOurs {
                found.read(kind, payload, layout)
            }
        }
        guard isOurs else { return }
        _ = records.popFirst()
        adopt(found, at: now)
    }

    /// The whole table as a log, for a file of its own that replaces the old one.
    public func write() -> [UInt8] {
        var log = ProxyLogRecord(.header(layout)).bytes
        if mark > 0 { log += ProxyLogRecord(.mark(mark)).bytes }
        for (slot, entry) in slots.enumerated() {
            guard let name = entry.name else { continue }
            log += ProxyLogRecord(.name(slot, families: entry.families, name)).bytes
        }
        return log
    }

    /// What a log says so far.
    private struct Found {
        var mark = 0
        var names: [(name: Name, families: UInt8)?] = []

        mutating func read(_ kind: UInt8, _ payload: RawSpan, _ layout: ProxyLayout) {
            guard payload.byteCount >= 4 else { return }
            let slot = Int(payload.uint32(at: 0))
            switch kind {
            case 2 where slot <= layout.slotCount: mark = max(mark, slot)
            case 3 where payload.byteCount > 5 && layout.isUsable(slot):
                let wire = payload.extracting(5..<payload.byteCount).array
                guard let name = try? Name(wire: wire) else { return }
                while names.count <= slot { names.append(nil) }
                names[slot] = (name, payload.byte(at: 4) & 3)
            case 4 where slot < names.count: names[slot] = nil
            case 5 where slot < names.count && payload.byteCount == 5:
                names[slot]?.families = payload.byte(at: 4) & 3
            default: break
            }
        }
    }

    private mutating func adopt(_ found: Found, at now: Instant) {
        mark = max(found.mark, found.names.count)
        for slot in 0..<mark {
            slots.append(Slot())
            guard layout.isUsable(slot) else { continue }
            if slot < found.names.count, let entry = found.names[slot],
                slotOfName[entry.name] == nil
            {
                slots[slot] = Slot(name: entry.name, lastUse: now)
                slots[slot].families = entry.families
                slotOfName[entry.name] = slot
                groups.add(slot, toGroup: ProxyGroups.restored, &slots)
            } else {
                rest(slot, from: now)
            }
        }
    }
}
